#include "api/response_items.h"

#include <boost/json/parse.hpp>

#include <algorithm>
#include <set>

#include "api/json.h"
#include "api/limits.h"
#include "api/reader.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

ApiResult<void> only(const ObjectReader& item, std::initializer_list<std::string_view> members) {
  for (const auto& [key, value] : item.object()) {
    // What clients send back of our own output asks for nothing.
    if (key == "type" || key == "id" || key == "status") continue;
    if (std::ranges::find(members, std::string_view(key)) != members.end()) continue;
    return unknown_field(item.path_of(printable_name(key)));
  }
  return {};
}

ApiResult<std::string_view> needed(const ObjectReader& item, std::string_view name) {
  const auto text = VSURGE_TRY(item.text(name));
  if (!text) return missing(item.path_of(name));
  return *text;
}

// The text of a string, or of parts of text, joined by newlines.
ApiResult<std::string> read_text(const json::value& value, const std::string& path,
                                 const base::JsonLimits& limits) {
  if (value.is_string()) return std::string(value.get_string());
  if (!value.is_array()) return wrong_type(path, "a string or an array of parts", type_name(value));
  const json::array& parts = value.get_array();
  if (parts.size() > limits.content_parts_max) {
    return bad_value(path, fmt::format("'{}' must have at most {} parts; found {}.", path,
                                       limits.content_parts_max, parts.size()));
  }
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string part_path = fmt::format("{}[{}]", path, i);
    if (!parts[i].is_object()) return wrong_type(part_path, "an object", type_name(parts[i]));
    const ObjectReader part(parts[i].get_object(), part_path);
    const std::string_view type = VSURGE_TRY(needed(part, "type"));
    const bool refusal = type == "refusal";
    if (!refusal && type != "input_text" && type != "output_text" && type != "text" &&
        type != "reasoning_text" && type != "summary_text") {
      return unsupported(
          part.path_of("type"),
          fmt::format("Content parts of type {} are not supported; text is.", in_quotes(type)));
    }
    VSURGE_TRY(only(part, {"text", "refusal", "annotations", "logprobs"}));
    if (!out.empty()) out += '\n';
    out += VSURGE_TRY(needed(part, refusal ? "refusal" : "text"));
  }
  return out;
}

json::value text_part(std::string_view role, std::string_view text) {
  if (role == "assistant") {
    return {{"type", "output_text"}, {"text", text}, {"annotations", json::array()}};
  }
  return {{"type", "input_text"}, {"text", text}};
}

ApiResult<json::object> read_message(const ObjectReader& item, const base::JsonLimits& limits) {
  VSURGE_TRY(only(item, {"role", "content", "phase"}));
  const std::string_view role = VSURGE_TRY(needed(item, "role"));
  if (role != "user" && role != "assistant" && role != "system" && role != "developer") {
    return bad_value(item.path_of("role"),
                     fmt::format("'{}' must be user, assistant, system or developer; found {}.",
                                 item.path_of("role"), in_quotes(role)));
  }
  const json::value* content = item.find("content");
  if (content == nullptr) return missing(item.path_of("content"));
  const std::string text = VSURGE_TRY(read_text(*content, item.path_of("content"), limits));
  return json::object{
      {"type", "message"}, {"role", role}, {"content", json::array{text_part(role, text)}}};
}

ApiResult<json::object> read_call(const ObjectReader& item) {
  VSURGE_TRY(only(item, {"call_id", "name", "arguments"}));
  const auto id = VSURGE_TRY(item.name("call_id", kIdBytesMax));
  if (!id) return missing(item.path_of("call_id"));
  const auto name = VSURGE_TRY(item.name("name", kIdBytesMax));
  if (!name) return missing(item.path_of("name"));
  const std::string_view arguments = VSURGE_TRY(needed(item, "arguments"));
  return json::object{
      {"type", "function_call"}, {"call_id", *id}, {"name", *name}, {"arguments", arguments}};
}

ApiResult<json::object> read_output(const ObjectReader& item, const base::JsonLimits& limits) {
  VSURGE_TRY(only(item, {"call_id", "output"}));
  const auto id = VSURGE_TRY(item.name("call_id", kIdBytesMax));
  if (!id) return missing(item.path_of("call_id"));
  const json::value* output = item.find("output");
  if (output == nullptr) return missing(item.path_of("output"));
  const std::string text = VSURGE_TRY(read_text(*output, item.path_of("output"), limits));
  return json::object{{"type", "function_call_output"}, {"call_id", *id}, {"output", text}};
}

ApiResult<json::object> read_reasoning(const ObjectReader& item, const base::JsonLimits& limits) {
  VSURGE_TRY(only(item, {"summary", "content", "encrypted_content"}));
  if (item.find("encrypted_content") != nullptr) {
    return unsupported(item.path_of("encrypted_content"),
                       "Reasoning that is encrypted cannot be read by this server.");
  }
  const json::value* content = item.find("content");
  const std::string text = content == nullptr
                               ? std::string()
                               : VSURGE_TRY(read_text(*content, item.path_of("content"), limits));
  return json::object{
      {"type", "reasoning"},
      {"summary", json::array()},
      {"content", json::array{json::value{{"type", "reasoning_text"}, {"text", text}}}}};
}

