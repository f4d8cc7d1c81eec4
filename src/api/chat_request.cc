#include "api/chat_request.h"

#include <algorithm>
#include <array>

#include "api/field_table.h"
#include "api/json.h"
#include "api/limits.h"
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

// Documents of retrieval, for templates that take them: objects, or texts.
ApiResult<void> read_documents(const ObjectReader& body, ChatRequest& out) {
  const json::value* documents = body.find("documents");
  if (documents == nullptr) return {};
  if (!documents->is_array()) return wrong_type("documents", "an array", type_name(*documents));
  for (std::size_t i = 0; i < documents->get_array().size(); ++i) {
    const json::value& each = documents->get_array()[i];
    if (each.is_object() || each.is_string()) continue;
    return wrong_type(fmt::format("documents[{}]", i), "an object or a string", type_name(each));
  }
  if (!documents->get_array().empty()) append_json(out.documents_json, *documents);
  return {};
}

// OpenAI's predicted outputs: {"type":"content","content": a text, or parts that are one}.
ApiResult<void> read_prediction(const ObjectReader& body, ChatRequest& out) {
  const json::value* prediction = body.find("prediction");
  if (prediction == nullptr) return {};
  if (!prediction->is_object())
    return wrong_type("prediction", "an object", type_name(*prediction));
  const ObjectReader reader(prediction->get_object(), "prediction");
  for (const auto& [key, value] : reader.object()) {
    if (key == "type" || key == "content") continue;
    return unknown_field(reader.path_of(printable_name(key)));
  }
  VSURGE_TRY(reader.word("type", "content"));
  if (reader.find("type") == nullptr) return missing("prediction.type");
  const json::value* content = reader.find("content");
  if (content == nullptr) return missing("prediction.content");
  if (content->is_string()) {
    out.prediction = content->get_string();
    return {};
  }
  if (!content->is_array()) {
    return wrong_type("prediction.content", "a string or an array of parts", type_name(*content));
  }
  for (std::size_t i = 0; i < content->get_array().size(); ++i) {
    const std::string path = fmt::format("prediction.content[{}]", i);
    const json::value& part = content->get_array()[i];
    if (!part.is_object()) return wrong_type(path, "an object", type_name(part));
    const ObjectReader inner(part.get_object(), path);
    VSURGE_TRY(inner.word("type", "text"));
    const auto text = VSURGE_TRY(inner.text("text"));
    if (!text) return missing(inner.path_of("text"));
    out.prediction += *text;
  }
  return {};
}

// The last message is the beginning of the answer.
ApiResult<void> read_continuation(const ObjectReader& body, const json::value& messages,
                                  ChatRequest& out) {
  const json::value* generation_prompt = body.find("add_generation_prompt");
  out.add_generation_prompt =
      VSURGE_TRY(body.boolean("add_generation_prompt", out.add_generation_prompt));
  if (!VSURGE_TRY(read_flag(body, "continue_final_message"))) return {};
  if (generation_prompt != nullptr && out.add_generation_prompt) {
    return bad_value("continue_final_message",
                     "'continue_final_message' and 'add_generation_prompt' exclude each other.");
  }
  const json::object& last = messages.get_array().back().get_object();
  const json::value* content = last.if_contains("content");
  if (last.at("role") != "assistant" || content == nullptr || !content->is_string()) {
    return bad_value("continue_final_message",
                     "'continue_final_message' needs a last message of the assistant whose content "
                     "is a string.");
  }
  out.add_generation_prompt = false;
  out.continued = std::string(content->get_string());
  return {};
}

struct EffortWord {
  std::string_view word;
  ReasoningEffort effort;
};
constexpr auto kEfforts = std::to_array<EffortWord>({
    {"none", ReasoningEffort::kNone},
    {"minimal", ReasoningEffort::kMinimal},
    {"low", ReasoningEffort::kLow},
    {"medium", ReasoningEffort::kMedium},
    {"high", ReasoningEffort::kHigh},
    {"xhigh", ReasoningEffort::kMax},
    {"max", ReasoningEffort::kMax},
});

ApiResult<void> read_reasoning(const ObjectReader& body, ReasoningFields& out) {
  out.separate = VSURGE_TRY(read_flag(body, "separate_reasoning"));
  out.include = VSURGE_TRY(read_flag(body, "include_reasoning"));
  out.stream = VSURGE_TRY(read_flag(body, "stream_reasoning"));
  const auto word = VSURGE_TRY(body.text("reasoning_effort"));
  if (word) VSURGE_TRY(set_effort(*word, "reasoning_effort", out));
  return {};
}

}  // namespace

ApiResult<void> set_effort(std::string_view word, std::string field, ReasoningFields& out) {
  const auto* found = std::ranges::find(kEfforts, word, &EffortWord::word);
  if (found == kEfforts.end()) {
    return bad_value(field, fmt::format("'{}' must be none, minimal, low, medium, high, xhigh or "
                                        "max; found {}.",
                                        field, in_quotes(word)));
  }
  out.effort = found->effort;
  out.effort_word = word;
  out.effort_field = std::move(field);
  return {};
}

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
  out.tools = VSURGE_TRY(read_tools(reader));
  out.structured = VSURGE_TRY(read_structured_output(reader, Endpoint::kChat, context));
  VSURGE_TRY(read_reasoning(reader, out.reasoning));
  VSURGE_TRY(read_template_kwargs(reader, out));
  VSURGE_TRY(read_documents(reader, out));
  VSURGE_TRY(read_prediction(reader, out));
  VSURGE_TRY(read_continuation(reader, *messages, out));
  out.add_special_tokens = VSURGE_TRY(read_flag(reader, {"add_special_tokens", kInChat}));
  const auto own_template = VSURGE_TRY(reader.text("chat_template"));
  if (!own_template) return out;
  if (!context.trust_chat_template) {
    return unsupported("chat_template",
                       "'chat_template' is not taken from requests by this server "
                       "(--trust-request-chat-template).");
  }
  if (own_template->empty()) {
    return bad_value("chat_template", "'chat_template' must not be empty.");
  }
  out.chat_template = *own_template;
  return out;
}

std::string template_context(
    const ChatRequest& request,
    const std::map<std::string, std::string, std::less<>>& special_tokens) {
  std::string out = R"({"messages":)";
  out += request.messages_json;
  // As transformers passes them: none, not absent.
  out += R"(,"tools":)";
  out += request.tools.json.empty() ? "null" : request.tools.json;
  out += R"(,"documents":)";
  out += request.documents_json.empty() ? "null" : request.documents_json;
  out += R"(,"add_generation_prompt":)";
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
