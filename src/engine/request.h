// What a client wants of the engine, and what comes back: token ids only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "engine/mask_habit.h"
#include "kernels/sample.h"

namespace vsurge::engine {

using TokenId = std::int32_t;
inline constexpr int kTopLogprobsMax = 20;
inline constexpr std::size_t kLogprobTokenIdsMax = 128;
inline constexpr int kPredictionGuesses = 8;

using Ticket = std::uint64_t;  // names a request from submit to its end; never reused

// Masks for constrained output; implemented in text. One sequence; one call at a time: accept on
// the engine's thread, the others on any. None may throw.
class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;
  // Bit i of words[i / 32]: token i may come next.
  virtual base::Status fill_mask(std::span<std::uint32_t> words) = 0;
  // That bit of one token, for less.
  virtual base::Result<bool> allows(TokenId token) = 0;
  virtual base::Status accept(TokenId token) = 0;

  MaskHabit mask_habit;
};

// "Don't repeat yourself": a token that would go on with a repetition of at least allowed_length
// tokens loses multiplier * base^(length - allowed_length) from its logit. (p-e-w, in
// oobabooga/text-generation-webui PR 5677.)
struct DryParams {
  float multiplier = 0.0F;  // [0, 100]; 0 = off
  float base = 1.75F;       // [1, 10]
  int allowed_length = 2;   // >= 1
  int range = 0;            // tokens looked back on; 0 = all
  std::vector<TokenId> sequence_breakers;
};

// "Exclude top choices": with this probability, of the tokens at least as likely as threshold all
// but the least likely are dropped. (p-e-w, text-generation-webui PR 6335.)
struct XtcParams {
  float probability = 0.0F;  // [0, 1]; 0 = off
  float threshold = 0.1F;    // [0, 0.5]; above 0.5 at most one token could qualify
};

// After so many tokens of reasoning the token that ends it is forced.
struct ThinkingBudget {
  int tokens = 0;            // >= 0, counted from the start of reasoning
  TokenId begin_token = -1;  // opens reasoning; -1 = only `open` does
  TokenId end_token = -1;    // closes it
  bool open = false;         // the prompt has opened it
};

// Beam search: keeps the `width` likeliest beginnings instead of drawing. Scores are sums of
// logprobs; finished ones are compared by score / (tokens of the answer)^length_penalty. As
// transformers' generate(num_beams).
enum class BeamStop : std::uint8_t {
  kWhenUnlikely,  // no beam is likely to beat the worst of `width` finished ones
  kWhenFull,      // `width` have finished
  kNever,         // no beam can beat them, however it goes on
};
struct BeamSearch {
  int width = 0;                // 2 and up; 0 = off. n of them come back, the best first
  float length_penalty = 1.0F;  // [-10, 10]
  BeamStop early_stopping = BeamStop::kWhenUnlikely;
};

// Ranges are checked at the door (api, facade) and again in Engine::submit. The order in which they
// apply is kernels/sample.h's and docs/ENGINE.md's.
struct SamplingParams {
  float temperature = 1.0F;         // [0, 2]; 0 = greedy
  float top_p = 1.0F;               // (0, 1]
  float min_p = 0.0F;               // [0, 1]
  float typical_p = 1.0F;           // (0, 1]; 1 = off
  float top_n_sigma = 0.0F;         // >= 0; 0 = off
  int top_k = 0;                    // 0 = off
  float repetition_penalty = 1.0F;  // (0, 10]; prompt and answer
  float presence_penalty = 0.0F;    // [-2, 2]; answer only
  float frequency_penalty = 0.0F;   // [-2, 2]; answer only
  DryParams dry;
  XtcParams xtc;
  std::vector<std::pair<TokenId, float>> logit_bias;  // [-100, 100] each
  std::vector<std::vector<TokenId>> bad_words;        // sequences that never come out
  std::vector<TokenId> allowed_token_ids;             // empty = all
  std::vector<TokenId> suppress_tokens;
  std::optional<std::uint64_t> seed;  // absent: drawn per request from the engine's seed
  int min_tokens = 0;                 // no stop token before so many
  std::optional<int> max_tokens;      // absent: what fits the context
  std::vector<TokenId> stop_token_ids;
  bool ignore_eos = false;
  int n = 1;  // choices; choice i > 0 draws with a seed made of `seed` and i
  // Alternatives told with each token, [0, kTopLogprobsMax]; absent: no logarithms at all. From the
  // distribution of the model itself: before every parameter above.
  std::optional<int> logprobs;
  // Not empty, with logprobs: the alternatives are these, in this order, instead of the likeliest.
  // Up to kLogprobTokenIdsMax; the prompt's alternatives stay the likeliest.
  std::vector<TokenId> logprob_token_ids;
  std::optional<int> prompt_logprobs;  // the same for each token of the prompt but the first
  std::optional<ThinkingBudget> thinking;
  BeamSearch beam;
  int speculative_tokens =
      0;  // guessed per step by prompt lookup, [0, 16]; never changes the answer
};

