// Infilling: how a model that was taught it sees a text with a gap. It says what goes in the gap.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "text/tokenizer.h"

namespace vsurge::text {

struct InfillTokens {
  TokenId prefix = 0;             // before the text that comes before the gap
  TokenId suffix = 0;             // before the text behind it
  std::optional<TokenId> middle;  // ends the prompt; absent: the suffix stands before the prefix
  std::vector<TokenId> ends;      // any of these ends what is filled in, beside the model's own
};

// By the names that models give these tokens, some look-ups; nothing when they are not there.
std::optional<InfillTokens> find_infill_tokens(const Tokenizer& tokenizer);

struct Gap {
  std::span<const TokenId> before;
  std::span<const TokenId> behind;
};
void append_infill(std::vector<TokenId>& prompt, const InfillTokens& tokens, const Gap& gap);

// As Tokenizer::encode, of a text that goes on in the middle of another: without the space that
// SentencePiece puts before a text. Adds no special tokens.
base::Result<std::vector<TokenId>> encode_continuation(const Tokenizer& tokenizer,
                                                       std::string_view text,
                                                       std::size_t tokens_max = kAnyTokens);

}  // namespace vsurge::text
