// The endpoints over a real engine: answers, streams, refusals, and the small endpoints.
#include "api/service.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <random>
#include <regex>

#include "api/routes.h"
#include "api/service_fixture.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using testing::bytes_of;
using testing::chat_body;
using testing::completion_body;
using testing::error_of;
using testing::events_of;
using testing::kChat;
using testing::kCompletions;
using testing::ServiceFixture;
using testing::Stream;
using testing::TestResponder;

// Ids and times replaced, to compare with a golden text.
std::string masked(std::string text) {
  text = std::regex_replace(text, std::regex(R"("id":"(chatcmpl|cmpl)-[0-9a-f]{24}")"),
                            R"("id":"$1-ID")");
  // Times of this run.
  text = std::regex_replace(text,
                            std::regex(R"(,"tokens_per_second":[0-9.]+,"processing_time":[0-9.]+,)"
                                       R"("first_token_time":[0-9.]+)"),
                            ",T");
  return std::regex_replace(text, std::regex(R"("created":[0-9]{10})"), R"("created":T)");
}

TEST(Service, Chat) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("Hé\n\"😀\"");
  const auto answer = fixture.answer(kChat, chat_body());
  EXPECT_EQ(answer->status(), 200);
  EXPECT_EQ(answer->header("Content-Type"), "application/json");
  // <s><|user|>hi<|assistant|>; the answer has ten bytes and the end of text.
  EXPECT_EQ(masked(answer->body()),
            R"({"id":"chatcmpl-ID","object":"chat.completion","created":T,"model":"tiny",)"
            R"("system_fingerprint":"fp_test","choices":[{"index":0,"message":)"
            R"({"role":"assistant","content":"Hé\n\"😀\"","refusal":null},"logprobs":null,)"
            R"("finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":11,)"
            R"("total_tokens":16,"prompt_tokens_details":{"cached_tokens":0},)"
            R"("completion_tokens_details":{"reasoning_tokens":0},T}})");
  fixture.wait_idle();
}

TEST(Service, ChatStream) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("aé");
  const auto answer =
      fixture.answer(kChat, chat_body(R"("stream":true,"stream_options":{"include_usage":true})"));
  EXPECT_EQ(answer->status(), 200);
  EXPECT_EQ(answer->header("Content-Type"), "text/event-stream");
  EXPECT_EQ(answer->header("Cache-Control"), "no-cache");
  EXPECT_TRUE(answer->ended());
  const std::string head =
      R"(data: {"id":"chatcmpl-ID","object":"chat.completion.chunk","created":T,"model":"tiny",)"
      R"("system_fingerprint":"fp_test","choices":[)";
  const auto choice = [&](std::string_view delta, std::string_view finish) {
    return fmt::format(R"({}{{"index":0,"delta":{},"logprobs":null,"finish_reason":{}}}],)"
                       R"("usage":null}})",
                       head, delta, finish) +
           "\n\n";
  };
  EXPECT_EQ(masked(answer->body()),
            choice(R"({"role":"assistant","content":"","refusal":null})", "null") +
                choice(R"({"content":"a"})", "null") + choice(R"({"content":"é"})", "null") +
                choice("{}", R"("stop")") + head +
                R"(],"usage":{"prompt_tokens":5,"completion_tokens":4,"total_tokens":9,)"
                R"("prompt_tokens_details":{"cached_tokens":0},)"
                R"("completion_tokens_details":{"reasoning_tokens":0},T}})" +
                "\n\ndata: [DONE]\n\n");
}

TEST(Service, Completions) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("0123456789abcdefghij");
  // Sixteen tokens where the client names no number; <s>hi are three.
  EXPECT_EQ(masked(fixture.answer(kCompletions, completion_body())->body()),
            R"({"id":"cmpl-ID","object":"text_completion","created":T,"model":"tiny",)"
            R"("system_fingerprint":"fp_test","choices":[{"text":"0123456789abcdef","index":0,)"
            R"("logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":3,)"
            R"("completion_tokens":16,"total_tokens":19,)"
            R"("prompt_tokens_details":{"cached_tokens":0},)"
            R"("completion_tokens_details":{"reasoning_tokens":0},T}})");
  const auto stream = events_of(
      fixture.answer(kCompletions, completion_body(R"("stream":true,"max_tokens":30)"))->body());
  EXPECT_EQ(stream.text(), "0123456789abcdefghij");
  EXPECT_EQ(stream.finish(), "stop");
  EXPECT_TRUE(stream.done);
  EXPECT_FALSE(stream.chunks[0].as_object().contains("usage"));
}

