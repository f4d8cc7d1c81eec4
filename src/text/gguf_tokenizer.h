// A GGUF vocabulary written as tokenizer.json, so that there is one tokenizer below all formats.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/tokenizer.h"

namespace vsurge::text {

// kBadModel, naming the key, when the vocabulary is of a kind or split that is not known, or does
// not fit together.
base::Result<std::string> gguf_tokenizer_json(const GgufVocabulary& vocabulary);

// How byte-level BPE splits text before it merges; the names are those of tokenizer.ggml.pre.
struct PreTokenizer {
  std::string_view names;                  // separated by spaces
  std::vector<std::string_view> patterns;  // applied one after the other, each match apart
  bool nfc = false;                        // text is brought to Unicode NFC first
  bool ignore_merges = false;              // a piece that is a token as a whole is not merged
  bool add_bos = false;                    // when the file does not say
};

// Nothing when the name is not known.
const PreTokenizer* find_pre_tokenizer(std::string_view name);
std::string known_pre_tokenizers();

}  // namespace vsurge::text