ApiResult<json::object> read_item(const json::value& value, const std::string& path,
                                  const base::JsonLimits& limits) {
  if (!value.is_object()) return wrong_type(path, "an object", type_name(value));
  const ObjectReader item(value.get_object(), path);
  const auto type = VSURGE_TRY(item.text("type"));
  if (!type || *type == "message") return read_message(item, limits);
  if (*type == "function_call") return read_call(item);
  if (*type == "function_call_output") return read_output(item, limits);
  if (*type == "reasoning") return read_reasoning(item, limits);
  return unsupported(item.path_of("type"),
                     fmt::format("Items of type {} are not supported; message, function_call, "
                                 "function_call_output and reasoning are.",
                                 in_quotes(*type)));
}

// The messages of a template: what an assistant thinks, says and calls in a row is one.
class MessagesWriter {
 public:
  void add(std::string_view role, std::string_view content) {
    if (role == "assistant") {
      if (calls_.empty() && !open_) open_ = true;
      if (!content_.empty()) content_ += '\n';
      content_ += content;
      return;
    }
    flush();
    begin(role);
    append_json_string(out_, content);
    out_ += '}';
  }
  void reasoning(std::string_view text) {
    if (!calls_.empty() || !content_.empty()) flush();
    open_ = true;
    reasoning_ += text;
  }
  void call(const json::object& item) {
    open_ = true;
    if (!calls_.empty()) calls_ += ',';
    calls_ += R"({"id":)";
    append_json(calls_, item.at("call_id"));
    calls_ += R"(,"type":"function","function":{"name":)";
    append_json(calls_, item.at("name"));
    calls_ += R"(,"arguments":)";
    boost::system::error_code error;
    const json::value arguments = json::parse(item.at("arguments").get_string(), error);
    append_json(calls_, !error && arguments.is_object() ? arguments : item.at("arguments"));
    calls_ += "}}";
  }
  void output(std::string_view call_id, std::string_view text) {
    flush();
    begin("tool");
    append_json_string(out_, text);
    out_ += R"(,"tool_call_id":)";
    append_json_string(out_, call_id);
    out_ += '}';
  }
  std::string finish() {
    flush();
    return out_.empty() ? "[]" : out_ + ']';
  }

 private:
  void begin(std::string_view role) {
    out_ += out_.empty() ? '[' : ',';
    out_ += R"({"role":)";
    append_json_string(out_, role);
    out_ += R"(,"content":)";
  }
  void flush() {
    if (!open_) return;
    begin("assistant");
    append_json_string(out_, content_);
    if (!reasoning_.empty()) {
      out_ += R"(,"reasoning_content":)";
      append_json_string(out_, reasoning_);
    }
    if (!calls_.empty()) out_ += R"(,"tool_calls":[)" + calls_ + ']';
    out_ += '}';
    open_ = false;
    content_.clear();
    reasoning_.clear();
    calls_.clear();
  }

  std::string out_;
  bool open_ = false;  // an assistant's message
  std::string content_, reasoning_, calls_;
};

std::string_view first_text(const json::object& item) {
  const json::value* content = item.if_contains("content");
  if (content == nullptr || !content->is_array() || content->get_array().empty()) return {};
  return content->get_array().front().at("text").get_string();
}

}  // namespace

ApiResult<json::array> read_input_items(const json::value& input, const base::JsonLimits& limits) {
  json::array out;
  if (input.is_string()) {
    out.push_back(json::object{{"type", "message"},
                               {"role", "user"},
                               {"content", json::array{text_part("user", input.get_string())}}});
    return out;
  }
  if (!input.is_array()) return wrong_type("input", "a string or an array", type_name(input));
  const json::array& items = input.get_array();
  if (items.size() > limits.messages_max) {
    return bad_value("input", fmt::format("'input' must have at most {} items; found {}.",
                                          limits.messages_max, items.size()));
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    out.push_back(VSURGE_TRY(read_item(items[i], fmt::format("input[{}]", i), limits)));
  }
  return out;
}

ApiResult<std::string> messages_of_items(const json::array& items, std::string_view instructions) {
  MessagesWriter writer;
  std::set<std::string, std::less<>> calls;
  if (!instructions.empty()) writer.add("system", instructions);
  for (const json::value& each : items) {
    const json::object& item = each.get_object();
    const std::string_view type = item.at("type").get_string();
    if (type == "message") {
      writer.add(item.at("role").get_string(), first_text(item));
    } else if (type == "reasoning") {
      writer.reasoning(first_text(item));
    } else if (type == "function_call") {
      calls.emplace(item.at("call_id").get_string());
      writer.call(item);
    } else {
      const std::string_view id = item.at("call_id").get_string();
      if (!calls.contains(id)) {
        return bad_value("input", fmt::format("'input' has an output of the call {}, which is not "
                                              "before it.",
                                              in_quotes(id)));
      }
      writer.output(id, item.at("output").get_string());
    }
  }
  return writer.finish();
}

}  // namespace vsurge::api
