// OutputConstraint: a grammar as the engine wants it, for one choice; it may wait for the end of
// reasoning.
#pragma once

#include <memory>
#include <vector>

#include "base/error.h"
#include "engine/request.h"
#include "text/grammar.h"

namespace vsurge::api {

// When the grammar holds. While reasoning is open all tokens are allowed but those that end an
// answer: they would end it before it has begun.
struct ReasoningGate {
  engine::TokenId begin = -1;  // opens reasoning when it is an answer's first token; -1 = none
  engine::TokenId end = -1;    // closes it; the grammar holds from the next token on
  bool open = false;           // the prompt has opened it; then `end` is given
};

// What all constraints of a model share.
struct ConstraintTokens {
  int vocabulary = 0;                       // ids below it may come out
  std::vector<engine::TokenId> end_tokens;  // that end an answer
};

// For one choice. `tokens` is copied; the grammar need not outlive it.
base::Result<std::unique_ptr<engine::TokenConstraint>> make_output_constraint(
    const text::Grammar& grammar, const ReasoningGate& gate, const ConstraintTokens& tokens);

}  // namespace vsurge::api