// The fixture's tokens with other texts: a and b, a beginning, and those of infilling.
text::Tokenizer infill_tokenizer() {
  text::GgufVocabulary made;
  made.kind = "gpt2";
  made.pre = "gpt-2";
  for (int id = 0; id < testing::kVocabulary; ++id) made.tokens.push_back(fmt::format("t{}", id));
  made.types.assign(made.tokens.size(), 1);
  made.tokens[0] = "a";
  made.tokens[1] = "b";
  const auto special = [&](std::size_t id, const char* token) {
    made.tokens[id] = token;
    made.types[id] = 3;
  };
  special(testing::kBos, "<s>");
  special(2, "<|fim_prefix|>");
  special(3, "<|fim_suffix|>");
  special(4, "<|fim_middle|>");
  special(5, "<|file_sep|>");
  made.bos = testing::kBos;
  made.add_bos = true;
  auto tokenizer = text::Tokenizer::from_gguf(made);
  EXPECT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
  return std::move(*tokenizer);
}

TEST(Service, FillsAGap) {
  ServiceFixture fixture;
  fixture.assets.tokenizer = infill_tokenizer();
  fixture.assets.infill = text::find_infill_tokens(fixture.assets.tokenizer);
  fixture.runner.script = {7, 5, 8};  // the second ends a file
  const auto choice = [&](std::string_view members) {
    const auto body = fmt::format(R"({{"model":"tiny","return_token_ids":true,{}}})", members);
    const auto answer = fixture.answer(kCompletions, body);
    return json::parse(answer->body()).at("choices").at(0);
  };
  const auto gap = choice(R"("prompt":"ab","suffix":"b")");
  EXPECT_EQ(json::serialize(gap.at("prompt_token_ids")), "[256,2,0,1,3,1,4]");
  EXPECT_EQ(gap.at("text").as_string(), "t7");
  EXPECT_EQ(gap.at("finish_reason").as_string(), "stop");
  EXPECT_EQ(gap.at("stop_reason").as_int64(), 5);
  const auto bare = choice(R"("prompt":"","suffix":"b","add_special_tokens":false)");
  EXPECT_EQ(json::serialize(bare.at("prompt_token_ids")), "[2,3,1,4]");
  const auto on = choice(R"("prompt":"ab","suffix":"b","ignore_eos":true,"max_tokens":3)");
  EXPECT_EQ(on.at("text").as_string(), "t7t8");
  const auto none = choice(R"("prompt":"ab","suffix":"","max_tokens":3)");
  EXPECT_EQ(json::serialize(none.at("prompt_token_ids")), "[256,0,1]");
}

TEST(Service, RefusesASuffix) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("x");
  const auto refused = [&](std::string_view members, std::string_view code) {
    const auto body = fmt::format(R"({{"model":"tiny","suffix":"b",{}}})", members);
    const json::value error = error_of(*fixture.answer(kCompletions, body), 400);
    EXPECT_EQ(error.at("code").as_string(), code) << members;
    EXPECT_EQ(error.at("param").as_string(), "suffix") << members;
  };
  refused(R"("prompt":"a")", "unsupported_value");  // no tokens for it
  fixture.assets.tokenizer = infill_tokenizer();
  refused(R"("prompt":[1,2])", "invalid_value");
  refused(R"("prompt":[[1],[2]])", "invalid_value");
  refused(R"("prompt":"a","echo":true)", "invalid_value");
  refused(R"("prompt":"a","truncate_prompt_tokens":3)", "invalid_value");
}

