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
  std::optional<TokenId> bos, eos, unknown, padding;
  // Of infilling: around the gap, and tokens that end what is filled in.
  std::optional<TokenId> fim_prefix, fim_suffix, fim_middle;
  std::vector<TokenId> fim_ends;
  std::optional<bool> add_bos, add_eos, add_space_prefix;
  std::string chat_template;
};

// A token that a file beside tokenizer.json names, with the flags of tokenizer.json's added_tokens.
struct NamedToken {
  std::string content;
  bool single_word = false, lstrip = false, rstrip = false, normalized = false, special = true;
  std::optional<TokenId> id;  // the vocabulary must agree; absent: a token it lacks is left out
  bool replaces = false;      // its flags count even if tokenizer.json has it as an added token
  bool named = false;         // is bos_token or the like: special, where its flags are taken
};

inline constexpr std::size_t kAnyTokens = static_cast<std::size_t>(-1);

// Immutable and cheap to copy; any number of threads may use one at once.
class Tokenizer {
 public:
  // tokenizer.json; kBadModel when it is not one this library can run exactly, or when a named
  // token has another id there.
  static base::Result<Tokenizer> from_json(std::string_view json,
                                           std::span<const NamedToken> named = {});
  static base::Result<Tokenizer> from_gguf(const GgufVocabulary& vocabulary);

  // add_special: what the tokenizer adds by itself (BOS and so on). Special tokens written in the
  // text are recognised, as transformers does. kInvalidRequest when text is not UTF-8.
  // kContextLengthExceeded when it has more than tokens_max tokens: a text far beyond them is
  // refused at once where bytes_per_token() is known, any other when that many are made; splitting
  // it into words is all that is done in full. A text that fits has the same ids as without limit.
  base::Result<std::vector<TokenId>> encode(std::string_view text, bool add_special,
                                            std::size_t tokens_max = kAnyTokens) const;
  base::Result<std::string> decode(std::span<const TokenId> ids, bool skip_special) const;

  // Bytes of text that one token stands for at most: a text of n bytes has n / this or more tokens.
  // 0 where that cannot be said (unknown tokens, steps that drop text).
  std::size_t bytes_per_token() const;
  std::int32_t vocabulary() const;  // highest id + 1
  std::optional<TokenId> id_of(std::string_view token) const;
  std::optional<std::string> token_of(TokenId id) const;  // as written in the vocabulary
  bool is_special(TokenId id) const;

  const tb_tokenizer* handle() const { return handle_.get(); }  // for Detokenizer and grammar

 private:
  std::shared_ptr<const tb_tokenizer> handle_;
};

}  // namespace vsurge::text
