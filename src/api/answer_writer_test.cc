#include "api/answer_writer.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <chrono>

namespace vsurge::api {
namespace {

AnswerHead head(Endpoint endpoint) {
  return {.endpoint = endpoint,
          .id = endpoint == Endpoint::kChat ? "chatcmpl-1" : "cmpl-1",
          .created = 1700000000,
          .model = "m\"x",
          .fingerprint = "fp_1"};
}

ChoicePart text_part(std::string text) {
  ChoicePart part;
  part.text = std::move(text);
  return part;
}

TEST(AnswerWriter, ChatStream) {
  const AnswerWriter writer(head(Endpoint::kChat), {.usage_chunks = true});
  std::string out;
  writer.append_role(out, {.index = 0});
  writer.append_output(out, {.index = 0}, text_part("He said \"ü\"\n"));
  writer.append_finish(out, {.index = 0}, "stop");
  writer.append_usage(out, {.prompt_tokens = 7, .cached_tokens = 3, .completion_tokens = 2});
  AnswerWriter::append_done(out);
  const std::string start =
      R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,)"
      R"("model":"m\"x","system_fingerprint":"fp_1","choices":[)";
  EXPECT_EQ(
      out,
      start +
          R"({"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,)"
          R"("finish_reason":null}],"usage":null})" +
          "\n\n" + start +
          R"({"index":0,"delta":{"content":"He said \"ü\"\n"},"logprobs":null,)"
          R"("finish_reason":null}],"usage":null})" +
          "\n\n" + start +
          R"({"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null})" +
          "\n\n" + start +
          R"(],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9,)"
          R"("prompt_tokens_details":{"cached_tokens":3},)"
          R"("completion_tokens_details":{"reasoning_tokens":0}}})" +
          "\n\ndata: [DONE]\n\n");
}

TEST(AnswerWriter, CompletionStream) {
  const AnswerWriter writer(head(Endpoint::kCompletions), {});
  std::string out;
  writer.append_role(out, {.index = 0});
  EXPECT_EQ(out, "");
  writer.append_output(out, {.index = 3}, text_part("x"));
  writer.append_finish(out, {.index = 3}, "length");
  const std::string start =
      R"(data: {"id":"cmpl-1","object":"text_completion","created":1700000000,)"
      R"("model":"m\"x","system_fingerprint":"fp_1","choices":[)";
  EXPECT_EQ(out, start + R"({"text":"x","index":3,"logprobs":null,"finish_reason":null}]})" +
                     "\n\n" + start +
                     R"({"text":"","index":3,"logprobs":null,"finish_reason":"length"}]})" +
                     "\n\n");
}

TEST(AnswerWriter, Answers) {
  const AnswerChoice choices[] = {{text_part("a\n"), "stop"}, {text_part("b"), "length"}};
  const AnswerUsage usage{.prompt_tokens = 1, .cached_tokens = 0, .completion_tokens = 2};
  EXPECT_EQ(AnswerWriter::answer(head(Endpoint::kChat), std::span(choices).first(1), usage),
            R"({"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m\"x",)"
            R"("system_fingerprint":"fp_1","choices":[{"index":0,"message":{"role":"assistant",)"
            R"("content":"a\n","refusal":null},"logprobs":null,"finish_reason":"stop"}],)"
            R"("usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,)"
            R"("prompt_tokens_details":{"cached_tokens":0},)"
            R"("completion_tokens_details":{"reasoning_tokens":0}}})");
  const std::string two = AnswerWriter::answer(head(Endpoint::kCompletions), choices, usage);
  const auto parsed = boost::json::parse(two);
  EXPECT_EQ(parsed.at("object").as_string(), "text_completion");
  EXPECT_EQ(parsed.at("choices").at(1).at("text").as_string(), "b");
  EXPECT_EQ(parsed.at("choices").at(1).at("index").as_int64(), 1);
  EXPECT_EQ(parsed.at("choices").at(1).at("finish_reason").as_string(), "length");
}

TEST(AnswerWriter, AnErrorEvent) {
  std::string out;
  AnswerWriter::append_error(out, R"({"error":{}})");
  EXPECT_EQ(out, "data: {\"error\":{}}\n\n");
}

}  // namespace
}  // namespace vsurge::api
