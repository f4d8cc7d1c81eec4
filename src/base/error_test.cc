#include "base/error.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

namespace vsurge::base {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return fail(ErrorCode::kInvalidRequest, "{} is odd", value);
  return value / 2;
}

Result<int> quarter(int value) {
  // Nested on purpose: each use has its own name.
  return VSURGE_TRY(half(VSURGE_TRY(half(value))));
}

Status check_even(int value) {
  VSURGE_TRY(half(value));
  return {};
}

Result<std::unique_ptr<int>> boxed(int value) {
  return std::make_unique<int>(VSURGE_TRY(half(value)));
}

Result<int> unboxed(int value) {
  const std::unique_ptr<int> box = VSURGE_TRY(boxed(value));  // moves, as it must
  return *box;
}

TEST(Error, TryGivesTheValueOrReturnsTheError) {
  EXPECT_EQ(quarter(12), 3);
  EXPECT_EQ(quarter(6).error().message, "3 is odd");
  EXPECT_EQ(quarter(5).error().message, "5 is odd");
  EXPECT_TRUE(check_even(2).has_value());
  EXPECT_EQ(check_even(3).error().code, ErrorCode::kInvalidRequest);
  EXPECT_EQ(unboxed(8), 4);
  EXPECT_FALSE(unboxed(7).has_value());
}

TEST(Error, FailParamNamesTheField) {
  const Status status = fail_param(ErrorCode::kUnsupportedValue, "n", "n: expected {}", 1);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error(), (Error{ErrorCode::kUnsupportedValue, "n: expected 1", "n"}));
}

TEST(Error, EveryCodeHasItsFacts) {
  std::set<std::string> codes;
  for (int i = 0; i <= static_cast<int>(ErrorCode::kEnvironment); ++i) {
    const ErrorInfo& info = error_info(static_cast<ErrorCode>(i));
    EXPECT_GE(info.http_status, 400);
    EXPECT_LT(info.http_status, 600);
    ASSERT_NE(info.openai_type, nullptr);
    EXPECT_GE(info.exit_status, 2);
    EXPECT_LE(info.exit_status, 4);
    if (info.openai_code != nullptr) {
      EXPECT_TRUE(codes.insert(info.openai_code).second) << info.openai_code << " twice";
    }
  }
}

TEST(Error, TheStatusesThatClientsActOn) {
  EXPECT_EQ(error_info(ErrorCode::kInvalidRequest).http_status, 400);
  EXPECT_EQ(error_info(ErrorCode::kUnauthorized).http_status, 401);
  EXPECT_EQ(error_info(ErrorCode::kModelNotFound).http_status, 404);
  EXPECT_STREQ(error_info(ErrorCode::kModelNotFound).openai_code, "model_not_found");
  EXPECT_STREQ(error_info(ErrorCode::kContextLengthExceeded).openai_code,
               "context_length_exceeded");
  EXPECT_EQ(error_info(ErrorCode::kQueueFull).http_status, 429);
  EXPECT_EQ(error_info(ErrorCode::kShuttingDown).http_status, 503);
  EXPECT_EQ(error_info(ErrorCode::kUsage).exit_status, 2);
  EXPECT_EQ(error_info(ErrorCode::kBadModel).exit_status, 3);
  EXPECT_EQ(error_info(ErrorCode::kEnvironment).exit_status, 4);
}

TEST(CheckDeathTest, PrintsPlaceExpressionAndMessage) {
  const int pages = 3;
  EXPECT_DEATH(CHECK(pages == 4, "{} pages", pages),
               "error_test.cc:[0-9]+: check failed: pages == 4: 3 pages");
  EXPECT_DEATH(CHECK(pages == 4), "check failed: pages == 4\n");
  CHECK(pages == 3, "{} pages", pages);
}

}  // namespace
}  // namespace vsurge::base
