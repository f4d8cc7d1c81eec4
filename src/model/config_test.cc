#include "model/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/limits.h"

namespace vsurge::model {
namespace {

using ::testing::HasSubstr;

Config config(const std::string& text) {
  auto parsed = Config::parse("config.json", text);
  EXPECT_TRUE(parsed.has_value()) << (parsed ? "" : parsed.error().message);
  return std::move(parsed).value();
}

TEST(Config, ReadsValues) {
  const Config all =
      config(R"({"i":3,"f":0.5,"b":true,"s":"x","o":{"p":{"i":1}},"l":[1,2],"w":["a"],"n":null})");
  const ConfigObject root = all.root();
  EXPECT_EQ(root.integer("i", {}).value(), 3);
  EXPECT_EQ(root.number("i", {}).value(), 3.0);
  EXPECT_EQ(root.number("f", {}).value(), 0.5);
  EXPECT_EQ(root.boolean("b").value(), true);
  EXPECT_EQ(root.text("s").value(), "x");
  EXPECT_EQ(root.integers("l", {}).value(), (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(root.integers("i", {}).value(), (std::vector<std::int64_t>{3}));
  EXPECT_EQ(root.texts("w").value(), (std::vector<std::string>{"a"}));
  EXPECT_EQ(root.integer("n", {}).value(), std::nullopt);
  EXPECT_EQ(root.integer("absent", {}).value(), std::nullopt);
  EXPECT_TRUE(root.null("n"));
  EXPECT_FALSE(root.null("absent"));
  EXPECT_FALSE(root.has("n"));
}

TEST(Config, NamesFilePointerExpectedAndFound) {
  const Config all = config(R"({"o":{"p":{"factor":"8"}},"i":2.5})");
  const auto inner = all.root().object("o").value()->object("p").value().value();
  EXPECT_EQ(inner.number("factor", {.min = 1, .max = 9}).error().message,
            "config.json: /o/p/factor: expected a number from 1 to 9, found \"8\"");
  EXPECT_EQ(all.root().integer("i", {.min = 0, .max = 9}).error().message,
            "config.json: /i: expected a whole number from 0 to 9, found 2.5");
}

TEST(Config, RefusesOtherTypesAndRanges) {
  const Config all = config(
      R"({"n":32,"t":"32","h":2.5,"huge":1e308,"max":18446744073709551615,"l":[1,"a"],"o":{}})");
  const ConfigObject root = all.root();
  for (const char* key : {"t", "h", "huge", "max", "l", "o"}) {
    EXPECT_FALSE(root.integer(key, {})) << key;
    EXPECT_FALSE(root.boolean(key)) << key;
  }
  EXPECT_FALSE(root.integer("n", {.min = 33, .max = 99}));
  EXPECT_FALSE(root.number("huge", {.min = 0, .max = 1e12}));
  EXPECT_FALSE(root.integers("l", {}));
  EXPECT_FALSE(root.texts("l"));
  EXPECT_FALSE(root.text("n"));
  EXPECT_FALSE(root.object("n"));
}

TEST(Config, RefusesWhatIsNoObjectOfJson) {
  for (const char* text : {"", "[]", "1", "{", "{\"a\":1,}", "{\"a\":NaN}", "{\"a\":1e999}", "{}{}",
                           "{'a':1}", "{\"a\":1} x", "{\"\xFF\":1}", "\xEF\xBB\xBF{}"}) {
    const auto parsed = Config::parse("config.json", text);
    // A number beyond double is kept as infinite by some parsers: no getter may give it.
    if (parsed) {
      EXPECT_FALSE(parsed->root().number("a", {})) << text;
      continue;
    }
    EXPECT_THAT(parsed.error().message, HasSubstr("config.json"));
    EXPECT_EQ(parsed.error().code, base::ErrorCode::kBadModel);
  }
}

TEST(Config, RefusesKeysThatAreThereTwice) {
  EXPECT_THAT(Config::parse("c", R"({"a":1,"b":{"x":1,"x":2}})").error().message,
              HasSubstr("\"x\" is twice"));
  EXPECT_FALSE(Config::parse("c", R"({"ab":1,"a\u0062":2})"));
  EXPECT_TRUE(Config::parse("c", R"({"x":1,"b":{"x":2},"c":[{"x":1},{"x":1}]})"));
}

TEST(Config, BoundsNesting) {
  const std::size_t most = base::CheckpointLimits{}.config_depth_max;
  const auto nested = [](std::size_t depth) {
    return "{\"a\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
  };
  EXPECT_TRUE(Config::parse("c", nested(most)));
  EXPECT_FALSE(Config::parse("c", nested(most + 1)));
  EXPECT_FALSE(Config::parse("c", nested(1'000'000)));
}

}  // namespace
}  // namespace vsurge::model
