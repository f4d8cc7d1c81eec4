// What a client wants of the engine, and what comes back: token ids only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace vsurge::engine {

using TokenId = std::int32_t;
using Ticket = std::uint64_t;  // names a sequence from submit to its end; never reused

// Masks for constrained output; implemented in text. One sequence, engine thread only.
class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;
  // Bit i of words[i / 32]: token i may come next.
  virtual base::Status fill_mask(std::span<std::uint32_t> words) = 0;
  virtual base::Status accept(TokenId token) = 0;
};

// Ranges are checked at the door (api, facade) and again in Engine::submit.
struct SamplingParams {
  float temperature = 1.0F;           // [0, 2]; 0 = greedy
  float top_p = 1.0F;                 // (0, 1]
  float min_p = 0.0F;                 // [0, 1]
  int top_k = 0;                      // 0 = off
  std::optional<std::uint64_t> seed;  // absent: drawn per request from the engine's seed
  std::optional<int> max_tokens;      // absent: what fits the context
  std::vector<TokenId> stop_token_ids;
  bool ignore_eos = false;
};

struct Request {
  std::vector<TokenId> prompt;  // at least one token
  SamplingParams sampling;
  int priority = 0;                           // lower first
  std::string client;                         // for fairness and logs; may be empty
  std::optional<base::Nanoseconds> deadline;  // on the engine's clock
  std::unique_ptr<TokenConstraint> constraint;
};

enum class FinishReason : std::uint8_t {
  kStop,       // an end-of-text or stop token; it is not part of the answer
  kLength,     // max_tokens or the context's end
  kCancelled,  // Engine::cancel, or shutdown
  kError,      // see Event::error
};

struct Usage {
  int prompt_tokens = 0;
  int cached_tokens = 0;      // of the prompt, found in the prefix cache
  int completion_tokens = 0;  // sampled so far, an end-of-text or stop token included
};

// One token, or the end. Each ticket gets any number of tokens and then exactly one end.
struct Event {
  Ticket ticket = 0;
  bool is_end = false;
  TokenId token = 0;                          // when !is_end
  FinishReason reason = FinishReason::kStop;  // when is_end
  TokenId stop_token = -1;                    // when kStop: the token that ended it
  Usage usage;                                // up to and with this event
  base::Error error;                          // when kError
};

// Called on the engine thread, once per step; must not block. Tokens of one ticket are in order.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void publish(std::span<const Event> events) = 0;
};

}  // namespace vsurge::engine
