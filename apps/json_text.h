// A string as JSON writes it, quotes included.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace vsurge::apps {

// Bytes above 127 pass unchanged: the text is UTF-8 already.
inline std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace vsurge::apps
