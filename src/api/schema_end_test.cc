#include "api/schema_end.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace vsurge::api {
namespace {

std::optional<std::string> part_of(std::string_view schema) {
  return endless_part(boost::json::parse(schema));
}

TEST(SchemaEnd, FindsWhatContainsItself) {
  EXPECT_EQ(part_of(R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})"), "#");
  EXPECT_EQ(part_of(R"({"$ref":"#/$defs/x","$defs":{"x":{"type":"array","minItems":1,)"
                    R"("items":{"$ref":"#/$defs/x"}}}})"),
            "#/$defs/x");
  EXPECT_EQ(part_of(R"({"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},)"
                    R"("b":{"anyOf":[{"$ref":"#/$defs/a"}]}}})"),
            "#/$defs/a");
  EXPECT_EQ(part_of(R"({"type":["object","array"],"minItems":1,"items":{"$ref":"#"},)"
                    R"("required":["k"],"additionalProperties":{"$ref":"#"}})"),
            "#");
  EXPECT_EQ(part_of(R"({"allOf":[{"type":"object"},{"$ref":"#"}]})"), "#");
  EXPECT_EQ(part_of(R"({"type":"array","minItems":2,"prefixItems":[{"type":"null"},)"
                    R"({"$ref":"#"}]})"),
            "#");
}

TEST(SchemaEnd, LetsPassWhatCanEnd) {
  for (const char* schema :
       {R"({"type":"object","properties":{"a":{"$ref":"#"}}})",
        R"({"type":"object","properties":{"a":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},)"
        R"("required":["a"]})",
        R"({"type":"array","items":{"$ref":"#"}})",
        R"({"type":"array","minItems":1,"prefixItems":[{"type":"null"}],"items":{"$ref":"#"}})",
        R"({"properties":{"a":{"$ref":"#"}},"required":["a"]})",
        R"({"type":["object","null"],"properties":{"a":{"$ref":"#"}},"required":["a"]})",
        R"({"type":"object","required":["a"],"properties":{"a":{"$ref":"#/$defs/none"}}})",
        R"({"type":"object","required":["a","b"],"properties":{"a":{"$ref":"#/$defs/s"},)"
        R"("b":{"$ref":"#/$defs/s"}},"$defs":{"s":{"type":"string"}}})",
        R"({"enum":[1],"$ref":"#"})", "true", "7", "{}"}) {
    EXPECT_EQ(part_of(schema), std::nullopt) << schema;
  }
}

// Many ways that all are endless: it gives up in time.
TEST(SchemaEnd, GivesUp) {
  std::string defs;
  for (int i = 0; i < 40; ++i) {
    const std::string next = std::to_string((i + 1) % 40);
    defs += (i > 0 ? "," : "") + std::string(R"("d)") + std::to_string(i) +
            R"(":{"anyOf":[{"$ref":"#/$defs/d)" + next + R"("},{"$ref":"#/$defs/d)" + next +
            R"("}]})";
  }
  part_of(R"({"$ref":"#/$defs/d0","$defs":{)" + defs + "}}");
}

}  // namespace
}  // namespace vsurge::api
