#include "base/log.h"

#include <gtest/gtest.h>

#include <string>

namespace vsurge::base {
namespace {

// What `log` writes to stderr under the given settings.
template <class F>
std::string captured(const char* level, LogFormat format, F&& log) {
  testing::internal::CaptureStderr();
  const Status status = init_logging(level, format);
  log();
  std::string out = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(status.has_value());
  return out;
}

TEST(Log, TextIsTimeLevelMessage) {
  const std::string out = captured("info", LogFormat::kText, [] { log_warning("{} pages", 3); });
  EXPECT_TRUE(testing::internal::RE::FullMatch(
      out, "[0-9][0-9]:[0-9][0-9]:[0-9][0-9]\\.[0-9][0-9][0-9] W 3 pages\n"))
      << out;
}

TEST(Log, OneEventIsOneLineWhateverItQuotes) {
  const char* hostile = "a\nb\x1b[2Jc\xff\"\\";
  const std::string text = captured("info", LogFormat::kText, [&] { log_info("{}", hostile); });
  EXPECT_NE(text.find(" I a\\nb\\x1b[2Jc\\xff\"\\\n"), std::string::npos) << text;
  const std::string json = captured("info", LogFormat::kJson, [&] { log_error("{}", hostile); });
  EXPECT_NE(json.find(R"("level":"error","message":"a\u000ab\u001b[2Jc)"
                      "\xef\xbf\xbd"
                      R"(\"\\"})"
                      "\n"),
            std::string::npos)
      << json;
  EXPECT_EQ(json.rfind(R"({"time":"20)", 0), 0U) << json;
}

TEST(Log, EventsHaveFields) {
  const auto log = [] {
    const LogField fields[] = {{"count", std::int64_t{3}},
                               {"seconds", 0.25},
                               {"name", "plain"},
                               {"text", "a \"b\"\n"},
                               {"none", ""}};
    log_event(spdlog::level::info, "request", fields);
    log_info("next");
  };
  const std::string text = captured("info", LogFormat::kText, log);
  EXPECT_NE(
      text.find(
          " I request count=3 seconds=0.25 name=plain text=\"a \\\"b\\\"\\u000a\" none=\"\"\n"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find(" I next\n"), std::string::npos) << text;
  const std::string json = captured("info", LogFormat::kJson, log);
  EXPECT_NE(json.find(R"("message":"request","count":3,"seconds":0.25,"name":"plain",)"
                      R"("text":"a \"b\"\u000a","none":""})"
                      "\n"),
            std::string::npos)
      << json;
  EXPECT_NE(json.find(R"("message":"next"})"), std::string::npos) << json;
  EXPECT_EQ(captured("warning", LogFormat::kText, log), "");
}

TEST(Log, StdoutIsWrittenByAThread) {
  testing::internal::CaptureStdout();
  ASSERT_TRUE(init_logging("info", LogFormat::kText, LogTarget::kStdout).has_value());
  for (int i = 0; i < 100; ++i) log_info("line {}", i);
  const Status back = init_logging("info", LogFormat::kText);  // ends the thread
  const std::string out = testing::internal::GetCapturedStdout();
  EXPECT_TRUE(back.has_value());
  EXPECT_NE(out.find(" I line 0\n"), std::string::npos);
  EXPECT_NE(out.find(" I line 99\n"), std::string::npos);
  EXPECT_EQ(log_lines_dropped(), 0u);
}

TEST(Log, LevelHidesWhatIsBelow) {
  const auto both = [] {
    log_debug("low");
    log_info("middle");
    log_error("high");
  };
  const std::string warning = captured("warning", LogFormat::kText, both);
  EXPECT_EQ(warning.find("middle"), std::string::npos);
  EXPECT_NE(warning.find("high"), std::string::npos);
  EXPECT_NE(captured("debug", LogFormat::kText, both).find("low"), std::string::npos);
  EXPECT_EQ(captured("off", LogFormat::kText, both), "");
  EXPECT_NE(captured("warn", LogFormat::kText, both).find("high"), std::string::npos);
}

TEST(Log, UnknownLevelIsAUsageError) {
  const Status status = init_logging("loud", LogFormat::kText);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kUsage);
  EXPECT_NE(status.error().message.find("'loud'"), std::string::npos);
}

}  // namespace
}  // namespace vsurge::base
