#include "api/json.h"

#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>

namespace vsurge::api {
namespace {

ApiError error_of(std::string_view text, const base::JsonLimits& limits = {}) {
  auto result = parse_json(text, limits);
  EXPECT_FALSE(result.has_value()) << text;
  return result ? ApiError{.code = "accepted"} : result.error();
}

std::string round_trip(std::string_view text) {
  auto result = parse_json(text, {});
  if (!result) return result.error().message;
  std::string out;
  append_json(out, *result);
  return out;
}

constexpr std::string_view kDocument =
    R"({"a":[1,-2,18446744073709551615,0.1,1e5,true,false,null,"x\"\\\nü😀"],"b":{"c":{}},"d":[]})";

TEST(Json, RoundTrip) {
  EXPECT_EQ(round_trip(kDocument),
            R"({"a":[1,-2,18446744073709551615,0.1,1e+05,true,false,null,"x\"\\\nü😀"],)"
            R"("b":{"c":{}},"d":[]})");
  EXPECT_EQ(round_trip(" \t\r\n[1.0, 2.5]\n\n"), "[1.0,2.5]");
  EXPECT_EQ(round_trip(R"("\u0000\u001f\ud83d\ude00")"), "\"\\u0000\\u001f😀\"");
  EXPECT_EQ(round_trip("[1e-400]"), "[0.0]");
  EXPECT_EQ(round_trip("[12345678901234567890123]"), "[1.2345678901234568e+22]");
}

TEST(Json, TruncatedAtEveryByte) {
  for (std::size_t size = 0; size < kDocument.size(); ++size) {
    const ApiError error = error_of(kDocument.substr(0, size));
    EXPECT_EQ(error.status, 400);
    EXPECT_TRUE(error.code == "invalid_json" || error.code == "invalid_utf8") << error.code;
    EXPECT_NE(error.message.find(" byte "), std::string::npos) << error.message;
  }
}

TEST(Json, NotJson) {
  for (const std::string_view text : {"{} {}",
                                      "{}x",
                                      "[1,]",
                                      "{\"a\":1,}",
                                      "// c\n{}",
                                      "{'a':1}",
                                      "\xEF\xBB\xBF{}",
                                      "NaN",
                                      "[NaN]",
                                      "[Infinity]",
                                      "[-Infinity]",
                                      "True",
                                      "undefined",
                                      "[01]",
                                      "[.5]",
                                      "[5.]",
                                      "[+1]",
                                      "[0x1]",
                                      "model=x&prompt=y",
                                      "[\"\x01\"]",
                                      "[1e400]",
                                      "[-1e400]",
                                      "[1e99999999999]",
                                      "[\"\\x\"]"}) {
    EXPECT_EQ(error_of(text).code, "invalid_json") << text;
  }
}

TEST(Json, SaysWhere) {
  EXPECT_NE(error_of("[1, 2, x]").message.find("byte 7"), std::string::npos);
  EXPECT_NE(error_of("[1,2] ]").message.find("byte 6"), std::string::npos);
  EXPECT_NE(error_of("[1,2").message.find("byte 4"), std::string::npos);
}

TEST(Json, NotUtf8) {
  for (const std::string_view text :
       {"[\"\x80\"]", "[\"\xC0\xAF\"]", "[\"\xED\xA0\x80\"]", "[\"\xF5\x80\x80\x80\"]",
        "[\"\xF4\x90\x80\x80\"]", "[\"\xE2\x82\"]", "[\"\xE0\x80\x80\"]"}) {
    const ApiError error = error_of(text);
    EXPECT_EQ(error.code, "invalid_utf8");
    EXPECT_NE(error.message.find("byte 2"), std::string::npos) << error.message;
  }
}

TEST(Json, HalfSurrogatePairs) {
  for (const std::string_view text : {R"(["\ud800"])", R"(["\ud800x"])", R"(["\ude00\ud83d"])",
                                      R"(["\ud800\u0041"])", R"(["\uDBFF\n"])"}) {
    EXPECT_EQ(error_of(text).code, "invalid_unicode") << text;
  }
}

