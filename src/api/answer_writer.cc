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
      usage_chunks_(usage_chunks),
      event_head_("data: " +
                  object_head(head, chat_ ? "chat.completion.chunk" : "text_completion")) {}

// Of the list of choices and the event.
void AnswerWriter::append_end(std::string& out, const AnswerPiece& piece,
                              std::string_view more) const {
  out += ']';
  out += more;
  if (piece.usage != nullptr) {
    out += R"(,"usage":)";
    append_usage_object(out, *piece.usage);
  } else if (usage_chunks_) {
    out += R"(,"usage":null)";
  }
  out += "}\n\n";
}

void AnswerWriter::append_role(std::string& out, const AnswerPiece& piece) const {
  if (!chat_) return;
  out += event_head_;
  out += R"({"index":)";
  append_integer(out, static_cast<std::int64_t>(piece.index));
  out += R"(,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,)"
         R"("finish_reason":null})";
  append_end(out, piece, piece.more);
}

void AnswerWriter::append_text(std::string& out, const AnswerPiece& piece) const {
  out.reserve(out.size() + event_head_.size() + piece.text.size() + piece.logprobs.size() + 128);
  out += event_head_;
  if (chat_) {
    out += R"({"index":)";
    append_integer(out, static_cast<std::int64_t>(piece.index));
    out += R"(,"delta":{"content":")";
    append_json_escaped(out, piece.text);
    out += R"("},"logprobs":)";
  } else {
    out += R"({"text":")";
    append_json_escaped(out, piece.text);
    out += R"(","index":)";
    append_integer(out, static_cast<std::int64_t>(piece.index));
    out += R"(,"logprobs":)";
  }
  out += piece.logprobs;
  out += R"(,"finish_reason":null)";
  out += piece.more;
  out += '}';
  append_end(out, piece, {});
}

void AnswerWriter::append_finish(std::string& out, const AnswerPiece& piece) const {
  out += event_head_;
  out += chat_ ? R"({"index":)" : R"({"text":"","index":)";
  append_integer(out, static_cast<std::int64_t>(piece.index));
  out += chat_ ? R"(,"delta":{},"logprobs":null,"finish_reason":")"
               : R"(,"logprobs":null,"finish_reason":")";
  out += piece.text;
  out += '"';
  out += piece.more;
  out += '}';
  append_end(out, piece, {});
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
      out += R"(,"message":{"role":"assistant","content":)";
      append_json_string(out, choices[i].text);
      out += R"(,"refusal":null})";
    } else {
      out += R"({"text":)";
      append_json_string(out, choices[i].text);
      out += R"(,"index":)";
      append_integer(out, static_cast<std::int64_t>(i));
    }
    out += R"(,"logprobs":)";
    out += choices[i].logprobs;
    out += R"(,"finish_reason":")";
    out += choices[i].finish_reason;
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
