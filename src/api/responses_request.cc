#include "api/responses_request.h"

#include <algorithm>
#include <utility>

#include "api/field_table.h"
#include "api/json.h"
#include "api/limits.h"
#include "api/reader.h"
#include "api/response_items.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

// As it came, or another value where it did not.
json::value given(const ObjectReader& body, std::string_view name, json::value otherwise) {
  const json::value* value = body.find(name);
  return value == nullptr ? std::move(otherwise) : *value;
}

ApiResult<const json::object*> object_of(const ObjectReader& body, std::string_view name) {
  const json::value* value = body.find(name);
  if (value == nullptr) return nullptr;
  if (!value->is_object()) return wrong_type(body.path_of(name), "an object", type_name(*value));
  return &value->get_object();
}

// The fields that chat has, too, and in which it means the same.
json::object chat_fields(const json::object& body) {
  constexpr std::uint8_t kBoth = kInChat | kInResponses;
  json::object out;
  for (const Field& field : field_table()) {
    if ((field.endpoints & kBoth) != kBoth || !field.works()) continue;
    if (const json::value* value = body.if_contains(field.name)) out.emplace(field.name, *value);
  }
  return out;
}

// What is told beyond the output itself. Logprobs where either field asks for them.
ApiResult<void> read_include(const ObjectReader& body, json::object& chat) {
  const json::value* include = body.find("include");
  bool logprobs = VSURGE_TRY(read_integer(body, "top_logprobs")).value_or(0) > 0;
  if (include != nullptr && !include->is_array()) {
    return wrong_type("include", "an array", type_name(*include));
  }
  for (std::size_t i = 0; include != nullptr && i < include->get_array().size(); ++i) {
    const json::value& each = include->get_array()[i];
    const std::string path = fmt::format("include[{}]", i);
    if (!each.is_string()) return wrong_type(path, "a string", type_name(each));
    if (each.get_string() == "message.output_text.logprobs") {
      logprobs = true;
    } else if (each.get_string() != "reasoning.encrypted_content") {  // it is told as it is
      return unsupported(path, fmt::format("'{}' {} is not supported; "
                                           "'message.output_text.logprobs' is.",
                                           path, in_quotes(each.get_string())));
    }
  }
  if (logprobs) chat["logprobs"] = true;
  return {};
}

// {"format": {"type", "name", "schema", "strict"}}: chat's response_format in one level.
ApiResult<void> read_text_format(const ObjectReader& body, const RequestContext& context,
                                 ResponsesRequest& out) {
  out.echo["text"] = json::object{{"format", json::object{{"type", "text"}}}};
  const json::object* text = VSURGE_TRY(object_of(body, "text"));
  if (text == nullptr) return {};
  for (const auto& [key, value] : *text) {
    if (key == "format") continue;
    if (key == "verbosity" && (value.is_null() || value == "medium")) continue;
    return unsupported(fmt::format("text.{}", printable_name(key)),
                       fmt::format("'text.{}' is not supported by this server with this value.",
                                   printable_name(key)));
  }
  out.echo["text"] = *text;
  const ObjectReader reader(*text, "text");
  const json::object* format = VSURGE_TRY(object_of(reader, "format"));
  if (format == nullptr) return {};
  const json::value* type = format->if_contains("type");
  json::object as_chat = *format;
  if (type != nullptr && *type == "json_schema") {
    as_chat.erase("type");
    as_chat = json::object{{"type", "json_schema"}, {"json_schema", std::move(as_chat)}};
  }
  const json::object holder{{"response_format", std::move(as_chat)}};
  auto structured = read_structured_output(ObjectReader(holder, ""), Endpoint::kResponses, context);
  if (!structured) {
    ApiError error = structured.error();
    error.param = "text.format";
    return std::unexpected(std::move(error));
  }
  out.chat.structured = std::move(*structured);
  if (out.chat.structured) out.chat.structured->param = "text.format";
  return {};
}

ApiResult<void> read_reasoning(const ObjectReader& body, ResponsesRequest& out) {
  out.echo["reasoning"] = json::object{{"effort", nullptr}, {"summary", nullptr}};
  const json::object* reasoning = VSURGE_TRY(object_of(body, "reasoning"));
  if (reasoning == nullptr) return {};
  const ObjectReader reader(*reasoning, "reasoning");
  for (const auto& [key, value] : *reasoning) {
    // There is no summary beside the reasoning itself, which is told anyway.
    const bool automatic = value.is_null() || value == "auto";
    if (key == "effort" || ((key == "summary" || key == "generate_summary") && automatic)) continue;
    return unsupported(reader.path_of(printable_name(key)),
                       fmt::format("'{}' is not supported by this server with this value.",
                                   reader.path_of(printable_name(key))));
  }
  const auto effort = VSURGE_TRY(reader.text("effort"));
  if (!effort) return {};
  out.echo["reasoning"] = json::object{{"effort", *effort}, {"summary", nullptr}};
  return set_effort(*effort, "reasoning.effort", out.chat.reasoning);
}

