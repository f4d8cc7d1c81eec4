#include "api/tool_prompt.h"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <utility>

#include "api/json.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

std::string tools_in_words(std::string_view tools_json) {
  std::string out =
      "You can call functions. Their signatures, one JSON object in each line, are:\n<tools>\n";
  const json::value tools = json::parse(tools_json);
  for (const json::value& tool : tools.get_array()) {
    append_json(out, tool);
    out += '\n';
  }
  out +=
      "</tools>\n\nTo call a function, write its name and arguments as one JSON object, so:\n"
      "<tool_call>\n{\"name\": \"...\", \"arguments\": {...}}\n</tool_call>";
  return out;
}

void append_text(json::object& message, std::string_view text) {
  json::value& content = message["content"];
  if (!content.is_string()) content = json::string();
  json::string& out = content.get_string();
  if (!out.empty()) out.append("\n");
  out.append(text);
}

void write_calls(json::object& message) {
  const json::value calls = message.at("tool_calls");
  message.erase("tool_calls");
  for (const json::value& call : calls.get_array()) {
    const json::object& function = call.at("function").get_object();
    std::string text = "<tool_call>\n{\"name\": ";
    append_json(text, function.at("name"));
    text += ", \"arguments\": ";
    append_json(text, function.at("arguments"));
    text += "}\n</tool_call>";
    append_text(message, text);
  }
}

// Results of one turn's calls become one message of the user.
void write_result(const json::object& message, json::array& out) {
  std::string text = "<tool_response>\n";
  const json::value* content = message.if_contains("content");
  if (content != nullptr && content->is_string()) text += std::string_view(content->get_string());
  text += "\n</tool_response>";
  const bool follows = !out.empty() && out.back().get_object().contains("results");
  if (!follows) out.push_back({{"role", "user"}, {"content", ""}, {"results", true}});
  append_text(out.back().get_object(), text);
}

}  // namespace

bool template_takes_tools(std::string_view source) {
  return source.find("tools") != std::string_view::npos ||
         source.find("tool_calls") != std::string_view::npos;
}

void fit_calls(const text::ChatTemplate& chat_template, ChatRequest& request) {
  if (!request.messages_json.contains(R"("tool_calls":)")) return;
  const text::CallForm form = chat_template.call_form();
  json::value messages = json::parse(request.messages_json);  // as read_messages wrote it
  for (json::value& each : messages.get_array()) {
    json::object& message = each.get_object();
    if (!message.contains("tool_calls")) continue;
    json::value& content = message["content"];
    if (content.is_null() && !form.null_content) content = "";
    if (!form.text_arguments) continue;
    for (json::value& call : message.at("tool_calls").get_array()) {
      json::value& arguments = call.at("function").get_object().at("arguments");
      if (arguments.is_string()) continue;
      std::string text;
      append_json(text, arguments);
      arguments = text;
    }
  }
  request.messages_json.clear();
  append_json(request.messages_json, messages);
}

void tell_tools_in_words(ChatRequest& request) {
  json::value parsed = json::parse(request.messages_json);  // as read_messages wrote it
  json::array& messages = parsed.get_array();
  if (!request.tools.json.empty()) {
    const std::string words = tools_in_words(std::exchange(request.tools.json, {}));
    if (messages.empty() || messages.front().at("role") != "system") {
      messages.insert(messages.begin(), json::value{{"role", "system"}, {"content", ""}});
    }
    append_text(messages.front().get_object(), words);
  }
  json::array written;
  for (json::value& each : messages) {
    json::object& message = each.get_object();
    if (message.at("role") == "tool") {
      write_result(message, written);
      continue;
    }
    if (message.contains("tool_calls")) write_calls(message);
    written.push_back(std::move(each));
  }
  for (json::value& message : written) message.get_object().erase("results");
  request.messages_json.clear();
  append_json(request.messages_json, written);
}

}  // namespace vsurge::api