TEST(Service, EveryChunkHasItsHead) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("abc");
  const auto stream = events_of(fixture.answer(kChat, chat_body(R"("stream":true)"))->body());
  ASSERT_EQ(stream.chunks.size(), 5u);
  for (const json::value& chunk : stream.chunks) {
    EXPECT_EQ(chunk.at("id"), stream.chunks[0].at("id"));
    EXPECT_EQ(chunk.at("object").as_string(), "chat.completion.chunk");
    EXPECT_EQ(chunk.at("created"), stream.chunks[0].at("created"));
    EXPECT_EQ(chunk.at("model").as_string(), "tiny");
    EXPECT_EQ(chunk.at("system_fingerprint").as_string(), "fp_test");
  }
}

TEST(Service, SeveralPromptsAreChoicesByIndex) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("xyz");
  const std::string body = R"({"model":"org/tiny","prompt":["a","bb",""],"max_tokens":2,"stream":)";
  const json::value answer = json::parse(fixture.answer(kCompletions, body + "false}")->body());
  ASSERT_EQ(answer.at("choices").as_array().size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(answer.at("choices").at(i).at("index").to_number<std::size_t>(), i);
    EXPECT_EQ(answer.at("choices").at(i).at("text").as_string(), "xy");
  }
  EXPECT_EQ(answer.at("usage").at("prompt_tokens").as_int64(), 2 + 3 + 1);
  EXPECT_EQ(answer.at("usage").at("completion_tokens").as_int64(), 6);
  const Stream stream = events_of(fixture.answer(kCompletions, body + "true}")->body());
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(stream.text(i), "xy");
    EXPECT_EQ(stream.finish(i), "length");
  }
  EXPECT_TRUE(stream.done);
  const json::value ids =
      json::parse(fixture.answer(kCompletions, R"({"model":"tiny","prompt":[[1,2],[3]]})")->body());
  EXPECT_EQ(ids.at("usage").at("prompt_tokens").as_int64(), 3);
}

TEST(Service, StopStringEndsTheAnswerAndCancels) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("one two ST");
  fixture.runner.script.insert(fixture.runner.script.end(), {'O', 'P', '!', '!'});
  fixture.runner.endless = true;
  fixture.runner.step_delay_us = 200;
  for (const char* streamed : {"false", "true"}) {
    const auto answer = fixture.answer(
        kChat, chat_body(fmt::format(R"("stop":["STOP","x"],"stream":{})", streamed)));
    std::string told = answer->body();
    const std::string reason = R"("stop_reason":"STOP")";
    ASSERT_NE(told.find(reason), std::string::npos) << told;
    told.erase(told.find(reason), reason.size());
    EXPECT_EQ(told.find("ST"), std::string::npos) << told;
    if (answer->sent()) {
      const json::value body = json::parse(answer->body());
      EXPECT_EQ(body.at("choices").at(0).at("message").at("content").as_string(), "one two ");
      EXPECT_EQ(body.at("choices").at(0).at("finish_reason").as_string(), "stop");
      EXPECT_EQ(body.at("usage").at("completion_tokens").as_int64(), 12);
    } else {
      EXPECT_EQ(events_of(answer->body()).text(), "one two ");
      EXPECT_EQ(events_of(answer->body()).finish(), "stop");
    }
    fixture.wait_idle();
  }
  EXPECT_EQ(fixture.engine.metrics().requests_cancelled, 2u);
}

TEST(Service, HeldBackTextComesWhenTheAnswerEnds) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("abcST");
  fixture.runner.script.push_back(0xF0);  // half a character
  fixture.runner.script.push_back(0x9F);
  const auto body = json::parse(fixture.answer(kChat, chat_body(R"("stop":"ST\ufffd!")"))->body());
  EXPECT_EQ(body.at("choices").at(0).at("message").at("content").as_string(), "abcST\uFFFD");
}

TEST(Service, SpecialTokensAreNotShown) {
  ServiceFixture fixture;
  fixture.runner.script = {'a', testing::kAssistant, 'b', testing::kBos, 'c'};
  EXPECT_EQ(events_of(fixture.answer(kChat, chat_body(R"("stream":true)"))->body()).text(), "abc");
}

