// What the fields of constrained output mean, and what is refused.
#include "api/structured_output.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <string>

namespace vsurge::api {
namespace {

using Kind = text::GrammarSource::Kind;

ApiResult<std::optional<StructuredOutput>> read(std::string_view members) {
  const boost::json::value body = boost::json::parse("{" + std::string(members) + "}");
  return read_structured_output(ObjectReader(body.get_object(), ""), Endpoint::kChat, {});
}

struct Taken {
  const char* members;
  Kind kind;
  const char* text;
  const char* param;
  const char* whitespace = "";
};

TEST(StructuredOutput, TakesEveryServersFields) {
  const std::string any(text::kAnyWhitespace);
  const Taken rows[] = {
      {R"("response_format":{"type":"json_object"})", Kind::kJsonObject, "", "response_format"},
      {R"("response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d",
          "strict":true,"schema":{"type":"object","properties":{"b":{},"a":{}}}}})",
       Kind::kJsonSchema, R"({"type":"object","properties":{"b":{},"a":{}}})",
       "response_format.json_schema.schema"},
      {R"("response_format":{"type":"json_schema","json_schema":{"name":"n","strict":null,
          "schema":true}})",
       Kind::kJsonSchema, "true", "response_format.json_schema.schema"},
      {R"("response_format":{"type":"json_object","schema":{"const":1}})", Kind::kJsonSchema,
       R"({"const":1})", "response_format.schema"},
      {R"("response_format":{"type":"json_schema","schema":{"const":1}})", Kind::kJsonSchema,
       R"({"const":1})", "response_format.schema"},
      {R"("structured_outputs":{"json":{"const":1}})", Kind::kJsonSchema, R"({"const":1})",
       "structured_outputs.json"},
      {R"("structured_outputs":{"json":"{ \"const\" : 1 }"})", Kind::kJsonSchema, R"({"const":1})",
       "structured_outputs.json"},
      {R"("structured_outputs":{"regex":"a+"})", Kind::kRegex, "a+", "structured_outputs.regex"},
      {R"("structured_outputs":{"choice":["a","b"]})", Kind::kChoice, R"(["a","b"])",
       "structured_outputs.choice"},
      {R"("structured_outputs":{"grammar":"start: \"a\""})", Kind::kLark, "start: \"a\"",
       "structured_outputs.grammar"},
      {R"("structured_outputs":{"json_object":true,"disable_fallback":true})", Kind::kJsonObject,
       "", "structured_outputs.json_object"},
      {R"("structured_outputs":{"json_object":true,"disable_any_whitespace":true})",
       Kind::kJsonObject, "", "structured_outputs.json_object"},
      {R"("structured_outputs":{"json_object":true,"disable_any_whitespace":false})",
       Kind::kJsonObject, "", "structured_outputs.json_object", any.c_str()},
      {R"("structured_outputs":{"json":{},"whitespace_pattern":"[ \\n]{0,4}"})", Kind::kJsonSchema,
       "{}", "structured_outputs.json", R"([ \n]{0,4})"},
      {R"("guided_json":{"const":1},"guided_decoding_backend":"xgrammar")", Kind::kJsonSchema,
       R"({"const":1})", "guided_json"},
      {R"("guided_json":{},"guided_whitespace_pattern":"\\s?")", Kind::kJsonSchema, "{}",
       "guided_json", R"([ \t\r\n]?)"},
      {R"("guided_regex":"x")", Kind::kRegex, "x", "guided_regex"},
      {R"("guided_choice":["x"])", Kind::kChoice, R"(["x"])", "guided_choice"},
      {R"("guided_grammar":"root ::= \"x\"")", Kind::kGbnf, "root ::= \"x\"", "guided_grammar"},
      {R"("json_schema":{"const":1})", Kind::kJsonSchema, R"({"const":1})", "json_schema"},
      {R"("grammar":"root ::= \"x\"")", Kind::kGbnf, "root ::= \"x\"", "grammar"},
      {R"("regex":"x")", Kind::kRegex, "x", "regex"},
      {R"("ebnf":"root ::= \"x\"")", Kind::kGbnf, "root ::= \"x\"", "ebnf"},
      {R"("regex":"x","response_format":{"type":"text"},"ignore_eos":false,"min_tokens":0)",
       Kind::kRegex, "x", "regex"},
  };
  for (const Taken& row : rows) {
    const auto found = read(row.members);
    ASSERT_TRUE(found) << row.members << "\n" << found.error().message;
    ASSERT_TRUE(*found) << row.members;
    EXPECT_EQ((*found)->source, (text::GrammarSource{row.kind, row.text, row.whitespace}))
        << row.members << "\n"
        << (*found)->source.text << "\n"
        << (*found)->source.whitespace;
    EXPECT_EQ((*found)->param, row.param) << row.members;
  }
}

TEST(StructuredOutput, NothingAskedIsNothing) {
  for (const char* members :
       {"", R"("response_format":{"type":"text"})", R"("response_format":null,"guided_json":null)",
        R"("guided_decoding_backend":"auto")", R"("ignore_eos":true)"}) {
    const auto found = read(members);
    ASSERT_TRUE(found) << members;
    EXPECT_FALSE(*found) << members;
  }
}

