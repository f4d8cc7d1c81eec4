#include "api/answer_writer.h"

#include <fmt/format.h>

#include <iterator>

#include "api/json.h"

namespace vsurge::api {
namespace {

using Kind = OutputEvent::Kind;

// Chunks are padded to a multiple of so many bytes.
constexpr std::size_t kObfuscationBytes = 256;

// {"id":...,"choices":[
std::string object_head(const AnswerHead& head, std::string_view object) {
  std::string out = R"({"id":)";
  append_json_string(out, head.id);
  out += R"(,"object":")";
  out += object;
  out += R"(","created":)";
  append_integer(out, head.created);
  out += R"(,"model":)";
  append_json_string(out, head.model);
  out += R"(,"system_fingerprint":)";
  append_json_string(out, head.fingerprint);
  out += R"(,"choices":[)";
  return out;
}

void append_usage_object(std::string& out, const AnswerUsage& usage) {
  out += R"({"prompt_tokens":)";
  append_integer(out, usage.prompt_tokens);
  out += R"(,"completion_tokens":)";
  append_integer(out, usage.completion_tokens);
  out += R"(,"total_tokens":)";
  append_integer(out, usage.prompt_tokens + usage.completion_tokens);
  out += R"(,"prompt_tokens_details":{"cached_tokens":)";
  append_integer(out, usage.cached_tokens);
  out += R"(},"completion_tokens_details":{"reasoning_tokens":)";
  append_integer(out, usage.reasoning_tokens);
  if (usage.accepted_prediction >= 0) {
    out += R"(,"accepted_prediction_tokens":)";
    append_integer(out, usage.accepted_prediction);
    out += R"(,"rejected_prediction_tokens":)";
    append_integer(out, usage.rejected_prediction);
  }
  out += '}';
  if (usage.total_seconds >= 0) {
    const double rate = usage.total_seconds > 0
                            ? static_cast<double>(usage.completion_tokens) / usage.total_seconds
                            : 0;
    fmt::format_to(std::back_inserter(out),
                   R"(,"tokens_per_second":{:.3f},"processing_time":{:.6f},)"
                   R"("first_token_time":{:.6f})",
                   rate, usage.total_seconds, usage.first_token_seconds);
  }
  out += '}';
}

void append_call_head(std::string& out, const OutputEvent& event) {
  out += R"("id":)";
  append_json_string(out, event.id);
  out += R"(,"type":"function","function":{"name":)";
  append_json_string(out, event.text);
  out += R"(,"arguments":")";
}

// "function_call":{...}, whole or a piece of it; there is one call only.
void append_legacy_call(std::string& out, const OutputEvent& event) {
  const bool begins = event.kind == Kind::kCallBegin;
  out += R"("function_call":{)";
  if (begins) {
    out += R"("name":)";
    append_json_string(out, event.text);
    out += ',';
  }
  out += R"("arguments":")";
  if (!begins) append_json_escaped(out, event.text);
  out += R"("})";
}

std::string_view finish_name(const AnswerHead& head, std::string_view reason) {
  return head.legacy_functions && reason == "tool_calls" ? "function_call" : reason;
}

// The message of a whole answer; other servers' two names for reasoning are both told.
void append_message(std::string& out, const ChoicePart& part, bool legacy) {
  std::string content = part.text, reasoning, calls, name, arguments;
  for (const OutputEvent& event : part.output) {
    switch (event.kind) {
      case Kind::kReasoning:
        reasoning += event.text;
        break;
      case Kind::kContent:
        content += event.text;
        break;
      case Kind::kCallBegin:
        calls += calls.empty() ? "[{" : R"("}},{)";
        append_call_head(calls, event);
        name = event.text;
        break;
      case Kind::kCallArguments:
        append_json_escaped(calls, event.text);
        arguments += event.text;
        break;
    }
  }
  out += R"({"role":"assistant","content":)";
  if (content.empty() && !calls.empty()) {
    out += "null";
  } else {
    append_json_string(out, content);
  }
  out += R"(,"refusal":null)";
  if (!reasoning.empty()) {
    for (const std::string_view key : {"reasoning_content", "reasoning"}) {
      fmt::format_to(std::back_inserter(out), R"(,"{}":)", key);
      append_json_string(out, reasoning);
    }
  }
  if (!calls.empty() && legacy) {
    out += R"(,"function_call":{"name":)";
    append_json_string(out, name);
    out += R"(,"arguments":)";
    append_json_string(out, arguments);
    out += '}';
  } else if (!calls.empty()) {
    out += R"(,"tool_calls":)";
    out += calls;
    out += R"("}}])";
  }
  out += '}';
}

}  // namespace

void append_obfuscation(std::string& out, std::size_t begin) {
  out += R"(,"obfuscation":")";
  out.append(kObfuscationBytes - (out.size() - begin) % kObfuscationBytes, 'x');
  out += '"';
}

AnswerWriter::AnswerWriter(const AnswerHead& head, const StreamStyle& style)
    : chat_(head.endpoint == Endpoint::kChat),
      legacy_(head.legacy_functions),
      style_(style),
      event_head_("data: " +
                  object_head(head, chat_ ? "chat.completion.chunk" : "text_completion")) {}

// Of the list of choices and the event, which began at `begin`.
void AnswerWriter::append_end(std::string& out, std::size_t begin, const AnswerPiece& piece,
                              std::string_view more) const {
  out += ']';
  out += more;
  if (piece.usage != nullptr) {
    out += R"(,"usage":)";
    append_usage_object(out, *piece.usage);
  } else if (style_.usage_chunks) {
    out += R"(,"usage":null)";
  }
  if (style_.obfuscation) append_obfuscation(out, begin);
  out += "}\n\n";
}

