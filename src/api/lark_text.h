// Texts within a Lark grammar.
#pragma once

#include <string>
#include <string_view>

namespace vsurge::api {

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
