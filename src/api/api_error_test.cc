#include "api/api_error.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace vsurge::api {
namespace {

std::string retry_after(base::ErrorCode code, int seconds) {
  const ApiError error =
      from_base({.code = code, .message = "m", .param = {}, .retry_after_seconds = seconds});
  for (const auto& [name, value] : error_headers(error)) {
    if (name == "Retry-After") return value;
  }
  return {};
}

TEST(ApiError, SaysWhenToTryAgain) {
  EXPECT_EQ(retry_after(base::ErrorCode::kQueueFull, 17), "17");
  EXPECT_EQ(retry_after(base::ErrorCode::kQueueFull, 0), "1");
  EXPECT_EQ(retry_after(base::ErrorCode::kShuttingDown, 0), "1");
  EXPECT_EQ(retry_after(base::ErrorCode::kInvalidRequest, 17), "");
}

}  // namespace
}  // namespace vsurge::api
