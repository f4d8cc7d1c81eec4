// What the schemas of /openapi.json refer to: parts of requests and answers, in shape.
#include <boost/json/parse.hpp>

#include "api/openapi_parts.h"

namespace vsurge::api {
namespace {

constexpr std::string_view kRequestParts = R"json({
"TokenIds": {"type": "array", "items": {"type": "integer", "minimum": 0}},
"Schema": {"description": "a JSON schema, or text that holds one",
  "type": ["object", "boolean", "string", "null"]},
"TextPart": {"type": "object", "required": ["type", "text"],
  "properties": {"type": {"const": "text"}, "text": {"type": "string"}}},
"ToolCall": {"type": "object", "required": ["id", "function"], "properties": {
  "id": {"type": "string"}, "type": {"enum": ["function", null]},
  "function": {"type": "object", "required": ["name", "arguments"], "properties": {
    "name": {"type": "string"}, "arguments": {"type": "string"}}}}},
"ChatMessage": {"type": "object", "required": ["role"], "properties": {
  "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
  "content": {"anyOf": [{"type": ["string", "null"]},
    {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/TextPart"}}]},
  "name": {"type": ["string", "null"]},
  "tool_calls": {"anyOf": [{"type": "null"},
    {"type": "array", "items": {"$ref": "#/components/schemas/ToolCall"}}]},
  "tool_call_id": {"type": ["string", "null"]},
  "reasoning_content": {"type": ["string", "null"]}, "reasoning": {"type": ["string", "null"]}}},
"Message": {"type": "object", "required": ["role", "content"], "properties": {
  "role": {"enum": ["user", "assistant", "system"]},
  "content": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object",
    "required": ["type"],
    "properties": {"type": {"enum": ["text", "thinking", "tool_use", "tool_result"]}}}}]}}},
"InputItem": {"type": "object", "properties": {
  "type": {"enum": ["message", "function_call", "function_call_output", "reasoning", null]},
  "role": {"enum": ["user", "assistant", "system", "developer", null]},
  "content": {"type": ["string", "array", "null"]}, "call_id": {"type": ["string", "null"]},
  "name": {"type": ["string", "null"]}, "arguments": {"type": ["string", "null"]},
  "output": {"type": ["string", "array", "null"]}}},
"Function": {"type": "object", "required": ["name"], "properties": {
  "name": {"type": "string", "minLength": 1, "maxLength": 128},
  "description": {"type": ["string", "null"]}, "parameters": {"type": ["object", "null"]},
  "strict": {"type": ["boolean", "null"]}}},
"Tool": {"type": "object", "required": ["type", "function"], "properties": {
  "type": {"const": "function"}, "function": {"$ref": "#/components/schemas/Function"}}},
"FlatTool": {"allOf": [{"$ref": "#/components/schemas/Function"}], "required": ["type"],
  "properties": {"type": {"const": "function"}}},
"MessageTool": {"type": "object", "required": ["name", "input_schema"], "properties": {
  "name": {"type": "string"}, "description": {"type": ["string", "null"]},
  "input_schema": {"type": "object"}, "strict": {"type": ["boolean", "null"]}}},
"ResponseFormat": {"type": "object", "required": ["type"], "properties": {
  "type": {"enum": ["text", "json_object", "json_schema", "structural_tag"]},
  "schema": {"$ref": "#/components/schemas/Schema"},
  "json_schema": {"type": ["object", "null"], "properties": {
    "name": {"type": ["string", "null"]}, "description": {"type": ["string", "null"]},
    "strict": {"type": ["boolean", "null"]},
    "schema": {"$ref": "#/components/schemas/Schema"}}}}},
"StructuralTag": {"description": "an object, or text that holds one",
  "type": ["object", "string"]},
"ScoredTexts": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"anyOf": [
  {"type": "string"}, {"type": "object", "required": ["text"],
    "properties": {"text": {"type": "string"}}}]}}]}
})json";

constexpr std::string_view kAnswers = R"json({
"Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "object",
  "required": ["message", "type", "param", "code"], "properties": {
    "message": {"type": "string"}, "type": {"type": "string"},
    "param": {"type": ["string", "null"]}, "code": {"type": ["string", "null"]}}}}},
"MessageError": {"type": "object", "required": ["type", "error"], "properties": {
  "type": {"const": "error"}, "error": {"type": "object", "required": ["type", "message"],
    "properties": {"type": {"type": "string"}, "message": {"type": "string"},
      "param": {"type": ["string", "null"]}}}}},