TEST(StructuredOutput, RefusesWithTheFieldsName) {
  struct Row {
    const char* members;
    const char* param;
    const char* code;
  };
  const Row rows[] = {
      {R"("response_format":"json")", "response_format", "invalid_type"},
      {R"("response_format":{})", "response_format.type", "missing_required_parameter"},
      {R"("response_format":{"type":"yaml"})", "response_format.type", "unsupported_value"},
      {R"("response_format":{"type":"text","odd":1})", "response_format.odd", "unknown_parameter"},
      {R"("response_format":{"type":"text","schema":{}})", "response_format.schema",
       "invalid_value"},
      {R"("response_format":{"type":"json_object","json_schema":{}})",
       "response_format.json_schema", "invalid_value"},
      {R"("response_format":{"type":"json_schema"})", "response_format.json_schema",
       "missing_required_parameter"},
      {R"("response_format":{"type":"json_schema","json_schema":{},"schema":{}})",
       "response_format.schema", "invalid_value"},
      {R"("response_format":{"type":"json_schema","json_schema":[]})",
       "response_format.json_schema", "invalid_type"},
      {R"("response_format":{"type":"json_schema","json_schema":{"name":"n"}})",
       "response_format.json_schema.schema", "missing_required_parameter"},
      {R"("response_format":{"type":"json_schema","json_schema":{"schema":7}})",
       "response_format.json_schema.schema", "invalid_type"},
      {R"("response_format":{"type":"json_schema","json_schema":{"schema":{},"strict":"x"}})",
       "response_format.json_schema.strict", "invalid_type"},
      {R"("response_format":{"type":"json_schema","json_schema":{"schema":{},"odd":1}})",
       "response_format.json_schema.odd", "unknown_parameter"},
      {R"("structured_outputs":{})", "structured_outputs", "invalid_value"},
      {R"("structured_outputs":{"odd":1})", "structured_outputs.odd", "unknown_parameter"},
      {R"("structured_outputs":{"structural_tag":"x"})", "structured_outputs.structural_tag",
       "invalid_json"},
      {R"("structured_outputs":{"json":{},"disable_additional_properties":true})",
       "structured_outputs.disable_additional_properties", "unsupported_value"},
      {R"("structured_outputs":{"regex":"x","json":{}})", "structured_outputs.regex",
       "invalid_value"},
      {R"("structured_outputs":{"regex":""})", "structured_outputs.regex", "invalid_value"},
      {R"("structured_outputs":{"regex":1})", "structured_outputs.regex", "invalid_type"},
      {R"("structured_outputs":{"choice":[]})", "structured_outputs.choice", "invalid_value"},
      {R"("structured_outputs":{"choice":"a"})", "structured_outputs.choice", "invalid_type"},
      {R"("structured_outputs":{"choice":[1]})", "structured_outputs.choice[0]", "invalid_type"},
      {R"("structured_outputs":{"json":"{"})", "structured_outputs.json", "invalid_json"},
      {R"("structured_outputs":{"json":{},"whitespace_pattern":"x*"})",
       "structured_outputs.whitespace_pattern", "unsupported_value"},
      {R"("guided_json":{},"guided_whitespace_pattern":"[^ ]")", "guided_whitespace_pattern",
       "unsupported_value"},
      {R"("guided_json":{},"guided_whitespace_pattern":" {2")", "guided_whitespace_pattern",
       "unsupported_value"},
      {R"("guided_json":[])", "guided_json", "invalid_type"},
      {R"("guided_decoding_backend":1)", "guided_decoding_backend", "invalid_type"},
      {R"("response_format":{"type":"json_object"},"guided_json":{})", "guided_json",
       "invalid_value"},
      {R"("structured_outputs":{"regex":"x"},"grammar":"y")", "grammar", "invalid_value"},
      {R"("regex":"x","ebnf":"y")", "ebnf", "invalid_value"},
      {R"("regex":"x","ignore_eos":true)", "ignore_eos", "invalid_value"},
      {R"("regex":"x","min_tokens":3)", "min_tokens", "invalid_value"},
      {R"("regex":"x","use_beam_search":true)", "use_beam_search", "invalid_value"},
  };
  for (const Row& row : rows) {
    const auto found = read(row.members);
    ASSERT_FALSE(found) << row.members;
    EXPECT_EQ(found.error().status, 400) << row.members;
    EXPECT_EQ(found.error().param, row.param) << row.members;
    EXPECT_EQ(found.error().code, row.code) << row.members << "\n" << found.error().message;
    EXPECT_FALSE(found.error().message.empty());
  }
}

TEST(StructuredOutput, SourcesHaveALimit) {
  const std::string large(base::GrammarLimits{}.source_bytes_max + 1, 'x');
  const auto found = read(R"("regex":")" + large + "\"");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().param, "regex");
  EXPECT_LT(found.error().message.size(), 200U);
}

}  // namespace
}  // namespace vsurge::api
