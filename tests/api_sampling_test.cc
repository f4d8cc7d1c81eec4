// Every field of sampling, from the bytes of a request to what comes of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <functional>
#include <set>

#include "tests/api_fixture.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using testing::bytes_of;
using testing::chat_body;
using testing::completion_body;
using testing::error_of;
using testing::kChat;
using testing::kCompletions;
using testing::SamplingFixture;
using testing::ServiceFixture;

// A model that says `script` and ends, or says it for ever.
struct Model {
  std::string script;
  bool endless = false;
  float loudness = 40;
};

class SamplingEffects : public ::testing::Test {
 protected:
  json::value whole(std::string_view members, const Model& model) {
    fixture.wait_idle();
    fixture.runner.script = bytes_of(model.script);
    fixture.runner.endless = model.endless;
    fixture.runner.loudness = model.loudness;
    const auto answer = fixture.answer(kCompletions, completion_body(members));
    EXPECT_EQ(answer->status(), 200) << answer->body();
    return json::parse(answer->body());
  }
  std::string text(std::string_view members, const Model& model) {
    const json::value answer = whole(members, model);
    return std::string(answer.at("choices").at(0).at("text").as_string());
  }
  // How often 'a' comes of 40 tokens, from a model that likes it.
  std::ptrdiff_t likes(std::string_view members, float loudness) {
    const Model model{"a", true, loudness};
    const json::value answer =
        whole(fmt::format(R"("seed":1,"max_tokens":40,"return_token_ids":true{}{})",
                          members.empty() ? "" : ",", members),
              model);
    const json::array& ids = answer.at("choices").at(0).at("token_ids").as_array();
    EXPECT_GE(ids.size(), 30u);
    return std::ranges::count(ids, json::value('a'));
  }

  SamplingFixture fixture{4};
};

const Model kAbc{"abc"};
const Model kLoop{"abc", true};

TEST_F(SamplingEffects, LogitBiasForcesAndBans) {
  EXPECT_EQ(text(R"("max_tokens":4,"logit_bias":{"122":100})", kAbc), "zzzz");
  const std::string banned = text(R"("temperature":0,"logit_bias":{"98":-100})", kAbc);
  EXPECT_TRUE(banned.starts_with("a")) << banned;
  EXPECT_EQ(banned.find('b'), std::string::npos) << banned;
}

TEST_F(SamplingEffects, AllowedAndSuppressedTokens) {
  const std::string allowed =
      text(R"("max_tokens":40,"seed":1,"allowed_token_ids":[120,121])", kLoop);
  EXPECT_EQ(allowed.size(), 40u);
  EXPECT_EQ(std::set<char>(allowed.begin(), allowed.end()), (std::set<char>{'x', 'y'}));
  const std::string rest = text(R"("max_tokens":6,"suppress_tokens":[97,99])", kLoop);
  EXPECT_EQ(rest.find_first_of("ac"), std::string::npos) << rest;
  EXPECT_NE(rest.find('b'), std::string::npos) << rest;
}

TEST_F(SamplingEffects, BadWords) {
  // Of several tokens the last is banned after the others alone.
  const std::string pair = text(R"("max_tokens":6,"bad_words":["bc"])", kLoop);
  EXPECT_TRUE(pair.starts_with("ab")) << pair;
  EXPECT_EQ(pair.find("bc"), std::string::npos) << pair;
  EXPECT_EQ(text(R"("max_tokens":6,"bad_words":"c")", kLoop).find('c'), std::string::npos);
}

TEST_F(SamplingEffects, Ends) {
  EXPECT_EQ(text("", kAbc), "abc");
  // The end-of-text token is banned, then comes at once.
  const json::value later =
      whole(R"("min_tokens":6,"temperature":0,"return_token_ids":true)", kAbc);
  EXPECT_EQ(later.at("choices").at(0).at("token_ids").as_array().size(), 7u);
  EXPECT_EQ(later.at("usage").at("completion_tokens").as_int64(), 7);
  const json::value on = whole(R"("ignore_eos":true,"max_tokens":5,"return_token_ids":true)", kAbc);
  EXPECT_EQ(on.at("choices").at(0).at("finish_reason").as_string(), "length");
  EXPECT_EQ(on.at("choices").at(0).at("token_ids").at(3).as_int64(), testing::kEos);
  const json::value stop = whole(R"("stop_token_ids":[98])", kAbc);
  EXPECT_EQ(stop.at("choices").at(0).at("text").as_string(), "a");
  EXPECT_EQ(stop.at("choices").at(0).at("finish_reason").as_string(), "stop");
  EXPECT_EQ(stop.at("choices").at(0).at("stop_reason").as_int64(), 98);
  EXPECT_EQ(text(R"("stop_token_ids":[98],"include_stop_str_in_output":true)", kAbc), "ab");
  EXPECT_FALSE(whole("", kAbc).at("choices").at(0).as_object().contains("stop_reason"));
}

