#include "api/openapi.h"

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <optional>
#include <utility>

#include "api/embeddings.h"
#include "api/fields.h"
#include "api/model_admin.h"
#include "api/model_choice.h"
#include "api/openapi_parts.h"
#include "api/rerank.h"
#include "api/responses.h"
#include "api/routes.h"
#include "api/tokens.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

std::optional<Endpoint> endpoint_of(Target target) {
  switch (target) {
    case Target::kChat:
    case Target::kApplyTemplate:
      return Endpoint::kChat;
    case Target::kCompletions:
      return Endpoint::kCompletions;
    case Target::kMessages:
    case Target::kMessagesCount:
      return Endpoint::kMessages;
    case Target::kResponses:
    case Target::kResponseTokens:
      return Endpoint::kResponses;
    default:
      return std::nullopt;
  }
}

// What a route answers with: a name of component_schemas(), and that of its stream's events.
struct AnswerName {
  Target target;
  const char* whole;
  const char* event = nullptr;
};
constexpr auto kAnswers = std::to_array<AnswerName>({
    {Target::kChat, "ChatCompletion", "ChatChunk"},
    {Target::kCompletions, "Completion", "Completion"},
    {Target::kMessages, "MessageAnswer", "MessageEvent"},
    {Target::kMessagesCount, "InputTokens"},
    {Target::kResponses, "Response", "ResponseEvent"},
    {Target::kResponseTokens, "InputTokens"},
    {Target::kResponse, "Response", "ResponseEvent"},
    {Target::kResponseErase, "Deleted"},
    {Target::kResponseCancel, "Response"},
    {Target::kResponseItems, "List"},
    {Target::kConversations, "Conversation"},
    {Target::kConversation, "Conversation"},
    {Target::kConversationErase, "Deleted"},
    {Target::kConversationItems, "List"},
    {Target::kModels, "List"},
    {Target::kModel, "Model"},
    {Target::kTokenize, "Tokenized"},
    {Target::kDetokenize, "Text"},
    {Target::kApplyTemplate, "Text"},
    {Target::kEmbeddings, "Embeddings"},
    {Target::kRerank, "Ranking"},
    {Target::kScore, "Scores"},
    {Target::kLive, "Status"},
    {Target::kReady, "Status"},
    {Target::kHealth, "Status"},
});

json::object reference(std::string_view name) {
  return {{"$ref", "#/components/schemas/" + std::string(name)}};
}

// null counts as absent, everywhere.
json::object or_null(json::object schema) {
  if (json::value* type = schema.if_contains("type"); type != nullptr && type->is_string()) {
    *type = json::array{*type, "null"};
    if (json::value* words = schema.if_contains("enum")) {
      words->get_array().emplace_back(nullptr);
    }
    return schema;
  }
  json::object out{{"anyOf", json::array{std::move(schema), json::object{{"type", "null"}}}}};
  return out;
}

// A whole number is written as one.
json::value number(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15) return static_cast<std::int64_t>(value);
  return value;
}

json::object schema_of(const FieldShape& shape) {
  switch (shape.kind) {
    case FieldKind::kPart:
      return {};
    case FieldKind::kFlag:
      return {{"type", "boolean"}};
    case FieldKind::kInteger:
    case FieldKind::kNumber:
      return {{"type", shape.kind == FieldKind::kInteger ? "integer" : "number"},
              {shape.low_open ? "exclusiveMinimum" : "minimum", number(shape.low)},
              {"maximum", number(shape.high)}};
    case FieldKind::kText:
      return {{"type", "string"}};
    case FieldKind::kName:
      return {{"type", "string"}, {"maxLength", shape.bytes_max}};
    case FieldKind::kWord: {
      json::array words;
      for (std::size_t at = 0; at <= shape.words.size();) {
        const std::size_t end = std::min(shape.words.find('|', at), shape.words.size());
        words.emplace_back(shape.words.substr(at, end - at));
        at = end + 1;
      }
      return {{"type", "string"}, {"enum", std::move(words)}};
    }
    case FieldKind::kTexts: {
      const json::object one{{"type", "string"}, {"minLength", 1}, {"maxLength", shape.bytes_max}};
      const json::object list{{"type", "array"}, {"maxItems", shape.count_max}, {"items", one}};
      return {{"anyOf", json::array{one, list}}};
    }
    case FieldKind::kTokenIds: {
      json::object list{{"type", "array"}, {"items", {{"type", "integer"}, {"minimum", 0}}}};
      if (shape.count_max > 0) list["maxItems"] = shape.count_max;
      return list;
    }
  }
  return {};
}

