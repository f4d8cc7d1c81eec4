// Sampling parameters that are written as text, and the tokens they mean.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/request.h"
#include "text/tokenizer.h"

namespace vsurge::api {

struct SamplingTexts {
  std::vector<std::string> bad_words = {};
  // Absent: \n : " *, as in text-generation-webui and llama.cpp.
  std::optional<std::vector<std::string>> dry_breakers = {};
  std::optional<int> thinking_tokens = {};  // thinking_token_budget
};

// Fills bad_words and dry.sequence_breakers.
//
// A bad word is banned as it is tokenized at the beginning of a text, and after a space where that
// begins with another token and is as long (vLLM's rule).
//
// A breaker of DRY is a token: the last one of the string as it stands alone, after a letter and
// after a space. kInvalidRequest with the field's name when a word has too many tokens.
base::Status resolve_texts(const text::Tokenizer& tokenizer, const SamplingTexts& texts,
                           engine::SamplingParams& sampling);

// The tokens that open and close reasoning in this vocabulary, if it has a pair that we know.
struct ThinkingTokens {
  engine::TokenId begin = -1;
  engine::TokenId end = -1;
};
std::optional<ThinkingTokens> thinking_tokens(const text::Tokenizer& tokenizer);

// The budget of an answer to `prompt`, which may have opened reasoning already. kInvalidRequest
// when the vocabulary has no such tokens.
base::Result<engine::ThinkingBudget> thinking_budget(const text::Tokenizer& tokenizer, int tokens,
                                                     std::span<const engine::TokenId> prompt);

}  // namespace vsurge::api