TEST_F(SamplingEffects, StopStrings) {
  EXPECT_EQ(text(R"("stop":"b")", kLoop), "a");
  EXPECT_EQ(text(R"("stop":"bc","include_stop_str_in_output":true)", kLoop), "abc");
  EXPECT_EQ(text(R"("stop":"bc","no_stop_trim":true)", kLoop), "abc");
  // One that is complete too early does not count.
  EXPECT_EQ(text(R"("stop":"b","min_tokens":2)", kLoop), "abca");
  EXPECT_EQ(text(R"("stop":"b","min_tokens":1)", kLoop), "a");
}

TEST_F(SamplingEffects, SpecialTokens) {
  fixture.runner.script = {'a', testing::kUser, 'b'};
  const auto shown = [&](std::string_view members) {
    return std::string(json::parse(fixture.answer(kCompletions, completion_body(members))->body())
                           .at("choices")
                           .at(0)
                           .at("text")
                           .as_string());
  };
  EXPECT_EQ(shown(""), "ab");
  EXPECT_EQ(shown(R"("skip_special_tokens":false)"), "a<|user|>b");
  EXPECT_EQ(shown(R"("skip_special_tokens":false,"include_stop_str_in_output":true)"),
            "a<|user|>b</s>");
  EXPECT_EQ(shown(R"("skip_special_tokens":false,"stop":"user|>b")"), "a<|");
}

// 'a' has about half of the mass, 0.3 % each of the others.
constexpr float kHalf = 6;

TEST_F(SamplingEffects, Truncation) {
  const std::ptrdiff_t plain = likes("", kHalf);
  EXPECT_GT(plain, 8);
  EXPECT_LT(plain, 32);
  for (const char* all : {R"("temperature":0)", R"("temperature":0.1)", R"("top_k":1)",
                          R"("top_p":0.1)", R"("min_p":0.5)", R"("top_n_sigma":1)"}) {
    EXPECT_EQ(likes(all, kHalf), 40) << all;
  }
  EXPECT_EQ(likes(R"("xtc_probability":1,"xtc_threshold":0.001)", kHalf), 0);
  // What is far likelier than the others is not typical of many.
  EXPECT_GT(likes("", 4), 0);
  EXPECT_EQ(likes(R"("typical_p":0.2)", 4), 0);
  for (const char* off : {R"("top_k":-1)", R"("top_k":0)", R"("top_p":1)", R"("min_p":0)",
                          R"("top_n_sigma":-1)", R"("top_n_sigma":0)", R"("typical_p":1)",
                          R"("xtc_probability":0,"xtc_threshold":0.5)", R"("logit_bias":{})"}) {
    EXPECT_EQ(likes(off, kHalf), plain) << off;
  }
  EXPECT_LT(likes(R"("temperature":2)", kHalf), plain);
}

TEST_F(SamplingEffects, PenaltiesMakeRepetitionsRare) {
  EXPECT_EQ(likes(R"("temperature":0)", 1.5F), 40);
  for (const char* less :
       {R"("presence_penalty":2)", R"("frequency_penalty":1)", R"("repetition_penalty":3)",
        R"("repeat_penalty":3)", R"("dry_multiplier":5,"dry_allowed_length":1)"}) {
    EXPECT_LT(likes(fmt::format(R"("temperature":0,{})", less), 1.5F), 30) << less;
  }
  for (const char* same :
       {R"("presence_penalty":-2)", R"("repetition_penalty":1)", R"("dry_multiplier":0)",
        R"("dry_multiplier":5,"dry_penalty_last_n":0)",
        R"("dry_multiplier":5,"dry_allowed_length":40)",
        R"("dry_multiplier":5,"dry_allowed_length":1,"dry_sequence_breakers":["a"])"}) {
    EXPECT_EQ(likes(fmt::format(R"("temperature":0,{})", same), 1.5F), 40) << same;
  }
}

TEST_F(SamplingEffects, Seeds) {
  const auto drawn = [&](std::string_view seed) {
    return text(fmt::format(R"("max_tokens":16,{})", seed), {"a", true, 3});
  };
  EXPECT_EQ(drawn(R"("seed":5)"), drawn(R"("seed":5)"));
  EXPECT_NE(drawn(R"("seed":5)"), drawn(R"("seed":6)"));
  EXPECT_NE(drawn(R"("user":"me")"), drawn(R"("user":"me")"));
}