// Instead of an answer: one vector of the prompt.
enum class PooledStates : std::uint8_t { kLast, kMean, kFirst };
inline constexpr std::size_t kPooledLogitsMax = 16;
struct Pooling {
  PooledStates states = PooledStates::kLast;  // of the last layer, after the final norm
  // Not empty: the logits of these tokens after the last one, instead of states; with kLast only.
  std::vector<TokenId> logits_of;
};

struct Request {
  std::vector<TokenId> prompt;  // at least one token
  SamplingParams sampling;
  int priority = 0;             // lower first
  std::string client;           // for fairness and logs; may be empty
  std::string cache_namespace;  // prefixes are shared within one alone
  bool use_prefix_cache = true;
  std::optional<base::Nanoseconds> queue_deadline;  // to be started by; on the engine's clock
  std::optional<base::Nanoseconds> deadline;        // to have ended by
  // One per choice, or none.
  std::vector<std::unique_ptr<TokenConstraint>> constraints;
  // What the answer may repeat: guesses come of it first, [0, kPredictionGuesses] per step whatever
  // speculative_tokens says. Never changes the answer.
  std::vector<TokenId> prediction;
  // Nothing is sampled: `sampling` is as it is by default. The prompt may fill the context.
  std::optional<Pooling> pooling;
};

enum class FinishReason : std::uint8_t {
  kStop,       // an end-of-text or stop token; it is not part of the answer. Or a vector is made
  kLength,     // max_tokens or the context's end
  kCancelled,  // Engine::cancel, or shutdown
  kError,      // see Event::error
};

struct Usage {
  int prompt_tokens = 0;
  int cached_tokens = 0;  // of the prompt, found in the prefix cache when it was first read
  int completion_tokens =
      0;  // of this choice: sampled so far, an end-of-text or stop token included
  base::Nanoseconds queued = 0;  // from arrival to the request's start
  // With kEnd, of Request::prediction: tokens guessed that came out, and that did not.
  int accepted_guesses = 0;
  int rejected_guesses = 0;
};

// What the model gave a token, and the likeliest at its place.
struct Logprobs {
  float logprob = 0;                     // natural; of the token of the event
  int rank = 0;                          // tokens with a greater logit, plus 1
  std::vector<kernels::TopLogprob> top;  // descending, ties by lower id
};

enum class EventKind : std::uint8_t { kPromptLogprobs, kToken, kEnd };

// Each choice of a ticket gets its prompt's logprobs (choice 0 only, if asked for; position by
// position), any number of tokens and then exactly one end.
struct Event {
  Ticket ticket = 0;
  int choice = 0;
  EventKind kind = EventKind::kToken;
  bool is_last = false;                       // when kEnd: no choice of the ticket is left
  TokenId token = 0;                          // unless kEnd
  FinishReason reason = FinishReason::kStop;  // when kEnd
  TokenId stop_token = -1;                    // when kStop: the token that ended it
  Usage usage;                                // up to and with this event
  float score = 0;                            // when kEnd after beam search: sum of logprobs
  std::shared_ptr<const Logprobs>
      logprobs;  // if asked for; of kEnd those of stop_token, but for beams
  std::shared_ptr<const base::Error> error;          // when kError
  std::shared_ptr<const std::vector<float>> pooled;  // when kEnd after pooling: Pooled::result()

  bool is_end() const { return kind == EventKind::kEnd; }
};

// The end of a choice; who ends it fills in the rest.
inline Event end_event(FinishReason reason) {
  Event event;
  event.kind = EventKind::kEnd;
  event.reason = reason;
  return event;
}
inline Event error_event(base::Error error) {
  Event event = end_event(FinishReason::kError);
  event.error = std::make_shared<const base::Error>(std::move(error));
  return event;
}

// Called on the engine thread, once per step; must not block. Events of one choice are in order.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void publish(std::span<const Event> events) = 0;
};

}  // namespace vsurge::engine
