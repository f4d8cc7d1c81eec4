// Tokenizer: text to token ids and back, over the `tokenizers` crate.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

struct tb_tokenizer;  // rust/text_bridge

namespace vsurge::text {

using TokenId = std::int32_t;

// A vocabulary as GGUF metadata carries it (tokenizer.ggml.*).
struct GgufVocabulary {
  std::string kind;  // tokenizer.ggml.model: "gpt2" (byte-level BPE) or "llama" (SentencePiece BPE)
  std::string pre;   // tokenizer.ggml.pre: how text is split first; empty = default
  std::vector<std::string> tokens;
  std::vector<std::int32_t>
      types;  // 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
  std::vector<std::string> merges;
  std::vector<float> scores;
  std::optional<TokenId> bos, eos, eot, unknown, padding;
  std::optional<bool> add_bos, add_eos, add_space_prefix;
  std::string chat_template;
};

// Immutable and cheap to copy; any number of threads may use one at once.
class Tokenizer {
 public:
  // tokenizer.json; kBadModel when it is not one this library can run exactly.
  static base::Result<Tokenizer> from_json(std::string_view json);
  static base::Result<Tokenizer> from_gguf(const GgufVocabulary& vocabulary);

  // add_special: what the tokenizer adds by itself (BOS and so on). Special tokens written in the
  // text are recognised, as transformers does. kInvalidRequest when text is not UTF-8.
  base::Result<std::vector<TokenId>> encode(std::string_view text, bool add_special) const;
  base::Result<std::string> decode(std::span<const TokenId> ids, bool skip_special) const;

  std::int32_t vocabulary() const;  // highest id + 1
  std::optional<TokenId> id_of(std::string_view token) const;
  std::optional<std::string> token_of(TokenId id) const;  // as written in the vocabulary
  bool is_special(TokenId id) const;

  const tb_tokenizer* handle() const { return handle_.get(); }  // for Detokenizer and grammar

 private:
  std::shared_ptr<const tb_tokenizer> handle_;
};

}  // namespace vsurge::text
