// What each request must become, computed alone: no batch, no pages, no chunks, no cache, nobody
// else. The rules of sampling are written down here a second time, as plainly as can be.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/options.h"
#include "engine/step_runner.h"
#include "tests/sim/scenario.h"
#include "tests/sim/search_model.h"
#include "tests/sim/seen.h"

namespace vsurge::engine::sim {

constexpr int kVocabularyMax = 64;
constexpr int kHidden = 2;

inline Chain chain_after(Chain before, TokenId token) {
  return mix(before, static_cast<std::uint64_t>(token) + 1);
}

// How the runner ends a sequence by a row's or its own status.
constexpr base::ErrorCode kStatusFault = base::ErrorCode::kEnvironment;
constexpr base::ErrorCode kConstraintFault = base::ErrorCode::kUnsupportedValue;

// Masks that depend on all tokens accepted so far.
class ChainConstraint final : public TokenConstraint {
 public:
  ChainConstraint(std::uint64_t state, int vocabulary) : state_(state), vocabulary_(vocabulary) {}

  base::Status fill_mask(std::span<std::uint32_t> words) override;
  base::Result<bool> allows(TokenId token) override;
  base::Status accept(TokenId token) override;

  // The rules, for both sides.
  static std::uint64_t after(std::uint64_t state, TokenId token) {
    return mix(state, static_cast<std::uint64_t>(token) + 99);
  }
  static bool mask_fails(std::uint64_t state) { return mix(state, 7) % 61 == 0; }
  static bool accept_fails(std::uint64_t state) { return mix(state, 8) % 61 == 0; }
  static bool allows(std::uint64_t state, TokenId token) {
    return mix(state, 9) % 53 != 0 && mix(state, static_cast<std::uint64_t>(token) + 10) % 4 != 0;
  }

 private:
  std::uint64_t state_;
  const int vocabulary_;
};

enum class State : std::uint8_t { kHeld, kWaiting, kRunning, kSuspended, kParked, kEnded };

struct ExpectedEnd {
  bool set = false;
  FinishReason reason = FinishReason::kCancelled;
  base::ErrorCode code = base::ErrorCode::kInternal;
  int cached_tokens = 0;  // then
};

struct Choice {
  // What it has become so far, and what is to follow.
  std::vector<TokenId> tokens;     // prompt, then answer
  std::vector<Chain> chain;        // beside tokens
  std::uint64_t draw = 0;          // digest of what decides a row, but for its position
  std::uint64_t mask = 0;          // state of the constraint
  int scored = 1;                  // prompt tokens whose logprobs have been told
  bool injected = false;           // the runner has ended it
  std::uint64_t unsound_step = 0;  // of the last row that was not finite
  ExpectedEnd expected_end;        // from outside: cancel, deadline, abort

  // What the plans have made of it.
  State state = State::kWaiting;
  bool started = false;
  bool resumed = false;  // waits as one that has run
  bool forked = false;   // ... that the last selection has moved
  int computed = 0;
  int preemptions = 0;
  int cached_tokens = 0;
  int pages = 0;  // held after the last step
  std::uint64_t admitted_step = 0;
  std::uint64_t planned_step = 0;
  std::vector<std::int32_t> table;  // its pages at the last audit
  std::uint64_t table_step = 0;     // and when that was
  int sampled_rows = 0;             // in the step in hand
  int new_tokens = 0;               // events of the step in hand
};

struct Story {
  Ticket ticket = 0;
  int index = -1;  // into Scenario::requests
  const RequestSpec* spec = nullptr;
  int prompt = 0;
  int answer_max = 0;
  Chain root = 0;
  bool caches = false;
  bool edited = false;  // sampled from edited or masked logits
  bool held = false;
  bool suspended = false;
  int alive = 0;
  int ends = 0;             // that were told
  bool given_back = false;  // its client has one request less
  base::Nanoseconds arrival = 0;
  base::Nanoseconds queue_deadline = 0;  // 0 = none
  base::Nanoseconds deadline = 0;
  std::vector<Choice> choices;
  std::optional<SearchStory> search;  // the choices are its beams

