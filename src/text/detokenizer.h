// Detokenizer: ids one by one to text, never half a character.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/tokenizer.h"

struct tb_stream;

namespace vsurge::text {

// One per sequence, one thread at a time. The concatenation of all that push() and finish() return
// equals Tokenizer::decode of the whole.
class Detokenizer {
 public:
  Detokenizer(const Tokenizer& tokenizer, bool skip_special);
  ~Detokenizer();
  Detokenizer(Detokenizer&&) noexcept;
  Detokenizer& operator=(Detokenizer&&) noexcept;

  // Text until the next call.
  base::Result<std::string_view> push(TokenId id);
  // What is held back: an unfinished character becomes U+FFFD.
  base::Result<std::string> finish();

 private:
  tb_stream* stream_ = nullptr;
};

}  // namespace vsurge::text
