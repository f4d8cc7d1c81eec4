// TokenTexts: what single tokens stand for, as logprobs tell them.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "text/tokenizer.h"

namespace vsurge::api {

struct TokenText {
  // UTF-8. Of bytes that are no text by themselves "bytes:\xe2\x82", as OpenAI writes them.
  std::string text;
  std::string bytes;
};

// Remembers what it was asked. One thread at a time.
//
// A token's text is what it adds after other text: a leading space that decoders strip from the
// beginning of a text is there. Special tokens are written as the vocabulary has them; an id
// without a token has no text.
class TokenTexts {
 public:
  explicit TokenTexts(const text::Tokenizer& tokenizer);

  const TokenText& of(text::TokenId id);

 private:
  TokenText make(text::TokenId id) const;

  text::Tokenizer tokenizer_;
  std::vector<text::TokenId> before_;  // ordinary text to stand before the token
  std::string before_text_;
  std::unordered_map<text::TokenId, TokenText> known_;
};

}  // namespace vsurge::api