ApiResult<void> read_past(const ObjectReader& body, ResponsesRequest& out) {
  out.previous_id = VSURGE_TRY(read_name(body, "previous_response_id")).value_or("");
  const json::value* conversation = body.find("conversation");
  if (conversation != nullptr) {
    if (conversation->is_object()) {
      const ObjectReader reader(conversation->get_object(), "conversation");
      const auto id = VSURGE_TRY(reader.name("id", kIdBytesMax));
      if (!id) return missing("conversation.id");
      out.conversation_id = *id;
    } else {
      out.conversation_id = VSURGE_TRY(body.name("conversation", kIdBytesMax)).value_or("");
    }
    if (!out.previous_id.empty()) {
      return bad_value("conversation",
                       "'conversation' and 'previous_response_id' exclude each other.");
    }
  }
  out.store = VSURGE_TRY(read_flag(body, "store"));
  out.background = VSURGE_TRY(read_flag(body, "background"));
  if (out.background && !out.store) {
    return bad_value("background", "'background' needs 'store': true.");
  }
  return {};
}

ApiResult<void> read_streaming(const ObjectReader& body, GenerationFields& out) {
  const json::object* options = VSURGE_TRY(object_of(body, "stream_options"));
  if (options == nullptr) return {};
  if (!out.stream) {
    return bad_value("stream_options",
                     "'stream_options' is only for requests with 'stream': true.");
  }
  const ObjectReader reader(*options, "stream_options");
  for (const auto& [key, value] : *options) {
    if (key != "include_obfuscation") return unknown_field(reader.path_of(printable_name(key)));
  }
  out.obfuscation = VSURGE_TRY(read_flag(reader, "stream_options.include_obfuscation"));
  return {};
}

// Tools as they are told: OpenAI's are whole, whatever the request left out. It has been read.
json::array told_tools(const ObjectReader& body) {
  json::array out;
  const json::value* tools = body.find("tools");
  if (tools == nullptr) return out;
  for (const json::value& each : tools->get_array()) {
    json::object tool = each.get_object();
    if (tool.at("type") != "function") continue;  // left out
    tool.emplace("parameters", nullptr);
    tool.emplace("strict", false);
    out.push_back(std::move(tool));
  }
  return out;
}

void echo_fields(const ObjectReader& body, ResponsesRequest& out) {
  const engine::SamplingParams& sampling = out.chat.generation.sampling;
  const ToolFields& tools = out.chat.tools;
  json::object& echo = out.echo;
  echo["instructions"] = given(body, "instructions", nullptr);
  echo["max_output_tokens"] = given(body, "max_output_tokens", nullptr);
  echo["max_tool_calls"] = nullptr;
  echo["metadata"] = given(body, "metadata", json::object());
  echo["parallel_tool_calls"] = tools.parallel;
  echo["previous_response_id"] = given(body, "previous_response_id", nullptr);
  echo["prompt_cache_key"] = given(body, "prompt_cache_key", nullptr);
  echo["safety_identifier"] = given(body, "safety_identifier", nullptr);
  echo["service_tier"] = "default";
  echo["store"] = out.store;
  echo["temperature"] = sampling.temperature;
  echo["tool_choice"] = given(body, "tool_choice", "auto");
  echo["tools"] = told_tools(body);
  echo["top_logprobs"] = given(body, "top_logprobs", 0);
  echo["top_p"] = sampling.top_p;
  echo["truncation"] = "disabled";
  echo["user"] = given(body, "user", nullptr);
  echo["background"] = out.background;
  if (!out.conversation_id.empty()) {
    echo["conversation"] = json::object{{"id", out.conversation_id}};
  }
}

}  // namespace

ApiResult<ResponsesRequest> read_responses_request(const json::value& body,
                                                   const RequestContext& context) {
  if (!body.is_object()) {
    return bad_json("invalid_type",
                    fmt::format("The body must be a JSON object; found {}.", type_name(body)));
  }
  const json::object& object = body.get_object();
  const ObjectReader reader(object, "");
  VSURGE_TRY(check_fields(object, Endpoint::kResponses, {.ignored = context.ignored}));
  ResponsesRequest out;
  json::object fields = chat_fields(object);
  VSURGE_TRY(read_include(reader, fields));
  out.chat.generation = VSURGE_TRY(read_generation_fields(fields, Endpoint::kChat, context));
  GenerationFields& generation = out.chat.generation;
  VSURGE_TRY(read_streaming(reader, generation));
  const auto most = VSURGE_TRY(read_integer(reader, "max_output_tokens"));
  if (most) generation.sampling.max_tokens = static_cast<int>(*most);
  generation.max_tokens_field = "max_output_tokens";
  const auto instructions = VSURGE_TRY(reader.text("instructions"));
  out.instructions = instructions.value_or("");
  VSURGE_TRY(read_past(reader, out));
  const json::value* input = reader.find("input");
  if (input != nullptr) {
    out.input = VSURGE_TRY(read_input_items(*input, context.json));
  }
  if (out.input.empty() && out.previous_id.empty() && out.conversation_id.empty()) {
    return input == nullptr ? missing("input") : bad_value("input", "'input' must not be empty.");
  }
  out.chat.tools = VSURGE_TRY(read_tools(reader, ToolStyle::kFlat, context.ignored));
  VSURGE_TRY(read_text_format(reader, context, out));
  VSURGE_TRY(read_reasoning(reader, out));
  echo_fields(reader, out);
  return out;
}

}  // namespace vsurge::api