// Random bytes (broken characters among them), random stop strings: streamed and whole are equal.
TEST(Service, StreamedTextEqualsTheWhole) {
  ServiceFixture fixture;
  std::mt19937 random(3);
  const std::vector<std::string> pieces = {"a", "b", "<", "ü", "€", "😀", "\xF0\x9F", "\x80", "\n"};
  int stopped = 0;
  for (int round = 0; round < 150; ++round) {
    std::string text;
    for (std::size_t n = random() % 40; n > 0; --n) text += pieces[random() % pieces.size()];
    fixture.wait_idle();  // a stop string ends an answer before the engine knows
    fixture.runner.script = bytes_of(text);
    std::string stops;
    for (std::size_t n = random() % 4; n > 0; --n) {
      std::string stop;
      for (std::size_t k = 1 + random() % 3; k > 0; --k) stop += pieces[random() % 6];
      stops += (stops.empty() ? "\"" : ",\"") + stop + '"';
    }
    const std::string members =
        fmt::format(R"("stop":[{}],"max_tokens":{},"stream":)", stops, 1 + random() % 60);
    const auto whole = json::parse(fixture.answer(kChat, chat_body(members + "false"))->body());
    const Stream stream = events_of(fixture.answer(kChat, chat_body(members + "true"))->body());
    const json::value& choice = whole.at("choices").at(0);
    ASSERT_EQ(stream.text(), std::string(choice.at("message").at("content").as_string()));
    ASSERT_EQ(stream.finish(), std::string(choice.at("finish_reason").as_string()));
    for (const json::value& chunk : stream.chunks) ASSERT_TRUE(chunk.is_object());
    stopped += choice.at("finish_reason").as_string() == "stop" ? 1 : 0;
  }
  EXPECT_GT(stopped, 20);
  fixture.wait_idle();
}

TEST(Service, CallsThatMustCome) {
  ServiceFixture fixture;
  fixture.assets.chat_template =
      *text::ChatTemplate::compile("{{ tools }}{% for m in messages %}{{ m.content }}{% endfor %}");
  const std::string tools =
      R"("tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],)"
      R"("tool_choice":"required")";
  for (const auto& [field, value] : {std::pair("ignore_eos", "true"), {"min_tokens", "3"}}) {
    const json::value error = error_of(
        *fixture.answer(kChat, chat_body(fmt::format(R"({},"{}":{})", tools, field, value))), 400);
    EXPECT_EQ(error.at("param").as_string(), field);
  }
  const std::string without = R"("tool_choice":"required")";
  EXPECT_EQ(error_of(*fixture.answer(kChat, chat_body(without)), 400).at("param").as_string(),
            "tool_choice");
}

TEST(Service, DescribesItself) {
  ServiceFixture fixture;
  const json::value api = json::parse(fixture.get("/openapi.json")->body());
  const json::object& paths = api.at("paths").get_object();
  for (const Route& route : route_table()) {
    ASSERT_TRUE(paths.contains(route.path)) << route.path;
    EXPECT_TRUE(paths.at(route.path).get_object().size() > 0);
  }
  const json::value& chat = paths.at("/v1/chat/completions").at("post");
  const json::object& fields = chat.at("requestBody")
                                   .at("content")
                                   .at("application/json")
                                   .at("schema")
                                   .at("properties")
                                   .get_object();
  EXPECT_TRUE(fields.contains("messages") && fields.contains("tools"));
  EXPECT_FALSE(fields.contains("robot"));
  EXPECT_NE(fixture.get("/docs")->body().find("/v1/chat/completions"), std::string::npos);
  EXPECT_TRUE(
      json::parse(fixture.get("/v1/tools")->body()).at("models").get_object().contains("tiny"));
}

// Refusals.

struct Refusal {
  std::string body;
  int status;
  std::string_view code;
  std::string_view param;
};

