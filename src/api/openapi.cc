#include "api/openapi.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <optional>

#include "api/fields.h"
#include "api/model_choice.h"
#include "api/routes.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

std::optional<Endpoint> endpoint_of(Target target) {
  switch (target) {
    case Target::kChat:
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

// The fields that work; a name with a dot is a member of another.
json::object body_of(Target target) {
  json::object schema{{"type", "object"}};
  if (const auto endpoint = endpoint_of(target)) {
    json::object properties;
    for (const Field& field : field_table()) {
      const bool here = (field.endpoints & static_cast<std::uint8_t>(*endpoint)) != 0;
      if (here && field.works() && !field.name.contains('.')) {
        properties[field.name] = json::object();
      }
    }
    schema["properties"] = std::move(properties);
    schema["required"] = json::array{"model"};
  }
  return json::object{
      {"required", true},
      {"content", json::object{{"application/json", json::object{{"schema", std::move(schema)}}}}}};
}

json::object operation_of(const Route& route) {
  json::object operation;
  const std::size_t open = route.path.find('{');
  if (open != std::string_view::npos) {
    const std::string_view name = route.path.substr(open + 1, route.path.find('}') - open - 1);
    operation["parameters"] = json::array{json::object{
        {"name", name}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}}};
  }
  if (route.method == "POST") operation["requestBody"] = body_of(route.target);
  operation["responses"] = json::object{{"200", {{"description", "the answer"}}},
                                        {"default", {{"description", "an error"}}}};
  return operation;
}

}  // namespace

std::string openapi_json(const ServiceHub& hub) {
  json::object paths;
  for (const Route& route : route_table()) {
    std::string method(route.method);
    for (char& c : method) c = static_cast<char>(c - 'A' + 'a');
    if (!paths.contains(route.path)) paths[route.path] = json::object();
    paths[route.path].get_object()[method] = operation_of(route);
  }
  return json::serialize(
      json::object{{"openapi", "3.1.0"},
                   {"info", {{"title", "vSurge"}, {"version", hub.options.version}}},
                   {"paths", std::move(paths)}});
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
