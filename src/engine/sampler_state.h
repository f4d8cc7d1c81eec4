// SamplerState: what sampling must remember of one sequence, and the edits of logits that follow
// from it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "engine/options.h"
#include "engine/request.h"

namespace vsurge::engine {

// Numbers tokens in the order in which they come up: token -> 0, 1, 2 ... Open addressing.
class TokenTable {
 public:
  // The number of the token, and whether it is new.
  std::pair<std::int32_t, bool> insert(TokenId token);
  std::int32_t size() const { return count_; }
  void clear();  // in constant time
  void reserve(std::size_t tokens);

 private:
  struct Slot {
    TokenId token = 0;
    std::int32_t number = 0;
    std::uint32_t epoch = 0;  // taken when it is epoch_
  };
  std::size_t place(TokenId token) const;
  void grow(std::size_t slots);

  std::vector<Slot> slots_;
  std::int32_t count_ = 0;
  std::uint32_t epoch_ = 1;
};

// Engine thread. It depends on the accepted tokens alone, so that preemption, batching and chunking
// cannot change it: replaying the same tokens gives the same state.
class SamplerState {
 public:
  // nullptr when the parameters need no state: no penalties, bias, bans, DRY or thinking budget.
  // They must have passed check_request.
  static std::unique_ptr<SamplerState> make(const SamplingParams& sampling,
                                            std::span<const TokenId> prompt,
                                            const EngineOptions& options);

  // Sets edits, step_edits and allowed_tokens of `row` for the token that follows `history` (prompt
  // and accepted tokens). The pointers are valid until the next call of prepare or accept.
  void prepare(std::span<const TokenId> history, kernels::SampleRow& row);
  // One more token of the answer.
  void accept(TokenId token);

 private:
  SamplerState(const SamplingParams& sampling, const EngineOptions& options);

  kernels::LogitEdit& edit_of(TokenId token);
  void ban_in_step(TokenId token);
  void add_static_edits(const SamplingParams& sampling);
  void add_bad_words(std::span<const std::vector<TokenId>> words);
  void apply_dry(std::span<const TokenId> history);
  void ban_bad_words(std::span<const TokenId> history);
  bool must_end_thinking() const;

  std::vector<kernels::LogitEdit> edits_;  // by number of tokens_
  std::vector<std::int32_t> counts_;       // in the answer; beside edits_ when counted
  TokenTable tokens_;
  std::vector<kernels::LogitEdit> step_edits_;  // by number of step_tokens_
  TokenTable step_tokens_;
  std::vector<std::uint32_t> allowed_;  // bitmap; empty = all
  std::vector<std::uint32_t> forced_;   // bitmap of the one token that ends reasoning

  float repetition_ = 1;
  float presence_ = 0;
  float frequency_ = 0;

  std::vector<TokenId> stops_;  // banned before min_tokens_
  int min_tokens_ = 0;
  int answered_ = 0;

  // Bad words of two and more tokens, by ascending last token but one; kept flat.
  struct BadWord {
    TokenId before_last;
    std::int32_t begin, end;  // in bad_tokens_
  };
  std::vector<BadWord> bad_words_;
  std::vector<TokenId> bad_tokens_;

  DryParams dry_;  // breakers sorted
  std::vector<std::int32_t> matches_;

  ThinkingBudget thinking_;
  bool is_thinking_ = false;
  int thought_ = 0;
};

}  // namespace vsurge::engine
