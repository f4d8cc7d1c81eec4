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

struct AnswerChoice {
  std::string_view text;
  std::string_view finish_reason;
};

// Immutable; any thread. The functions append whole server-sent events to `out`, about a
// microsecond each.
class AnswerWriter {
 public:
  // usage_chunks: the stream ends with a usage chunk, and the others say "usage": null.
  AnswerWriter(const AnswerHead& head, bool usage_chunks);

  // The first chunk of a choice; only chat has one.
  void append_role(std::string& out, std::size_t index) const;
  void append_text(std::string& out, std::size_t index, std::string_view text) const;
  void append_finish(std::string& out, std::size_t index, std::string_view reason) const;
  void append_usage(std::string& out, const AnswerUsage& usage) const;
  static void append_done(std::string& out);
  // {"error": ...} of api_error.h as an event.
  static void append_error(std::string& out, std::string_view error_json);

  // The whole answer, not streamed.
  static std::string answer(const AnswerHead& head, std::span<const AnswerChoice> choices,
                            const AnswerUsage& usage);

 private:
  bool chat_;
  std::string event_head_;   // data: {...,"choices":[
  std::string choices_end_;  // ]}, with "usage":null where asked for
};

}  // namespace vsurge::api