TEST(Service, Refusals) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("x");
  const std::string long_text(testing::kContext, 'x');
  const Refusal chat[] = {
      {"", 400, "invalid_json", ""},
      {"{", 400, "invalid_json", ""},
      {"\xFF", 400, "invalid_utf8", ""},
      {"[]", 400, "invalid_type", ""},
      {R"({"messages":[]})", 400, "missing_required_parameter", "model"},
      {R"({"model":"tiny"})", 400, "missing_required_parameter", "messages"},
      {R"({"model":"other","messages":[{"role":"user","content":"x"}]})", 404, "model_not_found",
       "model"},
      {R"({"model":"tiny","messages":[{"role":"system","content":"x"}]})", 400, "template_error",
       "messages"},
      {fmt::format(R"({{"model":"tiny","messages":[{{"role":"user","content":"{}"}}]}})",
                   long_text),
       400, "context_length_exceeded", "messages"},
      {chat_body(R"("temperature":3)"), 400, "invalid_value", "temperature"},
      {chat_body(R"("tools":[1])"), 400, "invalid_type", "tools[0]"},
      {chat_body(R"("x":1)"), 400, "unknown_parameter", "x"},
      {R"({"model":"tiny","messages":[{"role":"user","content":[{"type":"image_url"}]}]})", 400,
       "unsupported_value", "messages[0].content[0].type"},
  };
  for (const Refusal& row : chat) {
    const auto answer = fixture.answer(kChat, row.body);
    const json::value error = error_of(*answer, row.status);
    EXPECT_EQ(error.at("code").as_string(), row.code) << row.body;
    EXPECT_EQ(error.at("type").as_string(), "invalid_request_error");
    if (row.param.empty()) {
      EXPECT_TRUE(error.at("param").is_null());
    } else {
      EXPECT_EQ(error.at("param").as_string(), row.param) << row.body;
    }
  }
  EXPECT_EQ(error_of(*fixture.answer(kCompletions, R"({"model":"tiny","prompt":[300]})"), 400)
                .at("param")
                .as_string(),
            "prompt[0]");
}

TEST(Service, ContextLength) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("xy");
  const auto ids = [](int prompt, int max_tokens) {
    std::string body = R"({"model":"tiny","prompt":[1)";
    for (int i = 1; i < prompt; ++i) body += ",1";
    body += "]";
    if (max_tokens > 0) body += fmt::format(R"(,"max_tokens":{})", max_tokens);
    return body + "}";
  };
  const int context = testing::kContext;
  EXPECT_EQ(fixture.answer(kCompletions, ids(context - 1, 0))->status(), 200);
  EXPECT_EQ(fixture.answer(kCompletions, ids(context - 1, 1))->status(), 200);
  EXPECT_EQ(fixture.answer(kCompletions, ids(context - 50, 50))->status(), 200);
  for (const auto& [prompt, max_tokens] :
       {std::pair(context, 0), {context + 1, 0}, {context - 50, 51}, {1, 2147483647}}) {
    const json::value error = error_of(*fixture.answer(kCompletions, ids(prompt, max_tokens)), 400);
    EXPECT_EQ(error.at("code").as_string(), "context_length_exceeded");
    EXPECT_EQ(error.at("param").as_string(), "prompt");
    const std::string message(error.at("message").as_string());
    EXPECT_NE(message.find(std::to_string(context)), std::string::npos);
    EXPECT_NE(message.find(std::to_string(prompt)), std::string::npos);
    if (max_tokens > 0) {
      EXPECT_NE(message.find(std::to_string(max_tokens)), std::string::npos);
    }
  }
}

TEST(Service, TextsFarBeyondTheContext) {
  ServiceFixture fixture;
  const int context = testing::kContext;
  const std::string text(static_cast<std::size_t>(context) * 1000, 'a');
  const json::value error = error_of(
      *fixture.answer(kCompletions, fmt::format(R"({{"model":"tiny","prompt":"{}"}})", text)), 400);
  EXPECT_EQ(error.at("code").as_string(), "context_length_exceeded");
  EXPECT_EQ(error.at("param").as_string(), "prompt");
  EXPECT_EQ(error.at("message").as_string(),
            fmt::format("This model's context is {} tokens; the prompt has more than {}.", context,
                        2 * context));
}

