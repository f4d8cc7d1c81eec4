#include "api/anthropic_request.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "api/field_table.h"
#include "api/json.h"
#include "api/limits.h"
#include "api/reader.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

constexpr std::int64_t kIntMax = std::numeric_limits<int>::max();

// A message as chat templates see it; members that are empty are left out.
struct TemplateMessage {
  std::string_view role;
  std::string content = {};
  std::string reasoning = {};
  std::string calls = {};  // JSON objects, comma-separated
  std::string call_id = {};
};

void append_message(std::string& out, const TemplateMessage& message) {
  out += out.empty() ? '[' : ',';
  out += R"({"role":)";
  append_json_string(out, message.role);
  out += R"(,"content":)";
  append_json_string(out, message.content);
  if (!message.reasoning.empty()) {
    out += R"(,"reasoning_content":)";
    append_json_string(out, message.reasoning);
  }
  if (!message.calls.empty()) {
    out += R"(,"tool_calls":[)";
    out += message.calls;
    out += ']';
  }
  if (!message.call_id.empty()) {
    out += R"(,"tool_call_id":)";
    append_json_string(out, message.call_id);
  }
  out += '}';
}

void append_line(std::string& out, std::string_view text) {
  if (!out.empty()) out += '\n';
  out += text;
}

// Members of a block; cache_control is a hint for a cache that we have anyway.
ApiResult<void> check_block(const ObjectReader& block,
                            std::initializer_list<std::string_view> members) {
  for (const auto& [key, value] : block.object()) {
    if (key == "type" || key == "cache_control") continue;
    if (std::ranges::find(members, std::string_view(key)) != members.end()) continue;
    return unknown_field(block.path_of(printable_name(key)));
  }
  return {};
}

ApiResult<std::string_view> block_type(const ObjectReader& block) {
  const auto type = VSURGE_TRY(block.text("type"));
  if (!type) return missing(block.path_of("type"));
  return *type;
}

ApiResult<std::string_view> needed_text(const ObjectReader& block, std::string_view name) {
  const auto text = VSURGE_TRY(block.text(name));
  if (!text) return missing(block.path_of(name));
  return *text;
}

std::unexpected<ApiError> unknown_block(const ObjectReader& block, std::string_view type) {
  return unsupported(block.path_of("type"),
                     fmt::format("Content of type {} is not supported here.", in_quotes(type)));
}

// Claude Code's first line, which says who pays and changes with every request: the model has no
// use for it, and no prompt would share its beginning with another.
void drop_attribution(std::string& system) {
  if (!system.starts_with("x-anthropic-billing-header:")) return;
  const std::size_t end = system.find('\n');
  system.erase(0, end == std::string::npos ? end : end + 1);
}

// A string, or blocks of type text, joined by newlines: system prompts and tool results.
ApiResult<std::string> read_texts(const json::value& value, const std::string& path) {
  if (value.is_string()) return std::string(value.get_string());
  if (!value.is_array())
    return wrong_type(path, "a string or an array of blocks", type_name(value));
  std::string out;
  for (std::size_t i = 0; i < value.get_array().size(); ++i) {
    const std::string block_path = fmt::format("{}[{}]", path, i);
    const json::value& each = value.get_array()[i];
    if (!each.is_object()) return wrong_type(block_path, "an object", type_name(each));
    const ObjectReader block(each.get_object(), block_path);
    const std::string_view type = VSURGE_TRY(block_type(block));
    if (type != "text") return unknown_block(block, type);
    VSURGE_TRY(check_block(block, {"text", "citations"}));
    append_line(out, VSURGE_TRY(needed_text(block, "text")));
  }
  return out;
}

class BlocksReader {
 public:
  explicit BlocksReader(const base::JsonLimits& limits) : limits_(limits) {}

  // Appends to `out` what the message is for the template.
  ApiResult<void> read(const json::value& value, const std::string& path, std::string& out) {
    if (!value.is_object()) return wrong_type(path, "an object", type_name(value));
    const ObjectReader reader(value.get_object(), path);
    for (const auto& [key, member] : reader.object()) {
      if (key != "role" && key != "content") {
        return unknown_field(reader.path_of(printable_name(key)));
      }
    }
    const std::string_view role = VSURGE_TRY(needed_text(reader, "role"));
    if (role != "user" && role != "assistant") {
      return bad_value(reader.path_of("role"),
                       fmt::format("'{}' must be user or assistant; "
                                   "found {}.",
                                   reader.path_of("role"), in_quotes(role)));
    }
    TemplateMessage message{.role = role};
    const json::value* content = reader.find("content");
    const std::string content_path = reader.path_of("content");
    if (content == nullptr) return missing(content_path);
    if (content->is_string()) {
      message.content = content->get_string();
    } else {
      VSURGE_TRY(read_blocks(*content, content_path, message, out));
    }
    const bool only_results = !message.content.empty() || !message.calls.empty() ||
                              !message.reasoning.empty() || !results_;
    if (only_results) append_message(out, message);
    last_text_ = role == "assistant" && message.calls.empty() ? std::optional(message.content)
                                                              : std::nullopt;
    return {};
  }

