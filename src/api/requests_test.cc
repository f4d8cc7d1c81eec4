// Every field of chat and completions requests: what is taken, what is refused and by which name.
#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fstream>
#include <set>

#include "api/anthropic_request.h"
#include "api/fields.h"
#include "api/requests_fixture.h"
#include "api/responses_request.h"
#include "api/routes.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using testing::chat;
using testing::context;
using testing::expect_in_both;
using testing::kEndpoints;
using testing::kRequestVocabulary;
using testing::Row;
using testing::Verdict;
using testing::verdict;
using testing::verdict_of;
using testing::with;

bool has(const Field& field, Endpoint endpoint) {
  return (field.endpoints & static_cast<std::uint8_t>(endpoint)) != 0;
}

// "stream_options.x" = v as members of the body.
std::string member(std::string_view name, std::string_view value) {
  constexpr std::string_view kNested = "stream_options.";
  if (!name.starts_with(kNested)) return fmt::format(R"("{}":{})", name, value);
  return fmt::format(R"("stream":true,"stream_options":{{"{}":{}}})", name.substr(kNested.size()),
                     value);
}

TEST(Fields, TableHasNoFieldTwice) {
  for (const Field& field : field_table()) {
    int found = 0;
    for (const Field& other : field_table()) {
      found += other.name == field.name && (other.endpoints & field.endpoints) != 0 ? 1 : 0;
    }
    EXPECT_EQ(found, 1) << field.name;
  }
}

TEST(Fields, AreInTheDocumentation) {
  std::ifstream file(std::string(VSURGE_SOURCE_DIR) + "/docs/API.md");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  ASSERT_FALSE(text.empty());
  const std::size_t refused = text.find("## Fields that are known and refused");
  ASSERT_NE(refused, std::string::npos);
  for (const Field& field : field_table()) {
    const std::size_t at = text.find(fmt::format("`{}`", field.name));
    EXPECT_NE(at, std::string::npos) << field.name;
    if (field.works()) {
      EXPECT_LT(at, refused) << field.name;
    } else {
      EXPECT_NE(text.find(fmt::format("`{}`", field.name), refused), std::string::npos)
          << field.name;
    }
  }
  for (const Route& route : route_table()) {
    EXPECT_NE(text.find(fmt::format("| {} | `{}` |", route.method, route.path)), std::string::npos)
        << route.path;
  }
}

// | `a`, `b` | x | x | ...: the columns of the documentation say which endpoints.
TEST(Fields, AreDocumentedForTheirEndpoints) {
  std::ifstream file(std::string(VSURGE_SOURCE_DIR) + "/docs/API.md");
  std::set<std::string, std::less<>> of_chat, of_completions;
  for (std::string line; std::getline(file, line);) {
    std::vector<std::string> columns;
    for (std::size_t at = 0, bar = 0; at < line.size() && columns.size() < 4; at = bar + 1) {
      bar = std::min(line.find('|', at), line.size());
      columns.push_back(line.substr(at, bar - at));
    }
    if (columns.size() < 4) continue;
    const auto marked = [&](std::size_t i) { return columns[i] == " x " || columns[i] == " "; };
    if (!marked(2) || !marked(3)) continue;
    for (const Field& field : field_table()) {
      if (columns[1].find(fmt::format("`{}`", field.name)) == std::string::npos) continue;
      if (columns[2] == " x ") of_chat.emplace(field.name);
      if (columns[3] == " x ") of_completions.emplace(field.name);
    }
  }
  for (const Field& field : field_table()) {
    const bool openai = has(field, Endpoint::kChat) || has(field, Endpoint::kCompletions);
    if (!field.works() || !openai) continue;
    // A field that both have, each with its own values, has a row for each.
    const auto works = [&](Endpoint endpoint) {
      return std::ranges::any_of(field_table(), [&](const Field& other) {
        return other.name == field.name && other.works() && has(other, endpoint);
      });
    };
    EXPECT_EQ(of_chat.contains(field.name), works(Endpoint::kChat)) << field.name;
    EXPECT_EQ(of_completions.contains(field.name), works(Endpoint::kCompletions)) << field.name;
  }
}

