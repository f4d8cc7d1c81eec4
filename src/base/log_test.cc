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
