// Choice: one answer in the making, from the engine's events to what a client is told of it.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/formats/output_reader.h"
#include "api/text_stream.h"
#include "engine/request.h"

namespace vsurge::api {

// A token that belongs to the text, where its text begins (in characters), and what the model gave
// it: nullptr for a prompt's first token alone.
struct ScoredToken {
  engine::TokenId token = 0;
  std::size_t offset = 0;
  std::shared_ptr<const engine::Logprobs> logprobs;
  bool content = true;  // where output is taken apart: neither reasoning nor of a call
};

struct ChoiceOptions {
  TextOptions text;
  std::vector<engine::TokenId> stop_token_ids;  // the client's, for stop_reason
  bool scored = false;                          // keeps `scored` of ChoicePart
  bool keep_ids = false;                        // keeps `ids` of ChoicePart
  bool prompt_only = false;                     // tokens of the answer are not looked at
  const ReaderOptions* reader = nullptr;        // takes the text apart
  bool tell_reasoning = true;                   // with a reader
  bool stream_reasoning = true;                 // false: it comes when it has ended
};

// What has come of an answer since it was last taken.
struct ChoicePart {
  std::string text;                 // where there is no reader of output
  std::vector<OutputEvent> output;  // where there is one
  // The tokens whose text is in `text` (see TextStream); a stop token that is shown, too.
  std::vector<ScoredToken> scored;
  // All that were generated, whether their text is shown or not; the stop token too.
  std::vector<engine::TokenId> ids;

  bool empty() const { return text.empty() && output.empty() && scored.empty() && ids.empty(); }
};

// One thread at a time.
class Choice {
 public:
  Choice(const text::Tokenizer& tokenizer, const ChoiceOptions& options);

  // One event of the answer, not of its prompt; nothing after done(). The error is the end's, or
  // the detokenizer's.
  base::Status take(const engine::Event& event);

  bool done() const { return finish_ != nullptr; }
  // A stop string ended it: the engine does not know yet.
  bool stopped_by_text() const { return text_.stopped(); }
  // Ends it here: what was held back of the text comes. `reason` must live for ever.
  base::Status cut(const char* reason);
  // "stop" or "length", or what cut() said; "tool_calls" where it made calls and then stopped;
  // nullptr before it is done.
  const char* finish() const { return finish_; }
  // The stop string or the stop token of the client that ended it, if one did.
  const std::string& stop_string() const { return text_.stop_string(); }
  engine::TokenId stop_token() const { return stop_token_; }

  // The text has had the end of a line.
  bool has_line() const { return has_line_; }

  // Moves out what has come.
  ChoicePart take_part() { return std::exchange(part_, {}); }
  const ChoicePart& part() const { return part_; }

  int tokens() const { return tokens_; }                      // as usage counts them
  int reasoning_tokens() const { return reasoning_tokens_; }  // of them
  int cached_tokens() const { return cached_tokens_; }
  int accepted_guesses() const { return accepted_guesses_; }  // known at its end
  int rejected_guesses() const { return rejected_guesses_; }
  double logprob_sum() const { return logprob_sum_; }
  // Per token; of an answer without tokens -infinity.
  double logprob_mean() const;

 private:
  base::Status take_token(const engine::Event& event);
  base::Status take_end(const engine::Event& event);
  base::Status take_text(engine::TokenId token);
  base::Status finish_text();
  void read(std::string_view text);
  void tell(std::vector<OutputEvent>& events);
  void end_reader();
  const char* stop_reason() const;
  void move_shown();

  ChoiceOptions options_;
  TextStream text_;
  std::optional<OutputReader> reader_;
  std::string piece_;               // text on its way to the reader
  std::vector<OutputEvent> fresh_;  // what it made of it
  std::vector<OutputEvent> held_;   // reasoning that is told when it has ended
  ChoicePart part_;
  std::deque<ScoredToken> pending_;  // their text is not shown yet
  std::vector<std::size_t> offsets_;
  const char* finish_ = nullptr;
  engine::TokenId stop_token_ = -1;
  bool has_line_ = false;
  int tokens_ = 0;
  int reasoning_tokens_ = 0;
  int cached_tokens_ = 0;
  int accepted_guesses_ = 0;
  int rejected_guesses_ = 0;
  int scored_tokens_ = 0;
  double logprob_sum_ = 0;
};

// Which `count` of the choices are told, given the mean logprob of each: all in their order, or the
// highest first where there are more.
std::vector<std::size_t> best_choices(std::span<const double> means, std::size_t count);

}  // namespace vsurge::api
