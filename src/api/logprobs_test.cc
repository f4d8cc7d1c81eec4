// Logprobs as both endpoints tell them.
#include "api/logprobs.h"

#include <gtest/gtest.h>

#include <cmath>

#include "api/echo.h"
#include "api/service_fixture.h"

namespace vsurge::api {
namespace {

ScoredToken scored(engine::TokenId token, std::size_t offset, float logprob,
                   std::vector<kernels::TopLogprob> top = {}) {
  return {token, offset,
          std::make_shared<engine::Logprobs>(engine::Logprobs{logprob, 3, std::move(top)})};
}

LogprobsJson writer(bool as_ids = false) {
  return {testing::byte_assets().tokenizer, as_ids};
}

TEST(Logprobs, Chat) {
  const ScoredToken tokens[] = {scored('"', 0, -0.5F, {{'a', -0.25F}, {0xE2, -1.0F}, {'b', -9.0F}}),
                                scored('b', 1, -INFINITY)};
  std::string out;
  writer().append_chat(out, tokens, 2);
  EXPECT_EQ(out,
            R"({"content":[{"token":"\"","logprob":-0.5,"bytes":[34],"top_logprobs":[)"
            R"({"token":"a","logprob":-0.25,"bytes":[97]},)"
            R"({"token":"bytes:\\xe2","logprob":-1,"bytes":[226]}]},)"
            R"({"token":"b","logprob":-9999,"bytes":[98],"top_logprobs":[]}],"refusal":null})");
}

TEST(Logprobs, Completion) {
  const ScoredToken tokens[] = {{'x', 0, nullptr},
                                scored('a', 1, -2.0F, {{'b', -0.5F}, {'c', -1.0F}}),
                                scored('b', 2, -0.5F, {{'b', -0.5F}})};
  std::string out;
  writer().append_completion(out, tokens, 1);
  EXPECT_EQ(out, R"({"text_offset":[0,1,2],"token_logprobs":[null,-2,-0.5],"tokens":["x","a","b"],)"
                 R"("top_logprobs":[null,{"b":-0.5,"a":-2},{"b":-0.5}]})");
  out.clear();
  writer(true).append_completion(out, std::span(tokens).subspan(1, 1), 0);
  EXPECT_EQ(out, R"({"text_offset":[1],"token_logprobs":[-2],"tokens":["token_id:97"],)"
                 R"("top_logprobs":[{"token_id:97":-2}]})");
  out.clear();
  writer().append_completion(out, {}, 5);
  EXPECT_EQ(out, R"({"text_offset":[],"token_logprobs":[],"tokens":[],"top_logprobs":[]})");
}

TEST(Logprobs, Prompt) {
  const engine::TokenId prompt[] = {testing::kBos, 'a'};
  const std::shared_ptr<const engine::Logprobs> logprobs[] = {
      scored('a', 0, -3.0F, {{'b', -0.5F}, {'a', -3.0F}}).logprobs};
  std::string out;
  writer().append_prompt(out, prompt, logprobs, 2);
  EXPECT_EQ(out, R"([null,{"97":{"logprob":-3,"rank":3,"decoded_token":"a"},)"
                 R"("98":{"logprob":-0.5,"rank":1,"decoded_token":"b"}}])");
}

TEST(Echo, OffsetsOfWhatTheClientWrote) {
  const text::TextAssets assets = testing::byte_assets();
  const std::vector<engine::TokenId> ids{testing::kBos, 'a', 0xC3, 0xA9, testing::kUser, 'b'};
  const auto text = make_echo(assets.tokenizer, ids, "aé<|user|>b", true);
  ASSERT_TRUE(text);
  EXPECT_EQ(text->text, "aé<|user|>b");
  EXPECT_EQ(text->offsets, (std::vector<std::size_t>{0, 0, 1, 1, 2, 10}));
  // Of ids it is what they say.
  const auto told = make_echo(assets.tokenizer, ids, std::nullopt, true);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->text, "aéb");
  EXPECT_EQ(told->offsets, (std::vector<std::size_t>{0, 0, 1, 1, 2, 2}));
  const auto all = make_echo(assets.tokenizer, ids, std::nullopt, false);
  ASSERT_TRUE(all);
  EXPECT_EQ(all->text, "<s>aé<|user|>b");
}

}  // namespace
}  // namespace vsurge::api