TEST(Service, LongestPrompt) {
  ServiceFixture fixture({.prompt_max = 3});
  fixture.runner.script = bytes_of("xy");
  EXPECT_EQ(
      fixture.answer(kCompletions, R"({"model":"tiny","prompt":[1,2,3],"max_tokens":2})")->status(),
      200);
  const json::value error = error_of(
      *fixture.answer(kCompletions, R"({"model":"tiny","prompt":[1,2,3,4],"max_tokens":2})"), 400);
  EXPECT_EQ(error.at("code").as_string(), "context_length_exceeded");
  EXPECT_EQ(error.at("param").as_string(), "prompt");
  EXPECT_EQ(error.at("message").as_string(),
            "This server takes prompts of at most 3 tokens; the prompt has 4.");
}

TEST(Service, NoChatTemplate) {
  ServiceFixture fixture({.chat_template = false});
  fixture.runner.script = bytes_of("x");
  EXPECT_EQ(error_of(*fixture.answer(kChat, chat_body()), 400).at("code").as_string(),
            "template_error");
  EXPECT_EQ(fixture.answer(kCompletions, completion_body())->status(), 200);
}

TEST(Service, QueuesFull) {
  ServiceFixture no_workers({.text_queue_bytes_max = 10});
  const auto refused = no_workers.answer(kChat, chat_body());
  EXPECT_EQ(error_of(*refused, 429).at("code").as_string(), "server_overloaded");
  EXPECT_EQ(error_of(*refused, 429).at("type").as_string(), "rate_limit_error");
  EXPECT_FALSE(refused->header("Retry-After").empty());

  ServiceFixture fixture({.queue_requests_max = 1});
  fixture.runner.script = bytes_of("x");
  fixture.engine.pause();
  std::vector<std::shared_ptr<TestResponder>> responders;
  for (int i = 0; i < 4; ++i) responders.push_back(fixture.post(kChat, chat_body()));
  const auto count = [&](int status) {
    return std::ranges::count_if(responders, [&](const auto& r) { return r->status() == status; });
  };
  fixture.executor.run_until([&] { return count(429) >= 3; });
  fixture.engine.resume();
  fixture.executor.run_until([&] { return count(200) == 1; });
  EXPECT_EQ(count(429), 3);
}

TEST(Service, OneOfSeveralPromptsRefusedEndsAll) {
  ServiceFixture fixture({.queue_requests_max = 2});
  fixture.runner.script = bytes_of("x");
  fixture.engine.pause();
  const auto answer =
      fixture.answer(kCompletions, R"({"model":"tiny","prompt":["a","b","c","d"]})");
  EXPECT_EQ(answer->status(), 429);
  fixture.engine.resume();
  fixture.wait_idle();
}

// The rest of the endpoints.