TEST_F(SamplingEffects, ThinkingBudget) {
  const auto thought = [&](std::string_view endpoint, std::string_view members) {
    fixture.wait_idle();
    fixture.runner.endless = true;
    const bool chat = endpoint == kChat;
    const auto answer =
        fixture.answer(std::string(endpoint), chat ? chat_body(members) : completion_body(members));
    EXPECT_EQ(answer->status(), 200) << answer->body();
    const json::value body = json::parse(answer->body());
    std::vector<engine::TokenId> ids;
    for (const json::value& id : body.at("choices").at(0).at("token_ids").as_array()) {
      ids.push_back(id.to_number<engine::TokenId>());
    }
    return ids;
  };
  const std::string few = R"("max_tokens":6,"return_token_ids":true,"thinking_token_budget":2)";
  fixture.runner.script = {testing::kThink, 'a', 'b', 'c', 'd', 'e'};
  const std::vector<engine::TokenId> closed{testing::kThink,    'a', 'b',
                                            testing::kThinkEnd, 'd', 'e'};
  EXPECT_EQ(thought(kChat, few), closed);
  EXPECT_EQ(thought(kCompletions, few), closed);
  // The prompt may have opened it.
  fixture.runner.script = bytes_of("abcdef");
  const auto answer =
      fixture.answer(kCompletions, R"({"model":"tiny","prompt":"<think>",)" + few + "}");
  EXPECT_EQ(json::parse(answer->body()).at("choices").at(0).at("token_ids").at(2).as_int64(),
            testing::kThinkEnd);
}

TEST_F(SamplingEffects, GuessesChangeNothing) {
  const std::string members = R"("max_tokens":60)";
  const std::string alone = text(members + R"(,"speculative_tokens":0)", kLoop);
  EXPECT_EQ(fixture.engine.metrics().guessed_tokens, 0u);
  EXPECT_EQ(text(members, kLoop), alone);
  const auto made = fixture.engine.metrics().guessed_tokens;
  EXPECT_GT(made, 0u);
  EXPECT_EQ(text(members + R"(,"speculative_tokens":2)", kLoop), alone);
  EXPECT_GT(fixture.engine.metrics().guessed_tokens, made);
  const auto refused = fixture.answer(kChat, chat_body(R"("speculative_tokens":5)"));
  EXPECT_EQ(error_of(*refused, 400).at("param").as_string(), "speculative_tokens");
  SamplingFixture off;
  const auto none = off.answer(kChat, chat_body(R"("speculative_tokens":1)"));
  EXPECT_EQ(error_of(*none, 400).at("code").as_string(), "unsupported_value");
}

TEST_F(SamplingEffects, CacheSaltKeepsPrefixesApart) {
  const std::string prompt(64, 'p');
  const auto cached = [&](std::string_view members) {
    fixture.wait_idle();
    fixture.runner.script = bytes_of("x");
    const auto answer = fixture.answer(
        kCompletions,
        fmt::format(R"({{"model":"tiny","prompt":"{}","max_tokens":1{}}})", prompt, members));
    return json::parse(answer->body())
        .at("usage")
        .at("prompt_tokens_details")
        .at("cached_tokens")
        .as_int64();
  };
  EXPECT_EQ(cached(""), 0);
  EXPECT_GT(cached(""), 0);
  EXPECT_EQ(cached(R"(,"cache_salt":"mine")"), 0);
  EXPECT_GT(cached(R"(,"cache_salt":"mine")"), 0);
  EXPECT_EQ(cached(R"(,"cache_salt":"theirs")"), 0);
}

TEST_F(SamplingEffects, TimeoutEndsTheRequest) {
  fixture.runner.script = bytes_of("abc");
  fixture.runner.endless = true;
  fixture.runner.step_delay_us = 2000;
  const std::string late = R"("timeout":0.05,"max_tokens":150,"ignore_eos":true)";
  const auto whole = fixture.answer(kChat, chat_body(late));
  EXPECT_EQ(error_of(*whole, 408).at("code").as_string(), "deadline_exceeded");
  const auto stream = fixture.answer(kChat, chat_body(late + R"(,"stream":true)"));
  EXPECT_EQ(stream->status(), 200);
  EXPECT_NE(stream->body().find("deadline_exceeded"), std::string::npos) << stream->body();
  fixture.runner.step_delay_us = 0;
  EXPECT_EQ(fixture.answer(kChat, chat_body(R"("timeout":60,"max_tokens":5)"))->status(), 200);
  fixture.wait_idle();
}