TEST(Fields, RefusedOnesTakeTheirNeutralValuesAlone) {
  const std::string_view probes[] = {
      "true",  "false", "0",   "1",  "17",         "-0.5",     R"("x")",
      R"("")", "[]",    "[1]", "{}", R"({"a":1})", R"(["x"])", R"({"type":"json_object"})"};
  std::size_t refusals = 0;
  for (const Field& field : field_table()) {
    if (field.works()) continue;
    const json::array neutral = json::parse(field.neutral_values).get_array();
    for (const Endpoint endpoint : kEndpoints) {
      if (!has(field, endpoint)) continue;
      EXPECT_EQ(verdict(endpoint, member(field.name, "null")), Verdict{}) << field.name;
      for (const json::value& value : neutral) {
        EXPECT_EQ(verdict(endpoint, member(field.name, json::serialize(value))), Verdict{})
            << field.name;
      }
      std::size_t here = 0;
      for (const std::string_view probe : probes) {
        const json::value value = json::parse(probe);
        if (std::ranges::find(neutral, value) != neutral.end()) continue;
        const Verdict expected{"unsupported_value", std::string(field.name)};
        EXPECT_EQ(verdict(endpoint, member(field.name, probe)), expected) << probe;
        ++here;
      }
      EXPECT_GE(here + neutral.size(), std::size(probes)) << field.name;
      refusals += here;
    }
  }
  EXPECT_GT(refusals, 430U);
}

TEST(Fields, OfTheOtherEndpointAreUnknown) {
  for (const Field& field : field_table()) {
    for (const Endpoint endpoint : kEndpoints) {
      const bool known = std::ranges::any_of(field_table(), [&](const Field& other) {
        return other.name == field.name && has(other, endpoint);
      });
      if (known) continue;
      const Verdict expected{"unknown_parameter", std::string(field.name)};
      EXPECT_EQ(verdict(endpoint, member(field.name, "1")), expected);
    }
  }
}

TEST(Fields, UnknownOnesAreNamed) {
  for (const Endpoint endpoint : kEndpoints) {
    EXPECT_EQ(verdict(endpoint, R"("max_tokns":3)"), (Verdict{"unknown_parameter", "max_tokns"}));
    EXPECT_EQ(verdict(endpoint, R"("Model":null)"), (Verdict{"unknown_parameter", "Model"}));
    EXPECT_EQ(verdict(endpoint, R"("prompt_embeds":"AA==")").code, "unknown_parameter");
    EXPECT_EQ(verdict(endpoint, R"("":1)").code, "unknown_parameter");
    EXPECT_EQ(verdict(endpoint, R"("stream_options.include_usage":true)"),
              (Verdict{"unknown_parameter", "stream_options.include_usage"}));
    EXPECT_EQ(verdict(endpoint, R"("stream":true,"stream_options":{"usage":true})"),
              (Verdict{"unknown_parameter", "stream_options.usage"}));
  }
}

// A value of every JSON type for every field: null is absent, and what is not taken is refused by
// the field's name.
TEST(Fields, EveryTypeForEveryField) {
  const std::string_view values[] = {"null", "true", "7",    "0.5",   R"("x")",
                                     "[]",   "{}",   "[{}]", "1e300", "-9223372036854775808"};
  for (const Field& field : field_table()) {
    for (const Endpoint endpoint : kEndpoints) {
      if (!has(field, endpoint)) continue;
      if (field.name == "model" || field.name == "messages" || field.name == "prompt") continue;
      for (const std::string_view value : values) {
        const Verdict found = verdict(endpoint, member(field.name, value));
        if (value == "null") {
          EXPECT_EQ(found, Verdict{}) << field.name;
        } else if (!found.code.empty()) {
          EXPECT_TRUE(found.param.starts_with(field.name)) << found;
        }
      }
    }
  }
}

