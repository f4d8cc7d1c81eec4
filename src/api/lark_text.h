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

}  // namespace vsurge::api
