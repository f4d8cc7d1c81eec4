// Any output, told as a stream and whole: every event is one line of sound JSON, and the pieces of
// the stream add up to what the whole answer says.
//
// The first byte chooses the endpoint and the style. In the rest a byte 0xFF ends a piece of
// output, and the one behind it says of what kind the next is.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/answer_writer.h"
#include "api/json.h"
#include "base/error.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using Kind = OutputEvent::Kind;

AnswerHead head_of(std::uint8_t flags) {
  AnswerHead head;
  head.endpoint = (flags & 1U) != 0 ? Endpoint::kChat : Endpoint::kCompletions;
  head.id = "id";
  head.model = "a \"model\"";
  head.fingerprint = "fp";
  head.legacy_functions = (flags & 2U) != 0;
  return head;
}

// As readers give it: calls count up, and arguments belong to a call.
ChoicePart part_of(std::string_view data, bool chat) {
  ChoicePart part;
  if (!chat) {
    part.text = data;
    return part;
  }
  int call = -1;
  OutputEvent event;
  for (std::size_t i = 0; i <= data.size(); ++i) {
    if (i < data.size() && data[i] != '\xff') {
      event.text += data[i];
      continue;
    }
    if (!event.text.empty()) append_output(part.output, event);
    if (i + 1 >= data.size()) break;
    event = {
        .kind = static_cast<Kind>(static_cast<std::uint8_t>(data[++i]) % 4), .text = {}, .id = {}};
    if (event.kind == Kind::kCallArguments && call < 0) event.kind = Kind::kContent;
    if (event.kind == Kind::kCallBegin) {
      // Names are those of the request's tools.
      append_output(part.output, {.kind = event.kind, .text = "f", .call = ++call, .id = "c\"1"});
      event = {.kind = Kind::kCallArguments, .text = {}, .id = {}};
    }
    if (event.kind == Kind::kCallArguments) event.call = call;
  }
  return part;
}

// What comes of an answer always is: detokenizers and readers see to it.
bool is_utf8(const ChoicePart& part) {
  const auto sound = [](std::string_view text) {
    return find_invalid_utf8(text) == std::string_view::npos;
  };
  return sound(part.text) && std::ranges::all_of(part.output, [&](const OutputEvent& event) {
           return sound(event.text);
         });
}

// What an answer says: each kind of text, the arguments of all calls one after the other.
struct Said {
  std::string content, reasoning, arguments;
  std::size_t calls = 0;
  friend bool operator==(const Said&, const Said&) = default;
};

void add(std::string& out, const json::object& from, std::string_view key) {
  const json::value* value = from.if_contains(key);
  if (value != nullptr && !value->is_null()) out += std::string_view(value->as_string());
}

void add_message(Said& said, const json::object& message) {
  add(said.content, message, "content");
  add(said.reasoning, message, "reasoning");
  if (const json::value* call = message.if_contains("function_call")) {
    add(said.arguments, call->as_object(), "arguments");
  }
  const json::value* calls = message.if_contains("tool_calls");
  if (calls == nullptr) return;
  for (const json::value& call : calls->as_array()) {
    if (call.as_object().contains("id")) ++said.calls;
    add(said.arguments, call.at("function").as_object(), "arguments");
  }
}

void add_choice(Said& said, const json::object& choice, bool chat) {
  if (!chat) return add(said.content, choice, "text");
  add_message(said, choice.at(choice.contains("delta") ? "delta" : "message").as_object());
}

json::object parsed(std::string_view text) {
  CHECK(text.find('\n') == std::string_view::npos, "an event is one line");
  auto value = parse_json(text, {});
  CHECK(value.has_value(), "{}: {}", value.error().message, text);
  return value->as_object();
}

Said said_by_stream(std::string_view stream, bool chat) {
  constexpr std::string_view kBegin = "data: ";
  Said said;
  int ends = 0;
  while (!stream.empty()) {
    const std::size_t end = stream.find("\n\n");
    CHECK(end != std::string_view::npos && stream.starts_with(kBegin));
    const std::string_view event = stream.substr(kBegin.size(), end - kBegin.size());
    stream.remove_prefix(end + 2);
    if (event == "[DONE]") {
      CHECK(stream.empty() && ends == 1, "{} ends", ends);
      return said;
    }
    const json::object chunk = parsed(event);
    for (const json::value& choice : chunk.at("choices").as_array()) {
      add_choice(said, choice.as_object(), chat);
      ends += choice.at("finish_reason").is_null() ? 0 : 1;
    }
  }
  CHECK(false, "no [DONE]");
  return said;
}

void run(std::uint8_t flags, std::string_view data) {
  const AnswerHead head = head_of(flags);
  const bool chat = head.endpoint == Endpoint::kChat;
  const ChoicePart part = part_of(data, chat);
  if (!is_utf8(part)) return;
  const AnswerUsage usage{.prompt_tokens = 1, .completion_tokens = 2, .total_seconds = 0.5};
  const AnswerWriter writer(head, {(flags & 4U) != 0, (flags & 8U) != 0});
  const AnswerPiece piece{.index = 7, .usage = (flags & 16U) != 0 ? &usage : nullptr};

  std::string stream;
  writer.append_role(stream, piece);
  writer.append_output(stream, piece, part);
  writer.append_finish(stream, piece, "stop");
  writer.append_usage(stream, usage);
  AnswerWriter::append_done(stream);
  const Said streamed = said_by_stream(stream, chat);

  const AnswerChoice choice{.part = part, .finish_reason = "stop"};
  const json::object answer = parsed(AnswerWriter::answer(head, {&choice, 1}, usage));
  Said whole;
  add_choice(whole, answer.at("choices").at(0).as_object(), chat);
  // Of several calls OpenAI's old form tells the last.
  CHECK(head.legacy_functions || streamed == whole, "{}", stream);
}

}  // namespace
}  // namespace vsurge::api

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  vsurge::api::run(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  return 0;
}