// Of a field that works, or of the values that ask for nothing of one that does not.
json::object field_schema(std::string_view body, std::string_view name, const FieldShape& shape,
                          std::string_view neutral_values) {
  if (!neutral_values.empty()) {
    json::array values = json::parse(neutral_values).get_array();
    values.emplace_back(nullptr);
    return {{"enum", std::move(values)}, {"description", "not supported with other values"}};
  }
  json::object schema = schema_of(shape);
  if (shape.kind == FieldKind::kPart) {
    const std::string_view part = part_schema(body, name);
    if (!part.empty()) schema = json::parse(part).get_object();
  }
  if (schema.empty()) return schema;
  schema = or_null(std::move(schema));
  if (!shape.otherwise.empty()) schema["default"] = json::parse(shape.otherwise);
  return schema;
}

// A name with a dot is a member of another.
json::object properties_of(Endpoint endpoint, std::string_view body, std::string_view prefix) {
  json::object out;
  for (const Field& field : field_table()) {
    const bool here = (field.endpoints & static_cast<std::uint8_t>(endpoint)) != 0;
    if (!here || !field.name.starts_with(prefix)) continue;
    const std::string_view name = field.name.substr(prefix.size());
    if (name.contains('.')) continue;
    out[name] = field_schema(body, field.name, field.shape, field.neutral_values);
    if (name != "stream_options") continue;
    out[name] = or_null({{"type", "object"},
                         {"properties", properties_of(endpoint, body, "stream_options.")},
                         {"additionalProperties", false}});
  }
  return out;
}

struct BodyName {
  std::string_view name;
  std::span<const PlainField> fields = {};  // of no Endpoint
  json::array required = {};
};

BodyName body_name(Target target) {
  switch (target) {
    case Target::kChat:
    case Target::kApplyTemplate:
      return {"chat", {}, {"messages"}};
    case Target::kCompletions:
      return {"completions", {}, {"model", "prompt"}};
    case Target::kMessages:
      return {"messages", {}, {"model", "messages", "max_tokens"}};
    case Target::kMessagesCount:
      return {"messages", {}, {"model", "messages"}};
    case Target::kResponses:
    case Target::kResponseTokens:
      return {"responses", {}, {"model"}};
    case Target::kEmbeddings:
      return {"embeddings", embeddings_fields(), {"model", "input"}};
    case Target::kRerank:
      return {"rerank", rerank_fields(), {"query", "documents"}};
    case Target::kScore:
      return {"score", score_fields()};
    case Target::kTokenize:
      return {"tokenize", tokenize_fields()};
    case Target::kDetokenize:
      return {"detokenize", detokenize_fields(), {"tokens"}};
    case Target::kConversations:
      return {"conversations", conversation_fields()};
    case Target::kModelLoad:
      return {"load", load_fields()};
    case Target::kModelUnload:
      return {"unload", unload_fields()};
    default:
      return {};
  }
}

json::object body_of(Target target, bool strict) {
  BodyName body = body_name(target);
  json::object properties;
  if (const auto endpoint = endpoint_of(target)) {
    properties = properties_of(*endpoint, body.name, "");
  }
  for (const PlainField& field : body.fields) {
    properties[field.name] = field_schema(body.name, field.name, field.shape, field.neutral_values);
  }
  if (target == Target::kChat) body.required.insert(body.required.begin(), "model");
  json::object schema{{"type", "object"}, {"properties", std::move(properties)}};
  if (!body.required.empty()) schema["required"] = std::move(body.required);
  if (strict) schema["additionalProperties"] = false;
  return json::object{
      {"required", target != Target::kConversations},
      {"content", json::object{{"application/json", json::object{{"schema", std::move(schema)}}}}}};
}