  // The last message's text, if it is the beginning of the answer.
  std::optional<std::string>& last_text() { return last_text_; }

 private:
  ApiResult<void> read_blocks(const json::value& content, const std::string& path,
                              TemplateMessage& message, std::string& out) {
    if (!content.is_array()) {
      return wrong_type(path, "a string or an array of blocks", type_name(content));
    }
    const json::array& blocks = content.get_array();
    if (blocks.size() > limits_.content_parts_max) {
      return bad_value(path, fmt::format("'{}' must have at most {} blocks; found {}.", path,
                                         limits_.content_parts_max, blocks.size()));
    }
    results_ = false;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const std::string block_path = fmt::format("{}[{}]", path, i);
      if (!blocks[i].is_object()) return wrong_type(block_path, "an object", type_name(blocks[i]));
      VSURGE_TRY(read_block(ObjectReader(blocks[i].get_object(), block_path), message, out));
    }
    return {};
  }

  ApiResult<void> read_block(const ObjectReader& block, TemplateMessage& message,
                             std::string& out) {
    const std::string_view type = VSURGE_TRY(block_type(block));
    const bool assistant = message.role == "assistant";
    if (type == "text") {
      VSURGE_TRY(check_block(block, {"text", "citations"}));
      append_line(message.content, VSURGE_TRY(needed_text(block, "text")));
      return {};
    }
    if (assistant && type == "thinking") {
      VSURGE_TRY(check_block(block, {"thinking", "signature"}));
      append_line(message.reasoning, VSURGE_TRY(needed_text(block, "thinking")));
      return {};
    }
    if (assistant && type == "tool_use") return read_call(block, message);
    if (!assistant && type == "tool_result") return read_result(block, out);
    return unknown_block(block, type);
  }

  ApiResult<void> read_call(const ObjectReader& block, TemplateMessage& message) {
    VSURGE_TRY(check_block(block, {"id", "name", "input"}));
    const auto id = VSURGE_TRY(block.name("id", kIdBytesMax));
    if (!id) return missing(block.path_of("id"));
    const auto name = VSURGE_TRY(block.name("name", kIdBytesMax));
    if (!name) return missing(block.path_of("name"));
    const json::value* input = block.find("input");
    if (input == nullptr) return missing(block.path_of("input"));
    if (!input->is_object()) {
      return wrong_type(block.path_of("input"), "an object", type_name(*input));
    }
    call_ids_.insert(*id);
    if (!message.calls.empty()) message.calls += ',';
    message.calls += R"({"id":)";
    append_json_string(message.calls, *id);
    message.calls += R"(,"type":"function","function":{"name":)";
    append_json_string(message.calls, *name);
    message.calls += R"(,"arguments":)";
    append_json(message.calls, *input);
    message.calls += "}}";
    return {};
  }

  // A message of its own, of role tool; they come before the user's text.
  ApiResult<void> read_result(const ObjectReader& block, std::string& out) {
    VSURGE_TRY(check_block(block, {"tool_use_id", "content", "is_error"}));
    const auto id = VSURGE_TRY(block.name("tool_use_id", kIdBytesMax));
    const std::string path = block.path_of("tool_use_id");
    if (!id) return missing(path);
    if (!call_ids_.contains(*id)) {
      return bad_value(path, fmt::format("'{}' {} is not the id of a tool_use block before it.",
                                         path, in_quotes(*id)));
    }
    TemplateMessage message{.role = "tool"};
    const json::value* content = block.find("content");
    if (content != nullptr) {
      message.content = VSURGE_TRY(read_texts(*content, block.path_of("content")));
    }
    if (VSURGE_TRY(block.boolean("is_error", false))) message.content.insert(0, "Error: ");
    message.call_id = *id;
    append_message(out, message);
    results_ = true;
    return {};
  }

  const base::JsonLimits& limits_;
  std::set<std::string, std::less<>> call_ids_;
  bool results_ = false;
  std::optional<std::string> last_text_;
};

