// AnswerWriter: the JSON of answers and stream chunks of both completion endpoints.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "api/answer.h"
#include "api/fields.h"

namespace vsurge::api {

struct AnswerHead {
  Endpoint endpoint = Endpoint::kChat;
  std::string id;            // "chatcmpl-..." or "cmpl-..."
  std::int64_t created = 0;  // seconds since 1970
  std::string model;
  std::string fingerprint;
  bool legacy_functions = false;  // a call is told as OpenAI's old function_call
};

// `more` are members beyond OpenAI's, each after a comma: ,"token_ids":[1]
struct AnswerChoice {
  ChoicePart part;
  std::string_view finish_reason;
  std::string logprobs = "null";  // JSON
  std::string more = {};
};

// A chunk of one choice.
struct AnswerPiece {
  std::size_t index = 0;
  std::string_view logprobs = "null";  // JSON
  std::string_view more = {};          // see AnswerChoice
  const AnswerUsage* usage = nullptr;  // so far, where each chunk tells it
};

struct StreamStyle {
  bool usage_chunks = false;  // the stream ends with a usage chunk, the others say "usage": null
  // Each chunk has a member that makes all of about one length, as OpenAI pads its streams.
  bool obfuscation = false;
};

// Pads the object that began at `begin` and is still open with a member "obfuscation".
void append_obfuscation(std::string& out, std::size_t begin);

// Immutable; any thread. The functions append whole server-sent events to `out`, about a
// microsecond each.
class AnswerWriter {
 public:
  AnswerWriter(const AnswerHead& head, const StreamStyle& style);

  // The first chunk of a choice; only chat has one. Of the piece index, more (of the chunk itself)
  // and usage count.
  void append_role(std::string& out, const AnswerPiece& piece) const;
  // A chunk for each kind of output in the part; at least one. Logprobs and more go with the first.
  void append_output(std::string& out, const AnswerPiece& piece, const ChoicePart& part) const;
  void append_finish(std::string& out, const AnswerPiece& piece, std::string_view reason) const;
  void append_usage(std::string& out, const AnswerUsage& usage) const;
  static void append_done(std::string& out);
  // {"error": ...} of api_error.h as an event.
  static void append_error(std::string& out, std::string_view error_json);

  // The whole answer, not streamed. `more`: members of the answer itself.
  static std::string answer(const AnswerHead& head, std::span<const AnswerChoice> choices,
                            const AnswerUsage& usage, std::string_view more = {});

 private:
  void append_text(std::string& out, const AnswerPiece& piece, std::string_view text) const;
  void append_delta(std::string& out, const AnswerPiece& piece, const OutputEvent& event) const;
  void append_end(std::string& out, std::size_t begin, const AnswerPiece& piece,
                  std::string_view more) const;

  bool chat_, legacy_;
  StreamStyle style_;
  std::string event_head_;  // data: {...,"choices":[
};

}  // namespace vsurge::api