json::object responses_of(const Route& route) {
  const auto* answer = std::ranges::find(kAnswers, route.target, &AnswerName::target);
  json::object content;
  if (answer != kAnswers.end()) {
    content["application/json"] = json::object{{"schema", reference(answer->whole)}};
    if (answer->event != nullptr) {
      content["text/event-stream"] = json::object{{"schema", reference(answer->event)}};
    }
  } else if (route.target != Target::kDocs && route.target != Target::kMetrics) {
    content["application/json"] = json::object{{"schema", reference("Object")}};
  } else {
    content["text/plain"] = json::object{{"schema", json::object{{"type", "string"}}}};
  }
  const bool anthropic =
      route.target == Target::kMessages || route.target == Target::kMessagesCount;
  const json::object error{
      {"application/json",
       json::object{{"schema", reference(anthropic ? "MessageError" : "Error")}}}};
  return {{"200", json::object{{"description", "the answer"}, {"content", std::move(content)}}},
          {"default", json::object{{"description", "an error"}, {"content", error}}}};
}

// Of the path, and of the one query that there is.
json::array parameters_of(const Route& route) {
  json::array out;
  const std::size_t open = route.path.find('{');
  if (open == std::string_view::npos) return out;
  const std::string_view name = route.path.substr(open + 1, route.path.find('}') - open - 1);
  out.push_back(json::object{
      {"name", name}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}});
  if (route.target != Target::kResponse) return out;
  const std::pair<const char*, const char*> queries[] = {{"stream", "boolean"},
                                                         {"starting_after", "integer"}};
  for (const auto& [query, type] : queries) {
    out.push_back(json::object{{"name", query}, {"in", "query"}, {"schema", {{"type", type}}}});
  }
  return out;
}

json::object operation_of(const Route& route, bool strict) {
  json::object operation;
  if (json::array parameters = parameters_of(route); !parameters.empty()) {
    operation["parameters"] = std::move(parameters);
  }
  if (!body_name(route.target).name.empty()) {
    operation["requestBody"] = body_of(route.target, strict);
  }
  operation["responses"] = responses_of(route);
  return operation;
}

}  // namespace

std::string openapi_json(const ServiceHub& hub) {
  const bool strict = !hub.options.warn_unknown_fields;
  json::object paths;
  for (const Route& route : route_table()) {
    std::string method(route.method);
    for (char& c : method) c = static_cast<char>(c - 'A' + 'a');
    if (!paths.contains(route.path)) paths[route.path] = json::object();
    paths[route.path].get_object()[method] = operation_of(route, strict);
  }
  return json::serialize(
      json::object{{"openapi", "3.1.0"},
                   {"info", {{"title", "vSurge"}, {"version", hub.options.version}}},
                   {"paths", std::move(paths)},
                   {"components", json::object{{"schemas", component_schemas()}}}});
}

std::string docs_html(const ServiceHub& hub) {
  std::string out =
      "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>vSurge</title>"
      "<style>body{font:16px sans-serif;margin:2em auto;max-width:60em}td{padding:.2em 1em .2em 0;"
      "vertical-align:top}code{background:#eee}</style><h1>vSurge ";
  out += hub.options.version;
  out += "</h1><p>Machines read <a href=\"openapi.json\">openapi.json</a>.</p><table>";
  for (const Route& route : route_table()) {
    out += "<tr><td>";
    out += route.method;
    out += "</td><td><code>";
    out += route.path;
    out += "</code></td><td>";
    if (const auto endpoint = endpoint_of(route.target)) {
      for (const Field& field : field_table()) {
        const bool here = (field.endpoints & static_cast<std::uint8_t>(*endpoint)) != 0;
        if (here && field.works()) out.append(field.name).append(" ");
      }
    }
    out += "</td></tr>";
  }
  out += "</table></html>";
  return out;
}

std::string tools_json(const ServiceHub& hub, const access::ApiKey* key) {
  json::object models;
  const auto served = hub.models.list();
  for (const ModelEntry& entry : *served) {
    if (entry.core == nullptr || !may_use(key, entry)) continue;
    const ToolFormat* format = entry.core->options.tool_format;
    json::object model{{"tools", json::array()}, {"parallel_calls", format != nullptr}};
    model["tool_parser"] = format == nullptr ? json::value(nullptr) : json::value(format->name);
    json::array formats;
    for (const ToolFormat* each : tool_formats()) formats.emplace_back(each->name);
    model["formats_supported"] = std::move(formats);
    for (const std::string& name : entry.names) models[name] = model;
  }
  return json::serialize(json::object{{"models", std::move(models)}, {"default_format", "openai"}});
}

}  // namespace vsurge::api