TEST(Fields, RangesAtAndPastTheirEnds) {
  const Row rows[] = {
      {R"("temperature":0)", ""},
      {R"("temperature":2)", ""},
      {R"("temperature":2.0001)", "invalid_value", "temperature"},
      {R"("temperature":-0.0001)", "invalid_value", "temperature"},
      {R"("temperature":"1")", "invalid_type", "temperature"},
      {R"("temperature":true)", "invalid_type", "temperature"},
      {R"("top_p":1)", ""},
      {R"("top_p":1e-300)", ""},
      {R"("top_p":0)", "invalid_value", "top_p"},
      {R"("top_p":1.0001)", "invalid_value", "top_p"},
      {R"("top_k":-1)", ""},
      {R"("top_k":0)", ""},
      {R"("top_k":2147483647)", ""},
      {R"("top_k":2147483648)", "invalid_value", "top_k"},
      {R"("top_k":-2)", "invalid_value", "top_k"},
      {R"("top_k":1.5)", "invalid_type", "top_k"},
      {R"("min_p":0)", ""},
      {R"("min_p":1)", ""},
      {R"("min_p":1.1)", "invalid_value", "min_p"},
      {R"("min_p":-1)", "invalid_value", "min_p"},
      {R"("max_tokens":1)", ""},
      {R"("max_tokens":16.0)", ""},
      {R"("max_tokens":16.5)", "invalid_type", "max_tokens"},
      {R"("max_tokens":0)", "invalid_value", "max_tokens"},
      {R"("max_tokens":-1)", "invalid_value", "max_tokens"},
      {R"("max_tokens":1000000000000000000)", "invalid_value", "max_tokens"},
      {R"("max_tokens":1e300)", "invalid_value", "max_tokens"},
      {R"("max_tokens":18446744073709551615)", "invalid_value", "max_tokens"},
      {R"("seed":-9223372036854775808)", ""},
      {R"("seed":18446744073709551615)", ""},
      {R"("seed":18446744073709551616)", "invalid_value", "seed"},
      {R"("seed":1.5)", "invalid_type", "seed"},
      {R"("seed":"1")", "invalid_type", "seed"},
      {R"("n":1)", ""},
      {R"("n":1.0)", ""},
      {R"("n":"1")", "invalid_type", "n"},
      {R"("stream":"true")", "invalid_type", "stream"},
      {R"("stream":1)", "invalid_type", "stream"},
      {R"("stop":"x")", ""},
      {R"("stop":[])", ""},
      {R"("stop":["a","b","c","d"])", ""},
      {R"("stop":["a","b","c","d","e"])", "invalid_value", "stop"},
      {R"("stop":"")", "invalid_value", "stop"},
      {R"("stop":["a",""])", "invalid_value", "stop[1]"},
      {R"("stop":["a",null])", "invalid_type", "stop[1]"},
      {R"("stop":3)", "invalid_type", "stop"},
      {R"("stream_options":{"include_usage":true})", "invalid_value", "stream_options"},
      {R"("stream":true,"stream_options":{"include_usage":true})", ""},
      {R"("stream":true,"stream_options":{})", ""},
      {R"("stream":true,"stream_options":[])", "invalid_type", "stream_options"},
      {R"("stream":true,"stream_options":{"include_usage":1})", "invalid_type",
       "stream_options.include_usage"},
      {R"("user":"me")", ""},
      {R"("user":5)", "invalid_type", "user"},
      {R"("user":"a\u0000b")", "invalid_value", "user"},
  };
  expect_in_both(rows);
}

