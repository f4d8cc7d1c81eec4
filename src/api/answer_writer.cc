#include "api/answer_writer.h"

#include "api/json.h"

namespace vsurge::api {
namespace {

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
  out += "}}";
}

}  // namespace

AnswerWriter::AnswerWriter(const AnswerHead& head, bool usage_chunks)
    : chat_(head.endpoint == Endpoint::kChat),
      event_head_("data: " +
                  object_head(head, chat_ ? "chat.completion.chunk" : "text_completion")),
      choices_end_(usage_chunks ? "],\"usage\":null}\n\n" : "]}\n\n") {}

void AnswerWriter::append_role(std::string& out, std::size_t index) const {
  if (!chat_) return;
  out += event_head_;
  out += R"({"index":)";
  append_integer(out, static_cast<std::int64_t>(index));
  out += R"(,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,)"
         R"("finish_reason":null})";
  out += choices_end_;
}

void AnswerWriter::append_text(std::string& out, std::size_t index, std::string_view text) const {
  out.reserve(out.size() + event_head_.size() + text.size() + 128);
  out += event_head_;
  if (chat_) {
    out += R"({"index":)";
    append_integer(out, static_cast<std::int64_t>(index));
    out += R"(,"delta":{"content":")";
    append_json_escaped(out, text);
    out += R"("},"logprobs":null,"finish_reason":null})";
  } else {
    out += R"({"text":")";
    append_json_escaped(out, text);
    out += R"(","index":)";
    append_integer(out, static_cast<std::int64_t>(index));
    out += R"(,"logprobs":null,"finish_reason":null})";
  }
  out += choices_end_;
}

void AnswerWriter::append_finish(std::string& out, std::size_t index,
                                 std::string_view reason) const {
  out += event_head_;
  out += chat_ ? R"({"index":)" : R"({"text":"","index":)";
  append_integer(out, static_cast<std::int64_t>(index));
  out += chat_ ? R"(,"delta":{},"logprobs":null,"finish_reason":")"
               : R"(,"logprobs":null,"finish_reason":")";
  out += reason;
  out += "\"}";
  out += choices_end_;
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
                                 const AnswerUsage& usage) {
  const bool chat = head.endpoint == Endpoint::kChat;
  std::string out = object_head(head, chat ? "chat.completion" : "text_completion");
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) out += ',';
    if (chat) {
      out += R"({"index":)";
      append_integer(out, static_cast<std::int64_t>(i));
      out += R"(,"message":{"role":"assistant","content":)";
      append_json_string(out, choices[i].text);
      out += R"(,"refusal":null})";
    } else {
      out += R"({"text":)";
      append_json_string(out, choices[i].text);
      out += R"(,"index":)";
      append_integer(out, static_cast<std::int64_t>(i));
    }
    out += R"(,"logprobs":null,"finish_reason":")";
    out += choices[i].finish_reason;
    out += "\"}";
  }
  out += R"(],"usage":)";
  append_usage_object(out, usage);
  out += '}';
  return out;
}

}  // namespace vsurge::api
