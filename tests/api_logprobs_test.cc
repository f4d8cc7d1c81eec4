// Logprobs of the prompt, from the bytes of a request to those of its answer.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "tests/api_fixture.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using testing::bytes_of;
using testing::completion_body;
using testing::kChat;
using testing::kCompletions;
using testing::SamplingFixture;

json::value answer(SamplingFixture& fixture, const char* path, const std::string& body) {
  const auto responder = fixture.answer(path, body);
  EXPECT_EQ(responder->status(), 200) << responder->body();
  return json::parse(responder->body());
}

TEST(PromptLogprobs, AsVllmTellsThem) {
  SamplingFixture fixture;
  fixture.runner.script = bytes_of("xy");
  const json::value completion =
      answer(fixture, kCompletions, completion_body(R"("prompt_logprobs":2,"n":2)"));
  for (int i = 0; i < 2; ++i) {
    const json::array& told = completion.at("choices").at(i).at("prompt_logprobs").as_array();
    ASSERT_EQ(told.size(), 3u);  // <s>hi
    EXPECT_TRUE(told[0].is_null());
    const json::object& h = told[1].as_object();
    EXPECT_EQ(h.begin()->key(), "104");  // the token itself comes first
    EXPECT_GE(h.size(), 2u);
    EXPECT_LE(h.size(), 3u);
    EXPECT_EQ(h.at("104").at("decoded_token").as_string(), "h");
    EXPECT_LT(h.at("104").at("logprob").to_number<double>(), 0);
    EXPECT_GE(h.at("104").at("rank").as_int64(), 1);
  }
  const json::value chat = answer(fixture, kChat, testing::chat_body(R"("prompt_logprobs":0)"));
  EXPECT_EQ(chat.at("prompt_logprobs").as_array().size(), 5u);
  EXPECT_EQ(chat.at("prompt_logprobs").at(1).as_object().size(), 1u);
  // All of it, though the prompt is in the cache by now.
  EXPECT_EQ(answer(fixture, kCompletions, completion_body(R"("prompt_logprobs":2,"n":2)"))
                .at("choices")
                .at(0)
                .at("prompt_logprobs"),
            completion.at("choices").at(0).at("prompt_logprobs"));
}

TEST(PromptLogprobs, EchoPutsThePromptFirst) {
  SamplingFixture fixture;
  fixture.runner.script = bytes_of("xé");
  const std::string body = completion_body(R"("echo":true,"logprobs":1,"max_tokens":5)");
  const json::value choice = answer(fixture, kCompletions, body).at("choices").at(0);
  EXPECT_EQ(choice.at("text").as_string(), "hixé");
  const json::value& told = choice.at("logprobs");
  EXPECT_EQ(told.at("tokens"), json::parse(R"(["<s>","h","i","x","bytes:\\xc3","bytes:\\xa9"])"));
  EXPECT_EQ(told.at("text_offset"), json::parse("[0,0,1,2,3,3]"));
  EXPECT_TRUE(told.at("token_logprobs").at(0).is_null());
  EXPECT_TRUE(told.at("top_logprobs").at(0).is_null());
  for (int i = 1; i < 6; ++i) EXPECT_TRUE(told.at("token_logprobs").at(i).is_number()) << i;
  EXPECT_FALSE(choice.as_object().contains("prompt_logprobs"));
  const json::value plain =
      answer(fixture, kCompletions, completion_body(R"("echo":true)")).at("choices").at(0);
  EXPECT_EQ(plain.at("text").as_string(), "hixé");
  EXPECT_TRUE(plain.at("logprobs").is_null());
}

