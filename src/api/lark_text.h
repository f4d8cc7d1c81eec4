// Texts within a Lark grammar.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "api/json.h"

namespace vsurge::api {

// What the beginning of a text is in Lark.
struct LarkPiece {
  std::string value;
  std::size_t bytes = 0;  // of the text; at least 1
};

// A text as a sequence of Lark's values: what piece_of(text) finds at its beginning, as
// std::optional<LarkPiece>, and strings of all else.
template <class PieceOf>
std::string lark_literal(std::string_view text, PieceOf&& piece_of) {
  std::string out, plain;
  const auto flush = [&] {
    if (plain.empty()) return;
    out += out.empty() ? "" : " ";
    append_json_string(out, plain);
    plain.clear();
  };
  while (!text.empty()) {
    if (const std::optional<LarkPiece> piece = piece_of(text)) {
      flush();
      out += (out.empty() ? "" : " ") + piece->value;
      text.remove_prefix(piece->bytes);
    } else {
      plain += text.front();
      text.remove_prefix(1);
    }
  }
  flush();
  return out;
}

// A text as a part of /a regex/.
inline std::string lark_regex_literal(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (std::string_view(R"(\/.+*?()[]{}|^$&~-)").contains(c)) out += '\\';
    out += c;
  }
  return out;
}

// A regex as what stands between two slashes.
inline std::string lark_regex(std::string_view pattern) {
  std::string out;
  bool escaped = false;
  for (const char c : pattern) {
    if (c == '\n') {
      out += escaped ? "n" : "\\n";
    } else {
      if (c == '/' && !escaped) out += '\\';
      out += c;
    }
    escaped = c == '\\' && !escaped;
  }
  return out;
}

}  // namespace vsurge::api