ApiResult<void> read_messages(const ObjectReader& body, const base::JsonLimits& limits,
                              ChatRequest& out) {
  const json::value* system = body.find("system");
  if (system != nullptr) {
    std::string text = VSURGE_TRY(read_texts(*system, "system"));
    drop_attribution(text);
    if (!text.empty()) append_message(out.messages_json, {.role = "system", .content = text});
  }
  const json::value* messages = body.find("messages");
  if (messages == nullptr) return missing("messages");
  if (!messages->is_array()) return wrong_type("messages", "an array", type_name(*messages));
  const json::array& array = messages->get_array();
  if (array.empty()) return bad_value("messages", "'messages' must not be empty.");
  if (array.size() > limits.messages_max) {
    return bad_value("messages", fmt::format("'messages' must have at most {} entries; found {}.",
                                             limits.messages_max, array.size()));
  }
  BlocksReader reader(limits);
  for (std::size_t i = 0; i < array.size(); ++i) {
    VSURGE_TRY(reader.read(array[i], fmt::format("messages[{}]", i), out.messages_json));
  }
  out.messages_json += ']';
  out.continued = std::move(reader.last_text());
  if (out.continued) out.add_generation_prompt = false;
  return {};
}

// Anthropic's {name, description, input_schema} to OpenAI's shape.
ApiResult<ToolSpec> read_tool(const ObjectReader& tool, std::string& as_openai) {
  const auto type = VSURGE_TRY(tool.text("type"));
  if (type && *type != "custom") {
    return unsupported(
        tool.path_of("type"),
        fmt::format("Tools of type {} are not supported; only 'custom' is.", in_quotes(*type)));
  }
  VSURGE_TRY(check_block(tool, {"name", "description", "input_schema", "strict"}));
  const auto name = VSURGE_TRY(tool.name("name", kFunctionNameBytesMax));
  if (!name) return missing(tool.path_of("name"));
  const json::value* schema = tool.find("input_schema");
  const std::string schema_path = tool.path_of("input_schema");
  if (schema == nullptr) return missing(schema_path);
  if (!schema->is_object()) return wrong_type(schema_path, "an object", type_name(*schema));
  as_openai = R"({"type":"function","function":{"name":)";
  append_json_string(as_openai, *name);
  const auto description = VSURGE_TRY(tool.text("description"));
  if (description) {
    as_openai += R"(,"description":)";
    append_json_string(as_openai, *description);
  }
  as_openai += R"(,"parameters":)";
  append_json(as_openai, *schema);
  as_openai += "}}";
  const bool strict = VSURGE_TRY(tool.boolean("strict", false));
  return ToolSpec{.name = *name, .parameters = schema->get_object(), .strict = strict};
}

ApiResult<ToolSpecs> read_tool_list(const ObjectReader& body, std::string& as_openai) {
  ToolSpecs specs;
  const json::value* tools = body.find("tools");
  if (tools == nullptr) return specs;
  if (!tools->is_array()) return wrong_type("tools", "an array", type_name(*tools));
  const json::array& array = tools->get_array();
  if (array.size() > kToolsMax) {
    return bad_value("tools", fmt::format("'tools' must have at most {} entries; found {}.",
                                          kToolsMax, array.size()));
  }
  for (std::size_t i = 0; i < array.size(); ++i) {
    const std::string path = fmt::format("tools[{}]", i);
    if (!array[i].is_object()) return wrong_type(path, "an object", type_name(array[i]));
    std::string text;
    ToolSpec spec = VSURGE_TRY(read_tool(ObjectReader(array[i].get_object(), path), text));
    if (std::ranges::find(specs, spec.name, &ToolSpec::name) != specs.end()) {
      return bad_value(path,
                       fmt::format("'{}' names {} a second time.", path, in_quotes(spec.name)));
    }
    specs.push_back(std::move(spec));
    as_openai += as_openai.empty() ? '[' : ',';
    as_openai += text;
  }
  if (!as_openai.empty()) as_openai += ']';
  return specs;
}

ApiResult<void> read_tools(const ObjectReader& body, ToolFields& out) {
  ToolSpecs specs = VSURGE_TRY(read_tool_list(body, out.json));
  out.choice = specs.empty() ? ToolChoice::kNone : ToolChoice::kAuto;
  const json::value* choice = body.find("tool_choice");
  if (choice != nullptr) {
    if (!choice->is_object()) return wrong_type("tool_choice", "an object", type_name(*choice));
    const ObjectReader reader(choice->get_object(), "tool_choice");
    VSURGE_TRY(check_block(reader, {"name", "disable_parallel_tool_use"}));
    const std::string_view type = VSURGE_TRY(block_type(reader));
    if (specs.empty() && type != "none" && type != "auto") {
      return bad_value("tool_choice", "'tool_choice' is only for requests with tools.");
    }
    out.parallel = !VSURGE_TRY(reader.boolean("disable_parallel_tool_use", false));
    if (type == "none") {
      out.choice = ToolChoice::kNone;
      out.json.clear();
    } else if (type == "any") {
      out.choice = ToolChoice::kRequired;
    } else if (type == "tool") {
      const std::string_view name = VSURGE_TRY(needed_text(reader, "name"));
      std::erase_if(specs, [&](const ToolSpec& spec) { return spec.name != name; });
      if (specs.empty()) {
        return bad_value(
            "tool_choice.name",
            fmt::format("'tool_choice.name' {} is not one of 'tools'.", in_quotes(name)));
      }
      out.choice = ToolChoice::kRequired;
      out.named = true;
      out.parallel = false;
    } else if (type != "auto") {
      return bad_value("tool_choice.type", "'tool_choice.type' must be auto, any, tool or none.");
    }
  }
  out.specs = std::make_shared<const ToolSpecs>(std::move(specs));
  return {};
}