TEST(Service, Models) {
  ServiceFixture fixture;
  const json::value list = json::parse(fixture.get("/v1/models")->body());
  EXPECT_EQ(list.at("object").as_string(), "list");
  ASSERT_EQ(list.at("data").as_array().size(), 2u);
  EXPECT_EQ(list.at("data").at(1).at("id").as_string(), "org/tiny");
  const json::value one = json::parse(fixture.get("/v1/models/org/tiny")->body());
  EXPECT_EQ(one, list.at("data").at(1));
  EXPECT_EQ(one.at("object").as_string(), "model");
  EXPECT_EQ(one.at("owned_by").as_string(), "vsurge");
  EXPECT_EQ(one.at("max_model_len").as_int64(), testing::kContext);
  EXPECT_GT(one.at("created").as_int64(), 1'600'000'000);
  EXPECT_EQ(one.at("metadata").at("architecture").as_string(), "llama");
  EXPECT_EQ(error_of(*fixture.get("/v1/models/none"), 404).at("code").as_string(),
            "model_not_found");
}

TEST(Service, HealthAndShutdown) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("abc");
  EXPECT_EQ(fixture.get("/health")->status(), 200);
  fixture.engine.pause();
  const auto accepted = fixture.post(kChat, chat_body());
  fixture.executor.run_until([&] { return fixture.engine.metrics().requests_waiting == 1; });
  const auto paused = fixture.get("/health");
  EXPECT_EQ(paused->status(), 503);
  const json::value health = json::parse(paused->body());
  EXPECT_EQ(health.at("status").as_string(), "paused");
  EXPECT_EQ(health.at("active_requests").as_int64(), 1);
  EXPECT_TRUE(health.at("models").at("tiny").at("loaded").as_bool());
  EXPECT_EQ(health.at("models").at("tiny").at("waiting").as_int64(), 1);
  EXPECT_GE(health.at("uptime_seconds").as_double(), 0.0);
  EXPECT_GT(health.at("timestamp").as_int64(), 1'600'000'000);

  fixture.service.begin_shutdown();
  EXPECT_EQ(fixture.get("/health")->status(), 503);
  EXPECT_EQ(fixture.get("/health")->body(), R"({"status":"shutting_down"})");
  const auto refused = fixture.answer(kChat, chat_body());
  EXPECT_EQ(error_of(*refused, 503).at("code").as_string(), "shutting_down");
  EXPECT_NE(refused->header("Retry-After"), "");
  fixture.engine.resume();
  fixture.finish(*accepted);
  EXPECT_EQ(accepted->status(), 200);
}

TEST(Service, RoutesAndMethods) {
  ServiceFixture fixture;
  EXPECT_EQ(fixture.get("/version")->body(), R"({"version":"9.8.7"})");
  EXPECT_EQ(error_of(*fixture.get("/nothing\x1B"), 404).at("code").as_string(), "not_found");
  const auto wrong = fixture.get(kChat);
  EXPECT_EQ(error_of(*wrong, 405).at("code").as_string(), "method_not_allowed");
  EXPECT_EQ(wrong->header("Allow"), "POST, OPTIONS");
  HttpRequest request;
  request.method = "OPTIONS";
  request.path = kChat;
  const auto options = fixture.handle(request);
  EXPECT_EQ(options->status(), 204);
  EXPECT_EQ(options->header("Allow"), "POST, OPTIONS");
  EXPECT_EQ(options->body(), "");
  request.method = "HEAD";
  request.path = "/version";
  EXPECT_EQ(fixture.handle(request)->status(), 200);
}

TEST(Service, ContentTypesAndCodings) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("x");
  const auto status = [&](Headers headers) {
    HttpRequest request;
    request.method = "POST";
    request.path = kChat;
    request.headers = std::move(headers);
    request.body = chat_body();
    const auto answer = fixture.handle(std::move(request));
    fixture.finish(*answer);
    return answer->status();
  };
  EXPECT_EQ(status({}), 200);
  for (const char* type : {"application/json", "Application/JSON ; charset=UTF-8",
                           "application/json;charset=\"utf-8\"", "application/json;"}) {
    EXPECT_EQ(status({{"content-type", type}}), 200) << type;
  }
  for (const char* type : {"text/plain", "multipart/form-data; boundary=x",
                           "application/json; charset=utf-16", "application/jsonx"}) {
    EXPECT_EQ(status({{"content-type", type}}), 415) << type;
  }
  EXPECT_EQ(status({{"content-encoding", "identity"}}), 200);
  EXPECT_EQ(status({{"content-encoding", "gzip"}}), 415);
}

TEST(Service, RequestIds) {
  ServiceFixture fixture;
  const auto id_for = [&](std::string id) {
    HttpRequest request;
    request.method = "GET";
    request.path = "/version";
    request.headers = {{"x-request-id", std::move(id)}};
    return fixture.handle(std::move(request))->header("X-Request-ID");
  };
  EXPECT_EQ(id_for("Abc-1_2.3:4"), "Abc-1_2.3:4");
  EXPECT_EQ(id_for(std::string(128, 'x')), std::string(128, 'x'));
  for (const std::string& bad : {std::string(129, 'x'), std::string("a b"), std::string("a\r\nb"),
                                 std::string("ü"), std::string("")}) {
    EXPECT_TRUE(id_for(bad).starts_with("req_"));
    EXPECT_EQ(id_for(bad).size(), 28u);
  }
  EXPECT_NE(id_for(""), id_for(""));
}

TEST(Service, ErrorBody) {
  ServiceFixture fixture;
  EXPECT_EQ(fixture.service.error_body(413, "too \xFF large", "10.0.0.1"),
            R"({"error":{"message":"too \\xff large","type":"invalid_request_error",)"
            R"("param":null,"code":"payload_too_large"}})");
}

}  // namespace
}  // namespace vsurge::api
