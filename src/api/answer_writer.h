// AnswerWriter: the JSON of answers and stream chunks of both completion endpoints.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "api/fields.h"

namespace vsurge::api {

struct AnswerHead {
  Endpoint endpoint = Endpoint::kChat;
  std::string id;            // "chatcmpl-..." or "cmpl-..."
  std::int64_t created = 0;  // seconds since 1970
  std::string model;
  std::string fingerprint;
};

struct AnswerUsage {
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t completion_tokens = 0;
};

// `more` are members beyond OpenAI's, each after a comma: ,"token_ids":[1]
struct AnswerChoice {
  std::string_view text;
  std::string_view finish_reason;
  std::string_view logprobs = "null";  // JSON
  std::string_view more = {};
};

// A chunk of one choice.
struct AnswerPiece {
  std::size_t index = 0;
  std::string_view text;
  std::string_view logprobs = "null";  // JSON
  std::string_view more = {};          // see AnswerChoice
  const AnswerUsage* usage = nullptr;  // so far, where each chunk tells it
};

// Immutable; any thread. The functions append whole server-sent events to `out`, about a
// microsecond each.
class AnswerWriter {
 public:
  // usage_chunks: the stream ends with a usage chunk, and the others say "usage": null.
  AnswerWriter(const AnswerHead& head, bool usage_chunks);

  // The first chunk of a choice; only chat has one. Of the piece index, more (of the chunk itself)
  // and usage count.
  void append_role(std::string& out, const AnswerPiece& piece) const;
  void append_text(std::string& out, const AnswerPiece& piece) const;
  // text is the reason.
  void append_finish(std::string& out, const AnswerPiece& piece) const;
  void append_usage(std::string& out, const AnswerUsage& usage) const;
  static void append_done(std::string& out);
  // {"error": ...} of api_error.h as an event.
  static void append_error(std::string& out, std::string_view error_json);

  // The whole answer, not streamed. `more`: members of the answer itself.
  static std::string answer(const AnswerHead& head, std::span<const AnswerChoice> choices,
                            const AnswerUsage& usage, std::string_view more = {});

 private:
  void append_end(std::string& out, const AnswerPiece& piece, std::string_view more) const;

  bool chat_;
  bool usage_chunks_;
  std::string event_head_;  // data: {...,"choices":[
};

}  // namespace vsurge::api