ApiResult<void> read_thinking(const ObjectReader& body, ChatRequest& out) {
  const json::value* thinking = body.find("thinking");
  if (thinking == nullptr) return {};
  if (!thinking->is_object()) return wrong_type("thinking", "an object", type_name(*thinking));
  const ObjectReader reader(thinking->get_object(), "thinking");
  VSURGE_TRY(check_block(reader, {"budget_tokens", "display"}));
  const std::string_view type = VSURGE_TRY(block_type(reader));
  const auto budget = VSURGE_TRY(reader.integer("budget_tokens", 1, kIntMax));
  if (type == "disabled") {
    return set_effort("none", "thinking", out.reasoning);
  }
  if (type == "enabled" && !budget) return missing("thinking.budget_tokens");
  if (type != "enabled" && type != "adaptive") {
    return bad_value("thinking.type", "'thinking.type' must be enabled, adaptive or disabled.");
  }
  out.template_kwargs.emplace("enable_thinking", true);
  out.template_kwargs.emplace("thinking", true);
  if (budget) out.generation.texts.thinking_tokens = static_cast<int>(*budget);
  return {};
}

ApiResult<void> read_generation(const ObjectReader& body, const RequestContext& context,
                                bool count_only, GenerationFields& out) {
  engine::SamplingParams& sampling = out.sampling;
  sampling.temperature = context.sampling.temperature;
  sampling.top_p = context.sampling.top_p;
  sampling.min_p = context.sampling.min_p;
  sampling.top_k = context.sampling.top_k;
  sampling.repetition_penalty = context.sampling.repetition_penalty;
  sampling.speculative_tokens = context.speculative_tokens_max;
  out.max_tokens_field = "max_tokens";
  const auto most = VSURGE_TRY(read_integer(body, {"max_tokens", kInMessages}));
  if (!most && !count_only) return missing("max_tokens");
  if (most) sampling.max_tokens = static_cast<int>(*most);
  const auto temperature = VSURGE_TRY(read_number(body, "temperature"));
  if (temperature) sampling.temperature = static_cast<float>(*temperature);
  if (sampling.temperature < kTemperatureMin) sampling.temperature = 0;
  const auto top_p = VSURGE_TRY(read_number(body, "top_p"));
  if (top_p) sampling.top_p = std::max(static_cast<float>(*top_p), 1e-30F);
  const auto top_k = VSURGE_TRY(read_integer(body, {"top_k", kInMessages}));
  if (top_k) sampling.top_k = static_cast<int>(*top_k);
  auto stops = VSURGE_TRY(read_texts(body, "stop_sequences"));
  if (stops) out.stop = std::move(*stops);
  out.stream = VSURGE_TRY(read_flag(body, "stream"));
  const json::value* metadata = body.find("metadata");
  if (metadata == nullptr) return {};
  if (!metadata->is_object()) return wrong_type("metadata", "an object", type_name(*metadata));
  const ObjectReader reader(metadata->get_object(), "metadata");
  VSURGE_TRY(check_block(reader, {"user_id"}));
  out.user = VSURGE_TRY(reader.name("user_id", kIdBytesMax)).value_or("");
  return {};
}

}  // namespace

ApiResult<ChatRequest> read_anthropic_request(const json::value& body,
                                              const RequestContext& context, bool count_only) {
  if (!body.is_object()) {
    return bad_json("invalid_type",
                    fmt::format("The body must be a JSON object; found {}.", type_name(body)));
  }
  const json::object& object = body.get_object();
  const ObjectReader reader(object, "");
  ChatRequest out;
  auto model = VSURGE_TRY(read_name(reader, "model"));
  if (!model) return missing("model");
  out.generation.model = std::move(*model);
  VSURGE_TRY(check_fields(object, Endpoint::kMessages, {.ignored = context.ignored}));
  VSURGE_TRY(read_generation(reader, context, count_only, out.generation));
  VSURGE_TRY(read_messages(reader, context.json, out));
  VSURGE_TRY(read_tools(reader, out.tools));
  VSURGE_TRY(read_thinking(reader, out));
  return out;
}

}  // namespace vsurge::api