TEST(Json, MembersTwice) {
  EXPECT_NE(error_of(R"({"a":1,"b":2,"a":1})").message.find("'a' twice"), std::string::npos);
  EXPECT_EQ(error_of(R"([{"a":{"b":1,"\u0062":2}}])").code, "invalid_json");
  EXPECT_TRUE(parse_json(R"([{"a":1},{"a":1,"A":{"a":1}}])", {}).has_value());
}

TEST(Json, DepthAtAndPastTheLimit) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  base::JsonLimits limits;
  EXPECT_TRUE(parse_json(nested(limits.depth_max), limits).has_value());
  EXPECT_NE(error_of(nested(limits.depth_max + 1), limits).message.find("too deep"),
            std::string::npos);
  EXPECT_EQ(error_of(nested(5'000'000), limits).code, "invalid_json");
}

TEST(Json, ValuesAtAndPastTheLimit) {
  base::JsonLimits limits;
  limits.values_max = 4;
  EXPECT_TRUE(parse_json("[1,{},[]]", limits).has_value());
  EXPECT_EQ(error_of("[1,{},[],2]", limits).code, "invalid_json");
  EXPECT_EQ(error_of("[[[[[", limits).code, "invalid_json");
}

TEST(Json, LongStringsAndKeys) {
  const std::string text(1 << 20, 'a');
  const auto value = parse_json("{\"" + text + "\":\"" + text + "\\n" + text + "\"}", {});
  ASSERT_TRUE(value.has_value());
  EXPECT_EQ(value->get_object().at(text).get_string().size(), 2 * text.size() + 1);
}

TEST(Json, FindInvalidUtf8) {
  EXPECT_EQ(find_invalid_utf8(""), std::string_view::npos);
  EXPECT_EQ(find_invalid_utf8("plain text, long enough for words"), std::string_view::npos);
  EXPECT_EQ(find_invalid_utf8("äöü €uro 😀 and more"), std::string_view::npos);
  for (std::size_t at = 0; at < 40; ++at) {
    std::string text(40, 'x');
    text[at] = '\xFF';
    EXPECT_EQ(find_invalid_utf8(text), at);
  }
  EXPECT_EQ(find_invalid_utf8("12345678\xE2\x82"), 8u);
}

TEST(Json, EscapesOnlyWhatMustBe) {
  std::string out;
  append_json_string(out, std::string_view("a\"\\/\b\f\n\r\t\0\x1F\x7Fü€😀", 21));
  EXPECT_EQ(out, "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7Fü€😀\"");
}

TEST(ApiError, AllFourKeys) {
  EXPECT_EQ(error_json({}),
            R"({"error":{"message":"","type":"invalid_request_error","param":null,"code":null}})");
  EXPECT_EQ(
      error_json(missing("a\"b").error()),
      R"({"error":{"message":"Missing required parameter: 'a\"b'.",)"
      R"("type":"invalid_request_error","param":"a\"b","code":"missing_required_parameter"}})");
}

TEST(ApiError, ClientTextIsCutAndClean) {
  const std::string shown = in_quotes(std::string(100'000, 'x') + "\xFF");
  EXPECT_LE(shown.size(), 210u);
  for (std::size_t cut = 0; cut < 8; ++cut) {
    std::string text = std::string(cut, 'x');
    for (int i = 0; i < 2000; ++i) text += "😀";
    EXPECT_LE(in_quotes(text).size(), 210u);
    EXPECT_EQ(find_invalid_utf8(in_quotes("a\xFF\n\x1B[31m" + text)), std::string_view::npos);
  }
}

TEST(ApiError, EveryStatusHasAShape) {
  for (const int status : {400, 401, 403, 404, 405, 408, 413, 415, 429, 431, 500, 501, 503, 505}) {
    const ApiError error = from_status(status, "why");
    EXPECT_EQ(error.status, status);
    EXPECT_FALSE(error.code.empty()) << status;
    EXPECT_EQ(error.type == "server_error", status >= 500);
  }
}

}  // namespace
}  // namespace vsurge::api
