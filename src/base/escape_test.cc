#include "base/escape.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace vsurge::base {
namespace {

using namespace std::string_view_literals;

TEST(Escape, Utf8LengthAcceptsTheEdgesOfEveryRange) {
  EXPECT_EQ(utf8_length("a"), 1U);
  EXPECT_EQ(utf8_length("\0"sv), 1U);
  EXPECT_EQ(utf8_length("\xc2\x80"), 2U);
  EXPECT_EQ(utf8_length("\xdf\xbf"), 2U);
  EXPECT_EQ(utf8_length("\xe0\xa0\x80"), 3U);
  EXPECT_EQ(utf8_length("\xed\x9f\xbf"), 3U);
  EXPECT_EQ(utf8_length("\xee\x80\x80"), 3U);
  EXPECT_EQ(utf8_length("\xf0\x90\x80\x80"), 4U);
  EXPECT_EQ(utf8_length("\xf4\x8f\xbf\xbf"), 4U);
}

TEST(Escape, Utf8LengthRefusesWhatIsNotUtf8) {
  EXPECT_EQ(utf8_length(""), 0U);
  EXPECT_EQ(utf8_length("\x80"), 0U);              // stray continuation
  EXPECT_EQ(utf8_length("\xc3"), 0U);              // cut off
  EXPECT_EQ(utf8_length("\xe2\x82"), 0U);          // cut off
  EXPECT_EQ(utf8_length("\xc3("), 0U);             // no continuation
  EXPECT_EQ(utf8_length("\xc0\x80"), 0U);          // overlong
  EXPECT_EQ(utf8_length("\xe0\x9f\xbf"), 0U);      // overlong
  EXPECT_EQ(utf8_length("\xf0\x8f\xbf\xbf"), 0U);  // overlong
  EXPECT_EQ(utf8_length("\xed\xa0\x80"), 0U);      // surrogate
  EXPECT_EQ(utf8_length("\xf4\x90\x80\x80"), 0U);  // beyond U+10FFFF
  EXPECT_EQ(utf8_length("\xff"), 0U);
}

TEST(Escape, ALineStaysOneLineAndSteersNoTerminal) {
  EXPECT_EQ(escape_for_line("a\nb\r\tc"), "a\\nb\\r\\tc");
  EXPECT_EQ(escape_for_line("\x1b[31mred\x7f"), "\\x1b[31mred\\x7f");
  EXPECT_EQ(escape_for_line("\xc2\x9b"), "\\xc2\\x9b");  // C1 control sequence introducer
  EXPECT_EQ(escape_for_line("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"),
            "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
  EXPECT_EQ(escape_for_line("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(escape_for_line("\0"sv), "\\x00");
}

TEST(Escape, JsonIsValidWhateverTheBytes) {
  EXPECT_EQ(escape_for_json("say \"hi\"\\\n"), "say \\\"hi\\\"\\\\\\u000a");
  EXPECT_EQ(escape_for_json("a\xff"
                            "b"),
            "a\xef\xbf\xbd"
            "b");
  EXPECT_EQ(escape_for_json("\0"sv), "\\u0000");
  EXPECT_EQ(escape_for_json("\x7f"), "\\u007f");
}

TEST(Escape, ShortenCutsBetweenCharacters) {
  EXPECT_EQ(shorten("short", 5), "short");
  EXPECT_EQ(shorten("longer", 5), "lo...");
  EXPECT_EQ(shorten("\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", 8), "\xe2\x82\xac...");
  EXPECT_EQ(shorten("\xe2\x82\xac\xe2\x82\xac", 5), "...");
  EXPECT_EQ(shorten("abcdef", 2), "..");
  EXPECT_EQ(shorten("abcdef", 0), "");
  for (std::size_t size = 0; size < 12; ++size) {
    EXPECT_LE(shorten("\xff\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", size).size(), size);
  }
}

}  // namespace
}  // namespace vsurge::base
