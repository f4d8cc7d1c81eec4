// For tests and fuzzing: a tokenizer of printable ASCII, one token for each character, and an end.
#pragma once

#include <fmt/format.h>

#include <string>

#include "text/tokenizer.h"

namespace vsurge::text::testing {

inline constexpr TokenId kEnd = 95;
inline constexpr int kLogits = 128;

inline TokenId token_of(char c) {
  return c == ' ' ? 94 : c - 0x21;
}
inline char character_of(TokenId token) {
  return static_cast<char>(token == 94 ? ' ' : token + 0x21);
}

// tokenizer.json
inline std::string byte_tokenizer_json() {
  std::string vocabulary;
  for (TokenId token = 0; token < 94; ++token) {
    const char c = character_of(token);
    vocabulary += fmt::format("\"{}{}\":{},", c == '"' || c == '\\' ? "\\" : "", c, token);
  }
  return R"({"added_tokens":[{"id":95,"content":"</s>","single_word":false,"lstrip":false,
          "rstrip":false,"normalized":false,"special":true}],"normalizer":null,
          "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,
          "use_regex":false},"post_processor":null,"decoder":{"type":"ByteLevel",
          "add_prefix_space":false,"trim_offsets":true,"use_regex":false},
          "model":{"type":"BPE","vocab":{)" +
         vocabulary + R"("Ġ":94},"merges":[]}})";
}

}  // namespace vsurge::text::testing
