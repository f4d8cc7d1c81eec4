// Requests; answers are in openapi_answers.cc.
#include "api/openapi_parts.h"

#include <array>

namespace vsurge::api {
namespace {

struct Part {
  std::string_view body;  // empty: all
  std::string_view name;
  std::string_view schema;
};

// Members are told as far as a request's shape goes; what depends on others is docs/API.md's.
constexpr auto kParts = std::to_array<Part>({
    {"chat", "messages",
     R"({"type":"array","minItems":1,"items":{"$ref":"#/components/schemas/ChatMessage"}})"},
    {"tokenize", "messages",
     R"({"type":"array","minItems":1,"items":{"$ref":"#/components/schemas/ChatMessage"}})"},
    {"messages", "messages",
     R"({"type":"array","minItems":1,"items":{"$ref":"#/components/schemas/Message"}})"},
    {"", "prompt",
     R"({"anyOf":[{"type":"string"},{"type":"array","minItems":1,"items":{"type":"string"}},)"
     R"({"$ref":"#/components/schemas/TokenIds"},)"
     R"({"type":"array","minItems":1,"items":{"$ref":"#/components/schemas/TokenIds"}}]})"},
    {"embeddings", "input",
     R"({"anyOf":[{"type":"string"},{"type":"array","minItems":1,"items":{"type":"string"}},)"
     R"({"$ref":"#/components/schemas/TokenIds"},)"
     R"({"type":"array","minItems":1,"items":{"anyOf":[{"type":"string"},)"
     R"({"$ref":"#/components/schemas/TokenIds"}]}}]})"},
    {"responses", "input",
     R"({"anyOf":[{"type":"string"},)"
     R"({"type":"array","items":{"$ref":"#/components/schemas/InputItem"}}]})"},
    {"", "seed",
     R"({"type":"integer","minimum":-9223372036854775808,"maximum":18446744073709551615})"},
    {"", "chat_template_kwargs", R"({"type":"object"})"},
    {"", "logit_bias",
     R"({"type":"object","maxProperties":1024,)"
     R"("additionalProperties":{"type":"number","minimum":-100,"maximum":100}})"},
    {"", "early_stopping", R"({"enum":[true,false,"never"],"default":false})"},
    {"", "response_format", R"({"$ref":"#/components/schemas/ResponseFormat"})"},
    {"chat", "tools", R"({"type":"array","items":{"$ref":"#/components/schemas/Tool"}})"},
    {"tokenize", "tools", R"({"type":"array","items":{"$ref":"#/components/schemas/Tool"}})"},
    {"responses", "tools", R"({"type":"array","items":{"$ref":"#/components/schemas/FlatTool"}})"},
    {"messages", "tools",
     R"({"type":"array","items":{"$ref":"#/components/schemas/MessageTool"}})"},
    {"messages", "tool_choice",
     R"({"type":"object","required":["type"],"properties":{)"
     R"("type":{"enum":["auto","any","tool","none"]},"name":{"type":"string"},)"
     R"("disable_parallel_tool_use":{"type":["boolean","null"]}}})"},
    {"", "tool_choice",
     R"({"anyOf":[{"enum":["none","auto","required"]},{"type":"object","required":["type"],)"
     R"("properties":{"type":{"enum":["function","allowed_tools"]}}}]})"},
    {"", "functions", R"({"type":"array","items":{"$ref":"#/components/schemas/Function"}})"},
    {"", "function_call",
     R"({"anyOf":[{"enum":["none","auto","required"]},{"type":"object","required":["name"],)"
     R"("properties":{"name":{"type":"string"}}}]})"},
    {"", "prediction",
     R"({"type":"object","required":["type","content"],"properties":{"type":{"const":"content"},)"
     R"("content":{"anyOf":[{"type":"string"},)"
     R"({"type":"array","items":{"$ref":"#/components/schemas/TextPart"}}]}}})"},
    {"messages", "metadata",
     R"({"type":"object","properties":{"user_id":{"type":["string","null"]}}})"},
    {"conversations", "metadata", R"({"type":"object"})"},
    {"", "metadata",
     R"({"type":"object","maxProperties":16,"additionalProperties":{"type":"string"}})"},
    {"score", "documents", R"({"$ref":"#/components/schemas/ScoredTexts"})"},
    {"rerank", "documents",
     R"({"type":"array","items":{"anyOf":[{"type":"string"},{"type":"object",)"
     R"("required":["text"],"properties":{"text":{"type":"string"}}}]}})"},
    {"", "documents",
     R"({"type":"array","items":{"anyOf":[{"type":"object"},{"type":"string"}]}})"},
    {"", "guided_choice",
     R"({"type":"array","minItems":1,"items":{"type":"string","minLength":1}})"},
    {"", "guided_json", R"({"$ref":"#/components/schemas/Schema"})"},
    {"", "json_schema", R"({"$ref":"#/components/schemas/Schema"})"},
    {"", "structural_tag", R"({"$ref":"#/components/schemas/StructuralTag"})"},
    {"", "structured_outputs",
     R"({"type":"object","properties":{"json":{"$ref":"#/components/schemas/Schema"},)"
     R"("regex":{"type":["string","null"]},"choice":{"type":["array","null"]},)"
     R"("grammar":{"type":["string","null"]},"json_object":{"type":["boolean","null"]},)"
     R"("structural_tag":{"anyOf":[{"$ref":"#/components/schemas/StructuralTag"},)"
     R"({"type":"null"}]},"whitespace_pattern":{"type":["string","null"]},)"
     R"("disable_any_whitespace":{"type":["boolean","null"]},)"
     R"("disable_fallback":{"type":["boolean","null"]},)"
     R"("disable_additional_properties":{"enum":[false,null]}}})"},
    {"", "conversation",
     R"({"anyOf":[{"type":"string"},{"type":"object","required":["id"],)"
     R"("properties":{"id":{"type":"string"}}}]})"},
    {"", "text",
     R"({"type":"object","properties":{"verbosity":{"enum":["medium",null]},)"
     R"("format":{"type":["object","null"],"properties":{)"
     R"("type":{"enum":["text","json_object","json_schema"]},"name":{"type":["string","null"]},)"
     R"("description":{"type":["string","null"]},"strict":{"type":["boolean","null"]},)"
     R"("schema":{"$ref":"#/components/schemas/Schema"}}}}})"},
    {"", "reasoning",
     R"({"type":"object","properties":{"effort":{"enum":["none","minimal","low","medium","high",)"
     R"("xhigh","max",null]},"summary":{"enum":["auto",null]},)"
     R"("generate_summary":{"enum":["auto",null]}}})"},
    {"", "include",
     R"({"type":"array","items":{"enum":["message.output_text.logprobs",)"
     R"("reasoning.encrypted_content"]}})"},
    {"", "system",
     R"({"anyOf":[{"type":"string"},)"
     R"({"type":"array","items":{"$ref":"#/components/schemas/TextPart"}}]})"},
    {"", "thinking",
     R"({"type":"object","required":["type"],"properties":{)"
     R"("type":{"enum":["enabled","adaptive","disabled"]},)"
     R"("budget_tokens":{"type":["integer","null"],"minimum":1},)"
     R"("display":{"type":["string","null"]}}})"},
    {"", "items", R"({"type":"array","items":{"$ref":"#/components/schemas/InputItem"}})"},
    {"", "query", R"({"type":"string"})"},
    {"", "text_1", R"({"$ref":"#/components/schemas/ScoredTexts"})"},
    {"", "text_2", R"({"$ref":"#/components/schemas/ScoredTexts"})"},
    {"", "queries", R"({"$ref":"#/components/schemas/ScoredTexts"})"},
});

}  // namespace

std::string_view part_schema(std::string_view body, std::string_view name) {
  for (const Part& part : kParts) {
    if (part.name == name && (part.body.empty() || part.body == body)) return part.schema;
  }
  return {};
}

}  // namespace vsurge::api
