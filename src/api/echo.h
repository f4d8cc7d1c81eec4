// The prompt as it is told before an answer.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace vsurge::api {

struct Echo {
  std::string text;
  std::vector<std::size_t> offsets;  // of each token: where its text begins, in characters
};

// `text`: what the client wrote; absent: it sent ids, and their text is told. What the tokenizer
// put before a text (BOS) is at offset 0, without text.
base::Result<Echo> make_echo(const text::Tokenizer& tokenizer,
                             std::span<const text::TokenId> prompt,
                             std::optional<std::string_view> text, bool skip_special);

}  // namespace vsurge::api