TEST(Fields, LengthsAtAndPastTheirEnds) {
  const auto stop = [](std::size_t size) { return R"("stop":")" + std::string(size, 's') + '"'; };
  EXPECT_EQ(chat(stop(1024)), Verdict{});
  EXPECT_EQ(chat(stop(1025)), (Verdict{"invalid_value", "stop"}));
  EXPECT_EQ(chat(R"("user":")" + std::string(256, 'u') + '"'), Verdict{});
  EXPECT_EQ(chat(R"("user":")" + std::string(257, 'u') + '"'), (Verdict{"invalid_value", "user"}));
}

TEST(Fields, BothMaxTokens) {
  EXPECT_EQ(chat(R"("max_tokens":5,"max_completion_tokens":5)"), Verdict{});
  EXPECT_EQ(chat(R"("max_tokens":5,"max_completion_tokens":6)"),
            (Verdict{"invalid_value", "max_tokens"}));
  EXPECT_EQ(verdict(Endpoint::kCompletions, R"("max_completion_tokens":6)").code,
            "unknown_parameter");
}

TEST(Fields, Model) {
  const Verdict absent{"missing_required_parameter", "model"};
  EXPECT_EQ(verdict_of(Endpoint::kChat, "{}"), absent);
  EXPECT_EQ(verdict_of(Endpoint::kCompletions, R"({"model":null,"prompt":"x"})"), absent);
  EXPECT_EQ(verdict_of(Endpoint::kCompletions, R"({"model":3,"prompt":"x"})"),
            (Verdict{"invalid_type", "model"}));
  for (const std::string_view body : {"[]", "1", "null", R"("x")"}) {
    EXPECT_EQ(verdict_of(Endpoint::kChat, std::string(body)).code, "invalid_type");
    EXPECT_EQ(verdict_of(Endpoint::kCompletions, std::string(body)).code, "invalid_type");
  }
}

TEST(Fields, Values) {
  RequestContext defaults = context();
  defaults.sampling = {
      .temperature = 0.6F, .top_p = 0.9F, .min_p = 0.1F, .top_k = 20, .repetition_penalty = 1.1F};
  auto read = [&](std::string_view members) {
    return read_chat_request(json::parse(with(Endpoint::kChat, members)), defaults)
        .value()
        .generation;
  };
  const auto absent = read("").sampling;
  EXPECT_EQ(absent.temperature, 0.6F);
  EXPECT_EQ(absent.top_p, 0.9F);
  EXPECT_EQ(absent.min_p, 0.1F);
  EXPECT_EQ(absent.top_k, 20);
  EXPECT_EQ(absent.repetition_penalty, 1.1F);
  EXPECT_FALSE(absent.seed);
  EXPECT_FALSE(absent.max_tokens);
  const auto given = read(R"("temperature":1e-6,"top_p":1e-300,"top_k":-1,"min_p":0,"seed":-1,
                             "max_completion_tokens":3)")
                         .sampling;
  EXPECT_EQ(given.temperature, 0.0F);
  EXPECT_GT(given.top_p, 0.0F);
  EXPECT_EQ(given.top_k, 0);
  EXPECT_EQ(given.min_p, 0.0F);
  EXPECT_EQ(given.seed, 0xFFFFFFFFFFFFFFFFULL);
  EXPECT_EQ(given.max_tokens, 3);
  const auto streamed = read(R"("stream":true,"stream_options":{"include_usage":true},
                               "stop":["a","b"],"user":"me")");
  EXPECT_TRUE(streamed.stream);
  EXPECT_TRUE(streamed.include_usage);
  EXPECT_EQ(streamed.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(streamed.user, "me");
}

// Completions' prompt.

Verdict prompt(std::string_view value) {
  return verdict_of(Endpoint::kCompletions, fmt::format(R"({{"model":"m","prompt":{}}})", value));
}

std::string repeated(std::string_view what, int times) {
  std::string out = "[";
  for (int i = 0; i < times; ++i) {
    if (i > 0) out += ',';
    out += what;
  }
  return out + "]";
}

TEST(Prompt, Kinds) {
  const Row rows[] = {
      {R"("")", ""},
      {R"(["a",""])", ""},
      {"[1,2,999]", ""},
      {"[1.0]", ""},
      {"[[1],[2,3]]", ""},
      {"null", "missing_required_parameter", "prompt"},
      {"[]", "invalid_value", "prompt"},
      {"5", "invalid_type", "prompt"},
      {"{}", "invalid_type", "prompt"},
      {"[1000]", "invalid_value", "prompt[0]"},
      {"[0,-1]", "invalid_value", "prompt[1]"},
      {"[0,1.5]", "invalid_value", "prompt[1]"},
      {"[0,4294967296]", "invalid_value", "prompt[1]"},
      {"[0,1e300]", "invalid_value", "prompt[1]"},
      {R"([0,"a"])", "invalid_type", "prompt[1]"},
      {R"(["a",0])", "invalid_type", "prompt[1]"},
      {R"(["a",[0]])", "invalid_type", "prompt[1]"},
      {R"([[0],"a"])", "invalid_type", "prompt[1]"},
      {"[null]", "invalid_type", "prompt[0]"},
      {"[[]]", "invalid_value", "prompt[0]"},
      {"[[1],[]]", "invalid_value", "prompt[1]"},
      {"[[1],[[2]]]", "invalid_type", "prompt[1][0]"},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(prompt(row.members), (Verdict{std::string(row.code), std::string(row.param)}))
        << row.members;
  }
  EXPECT_EQ(prompt(repeated(R"("a")", 128)), Verdict{});
  EXPECT_EQ(prompt(repeated(R"("a")", 129)), (Verdict{"invalid_value", "prompt"}));
  EXPECT_EQ(prompt(repeated("[1]", 129)), (Verdict{"invalid_value", "prompt"}));
  EXPECT_EQ(prompt(repeated("1", 5000)), Verdict{});
}

TEST(Prompt, Values) {
  const auto read = [](std::string_view value) {
    return read_completion_request(
               json::parse(fmt::format(R"({{"model":"m","prompt":{}}})", value)), context())
        .value();
  };
  EXPECT_EQ(std::get<std::string>(read(R"("a\u0000b")").prompts[0]), std::string("a\0b", 3));
  const auto ids = read("[[1,2],[3]]");
  ASSERT_EQ(ids.prompts.size(), 2u);
  EXPECT_EQ(std::get<1>(ids.prompts[0]), (std::vector<engine::TokenId>{1, 2}));
  EXPECT_EQ(ids.paths[1], "prompt[1]");
}

TEST(Requests, Prediction) {
  const Row rows[] = {
      {R"("prediction":{"type":"content","content":"x"})", ""},
      {R"("prediction":{"type":"content","content":[{"type":"text","text":"x"}]})", ""},
      {R"("prediction":null)", ""},
      {R"("prediction":"x")", "invalid_type", "prediction"},
      {R"("prediction":{"content":"x"})", "missing_required_parameter", "prediction.type"},
      {R"("prediction":{"type":"content"})", "missing_required_parameter", "prediction.content"},
      {R"("prediction":{"type":"robot","content":"x"})", "invalid_value", "prediction.type"},
      {R"("prediction":{"type":"content","content":7})", "invalid_type", "prediction.content"},
      {R"("prediction":{"type":"content","content":[7]})", "invalid_type", "prediction.content[0]"},
      {R"("prediction":{"type":"content","content":"x","y":1})", "unknown_parameter",
       "prediction.y"},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(chat(row.members), (Verdict{std::string(row.code), std::string(row.param)}))
        << row.members;
  }
}

TEST(Requests, WhatEndsAnAnswerBesideStopStrings) {
  const Row rows[] = {
      {R"("stop_regex":"a+b")", ""},
      {R"("stop_regex":["\\n\\s*Q:","x"])", ""},
      {R"("stop_regex":[])", ""},
      {R"("stop_regex":"(")", "invalid_value", "stop_regex"},
      {R"("stop_regex":"a$")", "invalid_value", "stop_regex"},
      {R"("stop_regex":"a*")", "invalid_value", "stop_regex"},
      {R"("stop_regex":["a","b","c","d","e"])", "invalid_value", "stop_regex"},
      {R"("stop_regex":[""])", "invalid_value", "stop_regex[0]"},
      {R"("stop_regex":7)", "invalid_type", "stop_regex"},
      {R"("t_max_predict_ms":100)", ""},
      {R"("t_max_predict_ms":0)", ""},
      {R"("t_max_predict_ms":-1)", ""},
      {R"("t_max_predict_ms":-2)", "invalid_value", "t_max_predict_ms"},
      {R"("t_max_predict_ms":"1")", "invalid_type", "t_max_predict_ms"},
      {R"("spaces_between_special_tokens":false)", ""},
      {R"("spaces_between_special_tokens":1)", "invalid_type", "spaces_between_special_tokens"},
      {R"("response_format":{"type":"structural_tag","triggers":["<"],"structures":[]})",
       "invalid_value", "response_format.structures"},
      {R"("structural_tag":"{\"triggers\":[\"<\"],\"structures\":[{\"begin\":\"<a>\",)"
       R"(\"schema\":{},\"end\":\"\"}]}")",
       ""},
  };
  expect_in_both(rows);
  EXPECT_EQ(chat(R"("prompt_cache_retention":"24h")"), Verdict{});
  EXPECT_EQ(chat(R"("prompt_cache_retention":"1y")"),
            (Verdict{"invalid_value", "prompt_cache_retention"}));
}

// Claude Code's first line changes with every request; the rest of its prompt does not.
TEST(Requests, AttributionIsNoPartOfAPrompt) {
  const auto messages = [](std::string_view system) {
    const auto request = read_anthropic_request(
        json::parse(fmt::format(R"({{"model":"m","max_tokens":1,"system":{},)"
                                R"("messages":[{{"role":"user","content":"x"}}]}})",
                                system)),
        context(), false);
    EXPECT_TRUE(request) << request.error().message;
    return request->messages_json;
  };
  const std::string plain = messages(R"("You are kind.")");
  EXPECT_NE(plain.find("You are kind."), std::string::npos);
  EXPECT_EQ(
      messages(R"([{"type":"text","text":"x-anthropic-billing-header: cc_version=2.1; cch=1a;"},
                         {"type":"text","text":"You are kind."}])"),
      plain);
  EXPECT_EQ(messages(R"("x-anthropic-billing-header: a\nYou are kind.")"), plain);
  EXPECT_EQ(messages(R"("x-anthropic-billing-header: a")"), messages(R"("")"));
  EXPECT_NE(messages(R"("Say x-anthropic-billing-header: a")").find("billing"), std::string::npos);
}

// Tools that OpenAI's servers would run are refused, or left out aloud where that is wanted.
TEST(Requests, HostedTools) {
  const json::value body = json::parse(R"({"model":"m","input":"x","tools":[
      {"type":"web_search","external_web_access":false},
      {"type":"function","name":"f","parameters":{"type":"object"}}]})");
  const auto refused = read_responses_request(body, context());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().param, "tools[0].type");
  std::vector<std::string> ignored;
  RequestContext warning = context();
  warning.ignored = &ignored;
  const auto taken = read_responses_request(body, warning);
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_EQ(ignored, std::vector<std::string>{"tools[0] (web_search)"});
  EXPECT_EQ(taken->chat.tools.specs->size(), 1U);
  EXPECT_EQ(taken->echo.at("tools").as_array().size(), 1U);
}

}  // namespace
}  // namespace vsurge::api
