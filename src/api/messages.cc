#include "api/messages.h"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <set>

#include "api/json.h"
#include "api/limits.h"
#include "api/reader.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

struct Role {
  std::string_view name;
  bool assistant = false;
  bool tool = false;
};
constexpr auto kRoles = std::to_array<Role>({
    {"system"},
    {"developer"},
    {"user"},
    {"assistant", true, false},
    {"tool", false, true},
});

// Members that clients send back from an answer of ours; they ask for nothing.
constexpr auto kEchoes =
    std::to_array<std::string_view>({"refusal", "annotations", "audio", "function_call"});

class MessagesReader {
 public:
  explicit MessagesReader(const base::JsonLimits& limits) : limits_(limits) {}

  ApiResult<void> read(const json::value& message, std::string path) {
    if (!message.is_object()) return wrong_type(path, "an object", type_name(message));
    const ObjectReader reader(message.get_object(), std::move(path));
    const auto name = VSURGE_TRY(reader.text("role"));
    if (!name) return missing(reader.path_of("role"));
    const auto* role = std::ranges::find(kRoles, *name, &Role::name);
    if (role == kRoles.end()) {
      return bad_value(reader.path_of("role"),
                       fmt::format("'{}' must be system, developer, user, assistant or tool; "
                                   "found {}.",
                                   reader.path_of("role"), in_quotes(*name)));
    }
    VSURGE_TRY(check_members(reader, *role));
    out_ += R"({"role":)";
    append_json_string(out_, *name);
    const json::value* calls = role->assistant ? reader.find("tool_calls") : nullptr;
    const bool has_calls = calls != nullptr && !(calls->is_array() && calls->get_array().empty());
    VSURGE_TRY(read_content(reader, has_calls));
    VSURGE_TRY(read_name(reader));
    if (role->assistant) VSURGE_TRY(read_reasoning(reader));
    if (has_calls) VSURGE_TRY(read_tool_calls(*calls, reader.path_of("tool_calls")));
    if (role->tool) VSURGE_TRY(read_tool_call_id(reader));
    out_ += '}';
    return {};
  }

  std::string& out() { return out_; }

 private:
  ApiResult<void> check_members(const ObjectReader& reader, const Role& role) const {
    for (const auto& [key, value] : reader.object()) {
      if (key == "role" || key == "content" || key == "name") continue;
      if (key == "tool_calls" || key == "reasoning_content" || key == "reasoning") {
        if (role.assistant || value.is_null()) continue;
      }
      // LiteLLM's notes on an answer, which it sends back with it; nothing else reads them.
      if (key == "provider_specific_fields" && role.assistant) continue;
      if (key == "tool_call_id" && (role.tool || value.is_null())) continue;
      if (std::ranges::find(kEchoes, std::string_view(key)) != kEchoes.end()) {
        if (value.is_null() || (value.is_array() && value.get_array().empty())) continue;
        return unsupported(reader.path_of(key), fmt::format("'{}' is not supported by this server.",
                                                            reader.path_of(key)));
      }
      return unknown_field(reader.path_of(printable_name(key)));
    }
    return {};
  }

  ApiResult<void> read_content(const ObjectReader& reader, bool may_be_null) {
    const json::value* content = reader.find("content");
    const std::string path = reader.path_of("content");
    if (content == nullptr) {
      if (!may_be_null) {
        return reader.object().contains("content")
                   ? wrong_type(path, "a string or an array of parts", "null")
                   : missing(path);
      }
      if (reader.object().contains("content")) out_ += R"(,"content":null)";
      return {};
    }
    out_ += R"(,"content":)";
    if (content->is_string()) {
      append_json_string(out_, content->get_string());
      return {};
    }
    if (!content->is_array()) {
      return wrong_type(path, "a string or an array of parts", type_name(*content));
    }
    return read_parts(content->get_array(), path);
  }

