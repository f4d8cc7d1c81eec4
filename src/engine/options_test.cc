#include "engine/options.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

namespace vsurge::engine {
namespace {

using base::ErrorCode;

EngineOptions options() {
  EngineOptions result;
  result.context_max = 100;
  result.page_size = 16;
  result.pages = 50;
  result.vocabulary = 1000;
  return result;
}

Request request(std::size_t prompt, std::optional<int> max_tokens) {
  Request result;
  result.prompt.assign(prompt, 5);
  result.sampling.max_tokens = max_tokens;
  return result;
}

void expect_error(const base::Status& status, ErrorCode code, const std::string& param) {
  ASSERT_FALSE(status.has_value()) << param;
  EXPECT_EQ(status.error().code, code);
  EXPECT_EQ(status.error().param, param);
  EXPECT_FALSE(status.error().message.empty());
}

TEST(CheckRequest, AtTheLimitAndOnePast) {
  EXPECT_TRUE(check_request(options(), request(99, {})));
  EXPECT_TRUE(check_request(options(), request(99, 1)));
  EXPECT_TRUE(check_request(options(), request(1, 99)));
  const auto long_prompt = check_request(options(), request(100, {}));
  expect_error(long_prompt, ErrorCode::kContextLengthExceeded, "prompt");
  const auto long_answer = check_request(options(), request(60, 41));
  expect_error(long_answer, ErrorCode::kContextLengthExceeded, "max_tokens");
  for (const char* number : {"100", "60", "41"}) {
    EXPECT_NE(long_answer.error().message.find(number), std::string::npos) << number;
  }
  expect_error(check_request(options(), request(1, std::numeric_limits<int>::max())),
               ErrorCode::kContextLengthExceeded, "max_tokens");
}

TEST(CheckRequest, NoMoreThanAllPagesHold) {
  EngineOptions small = options();
  small.pages = 2;
  EXPECT_TRUE(check_request(small, request(20, 12)));
  const auto status = check_request(small, request(20, 13));
  expect_error(status, ErrorCode::kContextLengthExceeded, "max_tokens");
  EXPECT_NE(status.error().message.find("KV cache"), std::string::npos);
  expect_error(check_request(small, request(32, {})), ErrorCode::kContextLengthExceeded, "prompt");
}

TEST(CheckRequest, RangesNameTheField) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  struct Case {
    const char* param;
    std::function<void(Request&)> change;
  };
  const Case cases[] = {
      {"prompt", [](Request& r) { r.prompt.clear(); }},
      {"prompt", [](Request& r) { r.prompt[0] = -1; }},
      {"prompt", [](Request& r) { r.prompt[0] = 1000; }},
      {"temperature", [](Request& r) { r.sampling.temperature = -0.1F; }},
      {"temperature", [](Request& r) { r.sampling.temperature = 2.1F; }},
      {"temperature", [nan](Request& r) { r.sampling.temperature = nan; }},
      {"top_p", [](Request& r) { r.sampling.top_p = 0.0F; }},
      {"top_p", [](Request& r) { r.sampling.top_p = 1.0001F; }},
      {"top_p", [nan](Request& r) { r.sampling.top_p = nan; }},
      {"min_p", [](Request& r) { r.sampling.min_p = -0.1F; }},
      {"min_p", [](Request& r) { r.sampling.min_p = 1.1F; }},
      {"top_k", [](Request& r) { r.sampling.top_k = -1; }},
      {"max_tokens", [](Request& r) { r.sampling.max_tokens = 0; }},
      {"max_tokens", [](Request& r) { r.sampling.max_tokens = -5; }},
      {"stop_token_ids", [](Request& r) { r.sampling.stop_token_ids = {1000}; }},
      {"stop_token_ids", [](Request& r) { r.sampling.stop_token_ids = {-1}; }},
      {"stop_token_ids", [](Request& r) { r.sampling.stop_token_ids.assign(65, 1); }},
  };
  for (const Case& c : cases) {
    Request r = request(3, 4);
    ASSERT_TRUE(check_request(options(), r));
    c.change(r);
    expect_error(check_request(options(), r), ErrorCode::kInvalidRequest, c.param);
  }
}

TEST(CheckRequest, EdgesAreIn) {
  Request r = request(3, 4);
  r.prompt = {0, 999};
  r.sampling.temperature = 2.0F;
  r.sampling.top_p = 1e-30F;
  r.sampling.min_p = 1.0F;
  r.sampling.top_k = std::numeric_limits<int>::max();
  r.sampling.stop_token_ids.assign(64, 999);
  EXPECT_TRUE(check_request(options(), r));
}

TEST(CheckOptions, NamesWhatIsWrong) {
  EXPECT_TRUE(check_options(options()));
  int EngineOptions::* const fields[] = {&EngineOptions::max_concurrent_decodes,
                                         &EngineOptions::max_concurrent_prefill,
                                         &EngineOptions::max_batched_tokens,
                                         &EngineOptions::context_max,
                                         &EngineOptions::page_size,
                                         &EngineOptions::pages,
                                         &EngineOptions::vocabulary};
  for (const auto field : fields) {
    EngineOptions wrong = options();
    wrong.*field = 0;
    expect_error(check_options(wrong), ErrorCode::kUsage, "");
  }
  EngineOptions tiny = options();
  tiny.pages = 1;
  tiny.page_size = 1;
  expect_error(check_options(tiny), ErrorCode::kUsage, "");
}

}  // namespace
}  // namespace vsurge::engine
