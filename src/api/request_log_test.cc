#include "api/request_log.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <sstream>

#include "api/service_fixture.h"
#include "base/log.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using testing::bytes_of;
using testing::chat_body;
using testing::FixtureOptions;
using testing::kChat;
using testing::ServiceFixture;

// The lines that `work` logs with this message, at level info as JSON.
template <class F>
std::vector<json::object> logged(std::string_view message, F&& work) {
  ::testing::internal::CaptureStderr();
  EXPECT_TRUE(base::init_logging("info", base::LogFormat::kJson).has_value());
  work();
  EXPECT_TRUE(base::init_logging("off", base::LogFormat::kText).has_value());
  std::istringstream lines(::testing::internal::GetCapturedStderr());
  std::vector<json::object> out;
  for (std::string line; std::getline(lines, line);) {
    json::object object = json::parse(line).as_object();
    if (object.at("message").as_string() == message) out.push_back(std::move(object));
  }
  return out;
}

FixtureOptions with_log() {
  return FixtureOptions{.observers = {std::make_shared<RequestLog>()}};
}

TEST(RequestLog, OneLineARequest) {
  ServiceFixture fixture(with_log());
  fixture.runner.script = bytes_of("abc");
  std::string id;
  const auto lines = logged("request", [&] {
    id = fixture.answer(kChat, chat_body(R"("stream":true)"))->header("X-Request-ID");
  });
  ASSERT_EQ(lines.size(), 1u);
  const json::object& line = lines[0];
  EXPECT_EQ(line.at("id").as_string(), id);
  EXPECT_EQ(line.at("method").as_string(), "POST");
  EXPECT_EQ(line.at("route").as_string(), kChat);
  EXPECT_EQ(line.at("status").as_int64(), 200);
  EXPECT_EQ(line.at("reason").as_string(), "stop");
  EXPECT_EQ(line.at("stream").as_int64(), 1);
  EXPECT_EQ(line.at("completion_tokens").as_int64(), 4);
  EXPECT_EQ(line.at("cached_tokens").as_int64(), 0);
  EXPECT_GE(line.at("queue_ms").to_number<double>(), 0);
  EXPECT_GE(line.at("total_ms").to_number<double>(), line.at("ttft_ms").to_number<double>());
  EXPECT_TRUE(line.contains("itl_ms"));
  EXPECT_FALSE(line.contains("error"));
}

TEST(RequestLog, ProbesAreQuietUnlessTheyFail) {
  ServiceFixture fixture(with_log());
  const auto lines = logged("request", [&] {
    for (const char* path : {"/live", "/ready", "/health", "/metrics"}) fixture.get(path);
    fixture.service.begin_shutdown();
    fixture.get("/ready");
  });
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].at("status").as_int64(), 503);
}

TEST(RequestLog, TextOfPromptsOnlyWhenAsked) {
  for (const bool asked : {false, true}) {
    FixtureOptions options = with_log();
    options.log_requests = asked;
    ServiceFixture fixture(options);
    fixture.runner.script = bytes_of("abc");
    const auto lines =
        logged("request body", [&] { fixture.answer(kChat, chat_body(R"("user":"\u0007")")); });
    ASSERT_EQ(lines.size(), asked ? 1u : 0u);
    if (!asked) continue;
    EXPECT_NE(lines[0].at("body").as_string().find("\\u0007"), std::string::npos);
  }
}

TEST(StatsLine, IsToldWhileThereIsWork) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("abc");
  const auto lines = logged("stats", [&] {
    fixture.service.log_stats();
    fixture.answer(kChat, chat_body());
    fixture.wait_idle();
    fixture.service.log_stats();
    fixture.service.log_stats();
  });
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].at("requests").as_int64(), 1);
  EXPECT_EQ(lines[0].at("failures").as_int64(), 0);
  EXPECT_GT(lines[0].at("generation_tokens_per_s").to_number<double>(), 0);
}

}  // namespace
}  // namespace vsurge::api