TEST(PromptLogprobs, MaxTokensZeroIsThePromptAlone) {
  SamplingFixture fixture;
  fixture.runner.script = bytes_of("xyz");
  for (const char* streamed : {"false", "true"}) {
    const auto responder = fixture.answer(
        kCompletions,
        completion_body(fmt::format(
            R"("echo":true,"logprobs":0,"max_tokens":0,"return_token_ids":true,"stream":{})",
            streamed)));
    ASSERT_EQ(responder->status(), 200) << responder->body();
    if (!responder->sent()) {
      const testing::Stream stream = testing::events_of(responder->body());
      EXPECT_EQ(stream.text(), "hi");
      EXPECT_EQ(stream.finish(), "length");
      continue;
    }
    const json::value body = json::parse(responder->body());
    const json::value& choice = body.at("choices").at(0);
    EXPECT_EQ(choice.at("text").as_string(), "hi");
    EXPECT_EQ(choice.at("finish_reason").as_string(), "length");
    EXPECT_EQ(choice.at("logprobs").at("tokens").as_array().size(), 3u);
    EXPECT_EQ(choice.at("token_ids").as_array().size(), 0u);
    EXPECT_EQ(choice.at("prompt_token_ids"), json::parse("[256,104,105]"));
    EXPECT_EQ(body.at("usage").at("completion_tokens").as_int64(), 0);
  }
  const auto refused = fixture.answer(kCompletions, completion_body(R"("max_tokens":0)"));
  EXPECT_EQ(testing::error_of(*refused, 400).at("param").as_string(), "max_tokens");
}

TEST(ResponsesLogprobs, GoWithTheText) {
  SamplingFixture fixture;
  fixture.runner.script = bytes_of("abc");
  const auto ask = [&](std::string_view members) {
    const auto responder = fixture.answer(
        "/v1/responses",
        fmt::format(R"({{"model":"tiny","input":"hi","temperature":0,{}}})", members));
    EXPECT_EQ(responder->status(), 200) << responder->body();
    return std::string(responder->body());
  };
  const json::value response =
      json::parse(ask(R"("include":["message.output_text.logprobs"],"top_logprobs":2)"));
  EXPECT_EQ(response.at("top_logprobs").as_int64(), 2);
  const json::array logprobs =
      response.at("output").at(0).at("content").at(0).at("logprobs").as_array();
  ASSERT_EQ(logprobs.size(), 3U);
  EXPECT_EQ(logprobs[1].at("token").as_string(), "b");
  EXPECT_EQ(logprobs[1].at("top_logprobs").as_array().size(), 2U);
  // Streamed they come with their pieces, and are the same in all.
  json::array pieces;
  json::value done, item;
  std::string stream = ask(R"("top_logprobs":2,"stream":true)");
  for (std::size_t at = 0; (at = stream.find("data: ", at)) != std::string::npos;) {
    at += 6;
    const json::value event = json::parse(stream.substr(at, stream.find('\n', at) - at));
    const auto& type = event.at("type").as_string();
    if (type == "response.output_text.done") done = event.at("logprobs");
    if (type == "response.output_item.done") item = event.at("item");
    if (type != "response.output_text.delta") continue;
    for (const json::value& each : event.at("logprobs").as_array()) pieces.push_back(each);
  }
  EXPECT_EQ(pieces, logprobs);
  EXPECT_EQ(done.as_array(), logprobs);
  EXPECT_EQ(item.at("content").at(0).at("logprobs").as_array(), logprobs);
}

