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

}  // namespace
}  // namespace vsurge::api