  ApiResult<void> read_parts(const json::array& parts, const std::string& path) {
    if (parts.empty()) return bad_value(path, fmt::format("'{}' must not be empty.", path));
    if (parts.size() > limits_.content_parts_max) {
      return bad_value(path, fmt::format("'{}' must have at most {} parts; found {}.", path,
                                         limits_.content_parts_max, parts.size()));
    }
    out_ += '"';
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (i > 0) out_ += "\\n";
      const std::string part_path = fmt::format("{}[{}]", path, i);
      append_json_escaped(out_, VSURGE_TRY(read_part(parts[i], part_path)));
    }
    out_ += '"';
    return {};
  }

  static ApiResult<std::string_view> read_part(const json::value& part, const std::string& path) {
    if (!part.is_object()) return wrong_type(path, "an object", type_name(part));
    const ObjectReader reader(part.get_object(), path);
    const auto type = VSURGE_TRY(reader.text("type"));
    if (!type) return missing(reader.path_of("type"));
    if (*type != "text") {
      return unsupported(reader.path_of("type"),
                         fmt::format("Content parts of type {} are not supported; only 'text' is.",
                                     in_quotes(*type)));
    }
    for (const auto& [key, value] : reader.object()) {
      if (key == "type" || key == "text") continue;
      return unknown_field(reader.path_of(printable_name(key)));
    }
    const auto text = VSURGE_TRY(reader.text("text"));
    if (!text) return missing(reader.path_of("text"));
    return *text;
  }

  ApiResult<void> read_name(const ObjectReader& reader) {
    const auto name = VSURGE_TRY(reader.name("name", kIdBytesMax));
    if (!name) return {};
    out_ += R"(,"name":)";
    append_json_string(out_, *name);
    return {};
  }

  // Both spellings of servers; templates know reasoning_content.
  ApiResult<void> read_reasoning(const ObjectReader& reader) {
    auto text = VSURGE_TRY(reader.text("reasoning_content"));
    const auto other = VSURGE_TRY(reader.text("reasoning"));
    if (!text) text = other;
    if (!text) return {};
    out_ += R"(,"reasoning_content":)";
    append_json_string(out_, *text);
    return {};
  }

  ApiResult<void> read_tool_calls(const json::value& calls, const std::string& path) {
    if (!calls.is_array()) return wrong_type(path, "an array", type_name(calls));
    const json::array& array = calls.get_array();
    if (array.size() > kToolCallsMax) {
      return bad_value(path, fmt::format("'{}' must have at most {} calls; found {}.", path,
                                         kToolCallsMax, array.size()));
    }
    out_ += R"(,"tool_calls":)";
    for (std::size_t i = 0; i < array.size(); ++i) {
      out_ += i == 0 ? '[' : ',';
      VSURGE_TRY(read_tool_call(array[i], fmt::format("{}[{}]", path, i)));
    }
    out_ += ']';
    return {};
  }

  ApiResult<void> read_tool_call(const json::value& call, const std::string& path) {
    if (!call.is_object()) return wrong_type(path, "an object", type_name(call));
    const ObjectReader reader(call.get_object(), path);
    const auto id = VSURGE_TRY(reader.name("id", kIdBytesMax));
    if (!id) return missing(reader.path_of("id"));
    const auto type = VSURGE_TRY(reader.text("type"));
    if (type && *type != "function") {
      return unsupported(reader.path_of("type"),
                         fmt::format("Tool calls of type {} are not supported; only 'function' is.",
                                     in_quotes(*type)));
    }
    const json::value* function = reader.find("function");
    const std::string function_path = reader.path_of("function");
    if (function == nullptr) return missing(function_path);
    if (!function->is_object()) {
      return wrong_type(function_path, "an object", type_name(*function));
    }
    const ObjectReader inner(function->get_object(), function_path);
    const auto name = VSURGE_TRY(inner.name("name", kIdBytesMax));
    if (!name) return missing(inner.path_of("name"));
    const auto arguments = VSURGE_TRY(inner.text("arguments"));
    if (!arguments) return missing(inner.path_of("arguments"));
    call_ids_.insert(*id);
    out_ += R"({"id":)";
    append_json_string(out_, *id);
    out_ += R"(,"type":"function","function":{"name":)";
    append_json_string(out_, *name);
    out_ += R"(,"arguments":)";
    append_arguments(*arguments);
    out_ += "}}";
    return {};
  }

  void append_arguments(std::string_view text) {
    const auto parsed = parse_json(text, limits_);
    if (parsed && parsed->is_object()) {
      append_json(out_, *parsed);
    } else {
      append_json_string(out_, text);
    }
  }

  ApiResult<void> read_tool_call_id(const ObjectReader& reader) {
    const auto id = VSURGE_TRY(reader.name("tool_call_id", kIdBytesMax));
    const std::string path = reader.path_of("tool_call_id");
    if (!id) return missing(path);
    if (!call_ids_.contains(*id)) {
      return bad_value(path, fmt::format("'{}' {} is not the id of a tool call in an assistant "
                                         "message before it.",
                                         path, in_quotes(*id)));
    }
    out_ += R"(,"tool_call_id":)";
    append_json_string(out_, *id);
    return {};
  }

  const base::JsonLimits& limits_;
  std::set<std::string, std::less<>> call_ids_;
  std::string out_;
};

}  // namespace

ApiResult<std::string> read_messages(const json::value& messages, const base::JsonLimits& limits) {
  if (!messages.is_array()) return wrong_type("messages", "an array", type_name(messages));
  const json::array& array = messages.get_array();
  if (array.empty()) return bad_value("messages", "'messages' must not be empty.");
  if (array.size() > limits.messages_max) {
    return bad_value("messages", fmt::format("'messages' must have at most {} entries; found {}.",
                                             limits.messages_max, array.size()));
  }
  MessagesReader reader(limits);
  for (std::size_t i = 0; i < array.size(); ++i) {
    reader.out() += i == 0 ? '[' : ',';
    VSURGE_TRY(reader.read(array[i], fmt::format("messages[{}]", i)));
  }
  reader.out() += ']';
  return std::move(reader.out());
}

}  // namespace vsurge::api