  // That are told of.
  int answers() const { return search ? search->answers : static_cast<int>(choices.size()); }
  bool has_ended(int answer) const {
    const auto at = static_cast<std::size_t>(answer);
    return search ? search->ended[at] : choices[at].state == State::kEnded;
  }
};

struct Outcome {
  enum class Kind : std::uint8_t { kToken, kStop, kError } kind = Kind::kToken;
  TokenId token = 0;
  base::ErrorCode code = base::ErrorCode::kInternal;
};

// What is told beside a token.
struct Alternatives {
  int count = -1;                   // -1: nothing, not even of the token
  const TokenId* tokens = nullptr;  // [count]; nullptr = the likeliest
};
// Absent: no logprobs are wanted.
std::optional<Alternatives> alternatives_of(const SamplingParams& sampling);

class Model {
 public:
  Model(const Scenario& scenario, Seen& seen) : scenario_(scenario), seen_(seen) {}

  // The story of a request that has passed check_request, before anything has happened.
  Story begin(Ticket ticket, int index, std::span<const TokenId> prompt) const;
  // What comes after the tokens of the choice.
  Outcome next(const Story& story, const Choice& choice) const;
  // It came: the choice goes on.
  void accept(const Story& story, Choice& choice, TokenId token) const;

  // What the model would say after `chain`; for plain rows.
  TokenId plain_token(Chain chain, TokenId last, std::uint64_t draw) const;
  static float logit(Chain chain, std::uint64_t draw, TokenId token);
  // What is pooled: the state of a token, or one of its logits.
  static std::array<float, kHidden> state_of(Chain chain);
  static float pooled_logit(Chain chain, TokenId token);
  // All of it, of a prompt alone.
  static std::vector<float> pooled(const Story& story, const Choice& choice);
  // Whether the state at `position` is one of them.
  static bool is_pooled(const Story& story, int position);
  static kernels::SampleResult scores(Chain chain, TokenId token, const Alternatives& wanted,
                                      int vocabulary, kernels::TopLogprob* top);
  // What decides the draw: of a row but for the position, and of the parameters it is made from.
  static std::uint64_t draw_of(const kernels::SampleRow& row);
  static std::uint64_t draw_of(const SamplingParams& sampling, std::uint64_t seed);
  static std::uint64_t draw_at(std::uint64_t draw, std::uint64_t position) {
    return mix(draw, position);
  }
  // Whether the row for the token at `position` is made to fail.
  static bool fails_at(const Story& story, int choice, int position, FaultKind kind) {
    const RequestSpec& spec = *story.spec;
    return spec.fault == kind && spec.fault_choice == choice && spec.fault_at == position;
  }
  // What the request is told of a row that failed so.
  static base::ErrorCode code_of(FaultKind kind) {
    return kind == FaultKind::kNothingAllowed ? base::ErrorCode::kInvalidRequest
                                              : base::ErrorCode::kNumericalError;
  }

 private:
  using Logits = std::array<float, kVocabularyMax>;

  Outcome edited_token(const Story& story, const Choice& choice) const;
  bool forces_end_of_thinking(const SamplingParams& sampling,
                              std::span<const TokenId> answer) const;
  void penalise(const SamplingParams& sampling, const Story& story, const Choice& choice,
                Logits& logits) const;
  void ban(const SamplingParams& sampling, const Story& story, const Choice& choice,
           Logits& logits) const;
  void repeat_penalty(const DryParams& dry, std::span<const TokenId> history,
                      Logits& penalties) const;
  bool is_stop(const SamplingParams& sampling, TokenId token) const;

  const Scenario& scenario_;
  Seen& seen_;
};

}  // namespace vsurge::engine::sim