"Usage": {"type": "object", "required": ["prompt_tokens", "completion_tokens", "total_tokens"],
  "properties": {
    "prompt_tokens": {"type": "integer"}, "completion_tokens": {"type": "integer"},
    "total_tokens": {"type": "integer"},
    "prompt_tokens_details": {"type": "object",
      "properties": {"cached_tokens": {"type": "integer"}}},
    "completion_tokens_details": {"type": "object", "properties": {
      "reasoning_tokens": {"type": "integer"}, "accepted_prediction_tokens": {"type": "integer"},
      "rejected_prediction_tokens": {"type": "integer"}}},
    "tokens_per_second": {"type": "number"}, "processing_time": {"type": "number"},
    "first_token_time": {"type": "number"}}},
"TokenLogprob": {"type": "object", "required": ["token", "logprob", "bytes"], "properties": {
  "token": {"type": "string"}, "logprob": {"type": "number"},
  "bytes": {"type": ["array", "null"], "items": {"type": "integer"}},
  "top_logprobs": {"type": "array", "items": {"$ref": "#/components/schemas/TokenLogprob"}}}},
"AnswerHead": {"type": "object", "required": ["id", "object", "created", "model", "choices"],
  "properties": {"id": {"type": "string"}, "created": {"type": "integer"},
    "model": {"type": "string"}, "system_fingerprint": {"type": "string"}}},
"ChatLogprobs": {"type": ["object", "null"], "required": ["content"], "properties": {
  "content": {"type": "array", "items": {"$ref": "#/components/schemas/TokenLogprob"}}}},
"ChatCompletion": {"allOf": [{"$ref": "#/components/schemas/AnswerHead"}], "required": ["usage"],
  "properties": {"object": {"const": "chat.completion"},
    "usage": {"$ref": "#/components/schemas/Usage"},
    "choices": {"type": "array", "minItems": 1, "items": {"type": "object",
      "required": ["index", "message", "finish_reason"], "properties": {
        "index": {"type": "integer"},
        "message": {"type": "object", "required": ["role", "content", "refusal"], "properties": {
          "role": {"const": "assistant"}, "content": {"type": ["string", "null"]},
          "refusal": {"type": "null"}, "reasoning_content": {"type": "string"},
          "reasoning": {"type": "string"},
          "tool_calls": {"type": "array", "items": {"$ref": "#/components/schemas/ToolCall"}}}},
        "logprobs": {"$ref": "#/components/schemas/ChatLogprobs"},
        "finish_reason": {"enum": ["stop", "length", "tool_calls", "function_call"]},
        "stop_reason": {"type": ["string", "integer"]}}}}}},
"ChatChunk": {"allOf": [{"$ref": "#/components/schemas/AnswerHead"}], "properties": {
  "object": {"const": "chat.completion.chunk"},
  "usage": {"anyOf": [{"$ref": "#/components/schemas/Usage"}, {"type": "null"}]},
  "choices": {"type": "array", "items": {"type": "object",
    "required": ["index", "delta", "finish_reason"], "properties": {
      "index": {"type": "integer"}, "delta": {"type": "object"},
      "logprobs": {"$ref": "#/components/schemas/ChatLogprobs"},
      "finish_reason": {"enum": ["stop", "length", "tool_calls", "function_call", null]}}}}}},
"Completion": {"allOf": [{"$ref": "#/components/schemas/AnswerHead"}], "properties": {
  "object": {"const": "text_completion"},
  "usage": {"anyOf": [{"$ref": "#/components/schemas/Usage"}, {"type": "null"}]},
  "choices": {"type": "array", "items": {"type": "object",
    "required": ["index", "text", "logprobs", "finish_reason"], "properties": {
      "index": {"type": "integer"}, "text": {"type": "string"},
      "logprobs": {"type": ["object", "null"]},
      "finish_reason": {"enum": ["stop", "length", null]}}}}}},
