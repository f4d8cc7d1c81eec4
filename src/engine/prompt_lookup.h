// Prompt lookup: guesses the next tokens from what the text has said before.
#pragma once

#include <span>

#include "engine/request.h"

namespace vsurge::engine {

// Writes up to out.size() guesses of what follows `history` to `out` and returns how many: what
// followed the latest earlier occurrence of its last three tokens, else of its last two. (Saxena,
// "Prompt lookup decoding", 2023.) Time is linear in history, of which the last 8,192 tokens count.
int guess_next_tokens(std::span<const TokenId> history, std::span<TokenId> out);

// The same from a text that the answer is expected to repeat: what follows the place in it that has
// the answer's last three tokens, else its last two, and is nearest to as far as the answer is; its
// beginning before there is an answer. Of the prediction the first 65,536 tokens count.
int guess_from_prediction(std::span<const TokenId> prediction, std::span<const TokenId> answer,
                          std::span<TokenId> out);

}  // namespace vsurge::engine