// In chat they are top_logprobs, in their order; in completions an object of them and the token
// itself. A prompt that is echoed keeps its likeliest.
TEST(LogprobTokenIds, ReplaceTheLikeliest) {
  SamplingFixture fixture;
  fixture.runner.script = bytes_of("xy");
  const std::string ids = R"("temperature":0,"logprob_token_ids":[122,97,120])";
  const json::value chat =
      answer(fixture, kChat, testing::chat_body(R"("logprobs":true,"top_logprobs":1,)" + ids));
  const json::array& content = chat.at("choices").at(0).at("logprobs").at("content").as_array();
  ASSERT_EQ(content.size(), 2U);
  for (const json::value& each : content) {
    std::string order;
    for (const json::value& told : each.at("top_logprobs").as_array()) {
      order += told.at("token").as_string();
    }
    EXPECT_EQ(order, "zax");
  }
  EXPECT_EQ(content[0].at("token").as_string(), "x");
  EXPECT_EQ(content[0].at("top_logprobs").at(2).at("logprob"), content[0].at("logprob"));
  EXPECT_LT(content[1].at("top_logprobs").at(2).at("logprob").to_number<double>(),
            content[1].at("logprob").to_number<double>());

  const json::value completion =
      answer(fixture, kCompletions, completion_body(R"("echo":true,"logprobs":1,)" + ids));
  const json::array& top =
      completion.at("choices").at(0).at("logprobs").at("top_logprobs").as_array();
  ASSERT_EQ(top.size(), 5U);  // <s>hixy
  EXPECT_LE(top[1].as_object().size(), 2U);
  const auto names = [](const json::value& object) {
    std::string all;
    for (const auto& [name, logprob] : object.as_object()) all += name;
    return all;
  };
  EXPECT_EQ(names(top[3]), "zax");
  EXPECT_EQ(names(top[4]), "zaxy");

  const auto refused = fixture.answer(
      kCompletions, completion_body(R"("n":2,"use_beam_search":true,"logprobs":1,)" + ids));
  EXPECT_EQ(refused->status(), 400);
  EXPECT_EQ(json::parse(refused->body()).at("error").at("param").as_string(), "logprob_token_ids");
}

// A stop token that is shown has logprobs, too.
TEST(StopTokens, HaveLogprobsWhereTheyAreShown) {
  SamplingFixture fixture;
  fixture.runner.script = bytes_of("ab");
  const json::value chat =
      answer(fixture, kChat,
             testing::chat_body(R"("temperature":0,"logprobs":true,"skip_special_tokens":false,)"
                                R"("include_stop_str_in_output":true)"));
  const json::array& content = chat.at("choices").at(0).at("logprobs").at("content").as_array();
  ASSERT_EQ(content.size(), 3U);
  EXPECT_EQ(content[2].at("token").as_string(), "</s>");
  EXPECT_LE(content[2].at("logprob").to_number<double>(), 0);
}

// What is predicted never changes what comes, and usage says how much of it did.
TEST(Prediction, ChangesNothingButTheUsage) {
  for (const int speculative : {0, 4}) {
    SamplingFixture fixture(speculative);
    const std::string text = "one two three four five six seven";
    fixture.runner.script = bytes_of(text);
    const auto ask = [&](std::string_view members) {
      return answer(fixture, kChat,
                    testing::chat_body(fmt::format(R"("temperature":0{})", members)));
    };
    const json::value plain = ask("");
    EXPECT_FALSE(plain.at("usage")
                     .at("completion_tokens_details")
                     .as_object()
                     .contains("accepted_prediction_tokens"));
    const auto with = [&](std::string_view prediction) {
      const json::value told =
          ask(fmt::format(R"(,"prediction":{{"type":"content","content":{}}})", prediction));
      EXPECT_EQ(told.at("choices"), plain.at("choices")) << prediction;
      EXPECT_EQ(told.at("usage").at("completion_tokens"),
                plain.at("usage").at("completion_tokens"));
      return told.at("usage").at("completion_tokens_details");
    };
    const json::value same = with('"' + text + '"');
    EXPECT_GT(same.at("accepted_prediction_tokens").as_int64(), 20);
    EXPECT_EQ(same.at("rejected_prediction_tokens").as_int64(), 0);
    const json::value edited =
        with(R"([{"type":"text","text":"one two 3 four "},{"type":"text","text":"five six"}])");
    EXPECT_GT(edited.at("accepted_prediction_tokens").as_int64(), 10);
    EXPECT_GT(edited.at("rejected_prediction_tokens").as_int64(), 0);
    const json::value other = with(R"("something else altogether")");
    EXPECT_EQ(other.at("accepted_prediction_tokens").as_int64(), 0);
    with(R"("")");
  }
}

}  // namespace
}  // namespace vsurge::api