"Response": {"type": "object", "required": ["id", "object", "created_at", "status", "output",
  "error", "incomplete_details", "model", "usage"], "properties": {
    "id": {"type": "string"}, "object": {"const": "response"}, "created_at": {"type": "integer"},
    "status": {"enum": ["queued", "in_progress", "completed", "incomplete", "failed",
      "cancelled"]},
    "background": {"type": ["boolean", "null"]},
    "error": {"type": ["object", "null"], "required": ["code", "message"]},
    "incomplete_details": {"type": ["object", "null"]}, "model": {"type": "string"},
    "output": {"type": "array", "items": {"type": "object", "required": ["type", "id"],
      "properties": {"type": {"enum": ["message", "function_call", "reasoning"]}}}},
    "usage": {"type": ["object", "null"],
      "required": ["input_tokens", "output_tokens", "total_tokens"]}}},
"ResponseEvent": {"type": "object", "required": ["type", "sequence_number"], "properties": {
  "type": {"type": "string"}, "sequence_number": {"type": "integer"}}},
"MessageAnswer": {"type": "object", "required": ["id", "type", "role", "content", "model",
  "stop_reason", "stop_sequence", "usage"], "properties": {
    "id": {"type": "string"}, "type": {"const": "message"}, "role": {"const": "assistant"},
    "content": {"type": "array", "items": {"type": "object", "required": ["type"],
      "properties": {"type": {"enum": ["text", "thinking", "tool_use"]}}}},
    "model": {"type": "string"},
    "stop_reason": {"enum": ["end_turn", "max_tokens", "stop_sequence", "tool_use", null]},
    "stop_sequence": {"type": ["string", "null"]},
    "usage": {"type": "object", "required": ["input_tokens", "output_tokens"]}}},
"MessageEvent": {"type": "object", "required": ["type"],
  "properties": {"type": {"type": "string"}}},
"InputTokens": {"type": "object", "required": ["input_tokens"], "properties": {
  "object": {"const": "response.input_tokens"}, "input_tokens": {"type": "integer"}}},
"Deleted": {"type": "object", "required": ["id", "object", "deleted"], "properties": {
  "id": {"type": "string"}, "object": {"type": "string"}, "deleted": {"const": true}}},
"Conversation": {"type": "object", "required": ["id", "object", "created_at", "metadata"],
  "properties": {"id": {"type": "string"}, "object": {"const": "conversation"},
    "created_at": {"type": "integer"}, "metadata": {"type": "object"}}},
"List": {"type": "object", "required": ["object", "data"], "properties": {
  "object": {"const": "list"}, "data": {"type": "array", "items": {"type": "object"}}}},
"Model": {"type": "object", "required": ["id", "object", "created", "owned_by"], "properties": {
  "id": {"type": "string"}, "object": {"const": "model"}, "created": {"type": "integer"},
  "owned_by": {"type": "string"}, "max_model_len": {"type": "integer"}}},
"Status": {"type": "object", "required": ["status"],
  "properties": {"status": {"type": "string"}}},
"Tokenized": {"type": "object", "required": ["tokens"], "properties": {
  "count": {"type": "integer"}, "max_model_len": {"type": "integer"},
  "tokens": {"type": "array"}, "token_strs": {"type": ["array", "null"]}}},
"Text": {"type": "object", "required": ["prompt"],
  "properties": {"prompt": {"type": "string"}, "content": {"type": "string"}}},
"Embeddings": {"type": "object", "required": ["object", "data", "model", "usage"], "properties": {
  "object": {"const": "list"}, "model": {"type": "string"}, "usage": {"type": "object"},
  "data": {"type": "array", "items": {"type": "object",
    "required": ["object", "index", "embedding"], "properties": {
      "object": {"const": "embedding"}, "index": {"type": "integer"},
      "embedding": {"type": ["array", "string"]}}}}}},
"Ranking": {"type": "object", "required": ["results", "model", "usage"], "properties": {
  "results": {"type": "array", "items": {"type": "object",
    "required": ["index", "relevance_score"], "properties": {
      "index": {"type": "integer"}, "relevance_score": {"type": "number"}}}}}},
"Scores": {"type": "object", "required": ["object", "data", "model", "usage"], "properties": {
  "data": {"type": "array", "items": {"type": "object", "required": ["index", "score"],
    "properties": {"index": {"type": "integer"}, "score": {"type": "number"}}}}}},
"Object": {"type": "object"}
})json";

}  // namespace

boost::json::object component_schemas() {
  boost::json::object out = boost::json::parse(kRequestParts).get_object();
  const boost::json::value answers = boost::json::parse(kAnswers);
  for (const auto& [name, schema] : answers.get_object()) out.emplace(name, schema);
  return out;
}

}  // namespace vsurge::api
