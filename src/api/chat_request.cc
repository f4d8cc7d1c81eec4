#include "api/chat_request.h"

#include <algorithm>
#include <array>

#include "api/json.h"
#include "api/messages.h"
#include "api/reader.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

// Not variables of a template, or set by the request itself.
constexpr auto kReservedVariables = std::to_array<std::string_view>(
    {"messages", "tools", "documents", "chat_template", "continue_final_message", "tokenize"});

ApiResult<void> read_template_kwargs(const ObjectReader& body, ChatRequest& out) {
  const json::value* kwargs = body.find("chat_template_kwargs");
  if (kwargs == nullptr) return {};
  if (!kwargs->is_object()) {
    return wrong_type("chat_template_kwargs", "an object", type_name(*kwargs));
  }
  for (const auto& [key, value] : kwargs->get_object()) {
    const std::string path = fmt::format("chat_template_kwargs.{}", std::string_view(key));
    if (std::ranges::find(kReservedVariables, std::string_view(key)) != kReservedVariables.end()) {
      return unsupported(path, fmt::format("'{}' cannot be given to the chat template.", path));
    }
    if (key != "add_generation_prompt") {
      out.template_kwargs.emplace(key, value);
      continue;
    }
    if (!value.is_bool()) return wrong_type(path, "a boolean", type_name(value));
    out.add_generation_prompt = value.get_bool();
  }
  return {};
}

}  // namespace

ApiResult<ChatRequest> read_chat_request(const json::value& body, const RequestContext& context) {
  if (!body.is_object()) {
    return bad_json("invalid_type",
                    fmt::format("The body must be a JSON object; found {}.", type_name(body)));
  }
  const json::object& object = body.get_object();
  const ObjectReader reader(object, "");
  ChatRequest out;
  out.generation = VSURGE_TRY(read_generation_fields(object, Endpoint::kChat, context));
  const json::value* messages = reader.find("messages");
  if (messages == nullptr) return missing("messages");
  out.messages_json = VSURGE_TRY(read_messages(*messages, context.json));
  VSURGE_TRY(read_template_kwargs(reader, out));
  return out;
}

std::string template_context(
    const ChatRequest& request,
    const std::map<std::string, std::string, std::less<>>& special_tokens) {
  std::string out = R"({"messages":)";
  out += request.messages_json;
  // As transformers passes them: none, not absent.
  out += R"(,"tools":null,"documents":null,"add_generation_prompt":)";
  out += request.add_generation_prompt ? "true" : "false";
  for (const auto& [name, token] : special_tokens) {
    if (request.template_kwargs.contains(name)) continue;
    out += ',';
    append_json_string(out, name);
    out += ':';
    append_json_string(out, token);
  }
  for (const auto& [name, value] : request.template_kwargs) {
    out += ',';
    append_json_string(out, name);
    out += ':';
    append_json(out, value);
  }
  out += '}';
  return out;
}

}  // namespace vsurge::api