TEST_F(SamplingEffects, LowerPriorityGoesFirst) {
  fixture.runner.script = bytes_of("a");
  fixture.engine.pause();
  // More than run at once: eight of these wait.
  std::vector<std::shared_ptr<testing::TestResponder>> answers;
  std::vector<int> order;
  for (int i = 0; i < 16; ++i) {
    answers.push_back(fixture.post(
        kCompletions, completion_body(fmt::format(R"("max_tokens":50,"ignore_eos":true,)"
                                                  R"("min_tokens":40,"priority":{})",
                                                  i < 8 ? 5 : -5))));
  }
  fixture.executor.run_until([&] { return fixture.engine.metrics().requests_waiting == 16; });
  fixture.engine.resume();
  std::vector<char> seen(16);
  while (order.size() < 16) {
    fixture.executor.run_until([&] {
      for (std::size_t i = 0; i < 16; ++i) {
        if (answers[i]->finished() && std::exchange(seen[i], 1) == 0) {
          order.push_back(static_cast<int>(i));
          return true;
        }
      }
      return false;
    });
  }
  std::vector<int> first(order.begin(), order.begin() + 8);
  EXPECT_TRUE(std::ranges::all_of(first, [](int i) { return i >= 8; }));
}

// What only the engine can tell comes as a 400 with the field's name, too.
TEST_F(SamplingEffects, WhatDependsOnTwoFields) {
  fixture.runner.script = bytes_of("a");
  for (const auto& [members, param] : {std::pair{R"("min_tokens":5,"max_tokens":4)", "min_tokens"},
                                       {R"("bad_words":["a",""])", "bad_words[1]"},
                                       {R"("logit_bias":{"262":1})", "logit_bias"},
                                       {R"("use_beam_search":true)", "use_beam_search"}}) {
    for (const bool stream : {false, true}) {
      const auto answer = fixture.answer(
          kChat, chat_body(std::string(members) + (stream ? R"(,"stream":true)" : "")));
      EXPECT_EQ(error_of(*answer, 400).at("param").as_string(), param);
    }
  }
  const std::string long_word = R"("bad_words":[")" + std::string(65, 'w') + R"("])";
  EXPECT_EQ(error_of(*fixture.answer(kChat, chat_body(long_word)), 400).at("param").as_string(),
            "bad_words");
}

// Reasoning whose marks are words may come before an answer that is constrained; the constraint
// then holds from its end on.
TEST(ReasoningInWords, ComesBeforeAConstrainedAnswer) {
  const std::string thought = "Here is my thought process:because Here is my response:";
  struct Row {
    std::string says, content, reasoning;
  };
  for (const auto& [says, content, reasoning] :
       {Row{thought + "no", "no", "because"}, Row{"yes", "yes", ""},
        Row{thought + " yes, or so", "yes", "because"}}) {
    testing::FixtureOptions options;
    options.sample = kernels::scalar_kernels()->sample;
    options.reasoning = find_reasoning_format("granite");
    ServiceFixture fixture(options);
    fixture.runner.script = bytes_of(says);
    const auto answer = fixture.answer(
        kChat, chat_body(R"("temperature":0,"max_tokens":90,"structured_outputs":{"choice":)"
                         R"(["yes","no"]})"));
    ASSERT_EQ(answer->status(), 200) << says << answer->body();
    const json::value choice = json::parse(answer->body()).at("choices").at(0);
    EXPECT_EQ(choice.at("message").at("content").as_string(), content) << says;
    EXPECT_EQ(choice.at("finish_reason").as_string(), "stop");
    const json::value* told = choice.at("message").as_object().if_contains("reasoning_content");
    EXPECT_EQ(told != nullptr && told->is_string() ? told->as_string() : "", reasoning) << says;

    const auto whole = fixture.answer(
        kChat, chat_body(R"("temperature":0,"max_tokens":90,"separate_reasoning":false,)"
                         R"("structured_outputs":{"choice":["yes","no"]})"));
    ASSERT_EQ(whole->status(), 200) << whole->body();
    const json::value message = json::parse(whole->body()).at("choices").at(0).at("message");
    const std::string_view text = message.at("content").as_string();
    EXPECT_EQ(text, says.substr(0, text.size()));
    EXPECT_TRUE(text.ends_with(content)) << text;
    EXPECT_EQ(text.size() > content.size(), !reasoning.empty()) << text;
  }
}

}  // namespace
}  // namespace vsurge::api