void AnswerWriter::append_role(std::string& out, const AnswerPiece& piece) const {
  if (!chat_) return;
  const std::size_t begin = out.size();
  out += event_head_;
  out += R"({"index":)";
  append_integer(out, static_cast<std::int64_t>(piece.index));
  out += R"(,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,)"
         R"("finish_reason":null})";
  append_end(out, begin, piece, piece.more);
}

void AnswerWriter::append_output(std::string& out, const AnswerPiece& piece,
                                 const ChoicePart& part) const {
  if (!chat_) return append_text(out, piece, part.text);
  if (!part.text.empty() || part.output.empty()) {
    return append_delta(out, piece, {.kind = Kind::kContent, .text = part.text, .id = {}});
  }
  AnswerPiece each = piece;
  for (const OutputEvent& event : part.output) {
    append_delta(out, each, event);
    each.logprobs = "null";
    each.more = {};
  }
}

void AnswerWriter::append_delta(std::string& out, const AnswerPiece& piece,
                                const OutputEvent& event) const {
  const std::size_t begin = out.size();
  out.reserve(begin + event_head_.size() + 2 * event.text.size() + piece.logprobs.size() + 160);
  out += event_head_;
  out += R"({"index":)";
  append_integer(out, static_cast<std::int64_t>(piece.index));
  out += R"(,"delta":{)";
  switch (event.kind) {
    case Kind::kContent:
      out += R"("content":")";
      append_json_escaped(out, event.text);
      out += '"';
      break;
    case Kind::kReasoning:
      out += R"("reasoning_content":")";
      append_json_escaped(out, event.text);
      out += R"(","reasoning":")";
      append_json_escaped(out, event.text);
      out += '"';
      break;
    case Kind::kCallBegin:
    case Kind::kCallArguments:
      if (legacy_) {
        append_legacy_call(out, event);
        break;
      }
      out += R"("tool_calls":[{"index":)";
      append_integer(out, event.call);
      out += ',';
      if (event.kind == Kind::kCallBegin) {
        append_call_head(out, event);
      } else {
        out += R"("function":{"arguments":")";
        append_json_escaped(out, event.text);
      }
      out += R"("}}])";
      break;
  }
  out += R"(},"logprobs":)";
  out += piece.logprobs;
  out += R"(,"finish_reason":null)";
  out += piece.more;
  out += '}';
  append_end(out, begin, piece, {});
}

void AnswerWriter::append_text(std::string& out, const AnswerPiece& piece,
                               std::string_view text) const {
  const std::size_t begin = out.size();
  out.reserve(begin + event_head_.size() + text.size() + piece.logprobs.size() + 128);
  out += event_head_;
  out += R"({"text":")";
  append_json_escaped(out, text);
  out += R"(","index":)";
  append_integer(out, static_cast<std::int64_t>(piece.index));
  out += R"(,"logprobs":)";
  out += piece.logprobs;
  out += R"(,"finish_reason":null)";
  out += piece.more;
  out += '}';
  append_end(out, begin, piece, {});
}

void AnswerWriter::append_finish(std::string& out, const AnswerPiece& piece,
                                 std::string_view reason) const {
  const std::size_t begin = out.size();
  out += event_head_;
  out += chat_ ? R"({"index":)" : R"({"text":"","index":)";
  append_integer(out, static_cast<std::int64_t>(piece.index));
  out += chat_ ? R"(,"delta":{},"logprobs":null,"finish_reason":")"
               : R"(,"logprobs":null,"finish_reason":")";
  out += reason;
  out += '"';
  out += piece.more;
  out += '}';
  append_end(out, begin, piece, {});
}

void AnswerWriter::append_usage(std::string& out, const AnswerUsage& usage) const {
  out += event_head_;
  out += R"(],"usage":)";
  append_usage_object(out, usage);
  out += "}\n\n";
}

void AnswerWriter::append_done(std::string& out) {
  out += "data: [DONE]\n\n";
}

void AnswerWriter::append_error(std::string& out, std::string_view error_json) {
  out += "data: ";
  out += error_json;
  out += "\n\n";
}

std::string AnswerWriter::answer(const AnswerHead& head, std::span<const AnswerChoice> choices,
                                 const AnswerUsage& usage, std::string_view more) {
  const bool chat = head.endpoint == Endpoint::kChat;
  std::string out = object_head(head, chat ? "chat.completion" : "text_completion");
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) out += ',';
    if (chat) {
      out += R"({"index":)";
      append_integer(out, static_cast<std::int64_t>(i));
      out += R"(,"message":)";
      append_message(out, choices[i].part, head.legacy_functions);
    } else {
      out += R"({"text":)";
      append_json_string(out, choices[i].part.text);
      out += R"(,"index":)";
      append_integer(out, static_cast<std::int64_t>(i));
    }
    out += R"(,"logprobs":)";
    out += choices[i].logprobs;
    out += R"(,"finish_reason":")";
    out += finish_name(head, choices[i].finish_reason);
    out += '"';
    out += choices[i].more;
    out += '}';
  }
  out += ']';
  out += more;
  out += R"(,"usage":)";
  append_usage_object(out, usage);
  out += '}';
  return out;
}

}  // namespace vsurge::api
