#include "api/token_texts.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <optional>

#include "api/json.h"

namespace vsurge::api {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// "<0x0A>", as vocabularies with byte fallback write a byte.
std::optional<std::string> fallback_byte(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  const int high = hex_digit(token[3]), low = hex_digit(token[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return std::string(1, static_cast<char>(high * 16 + low));
}

// Byte-level vocabularies write a printable byte as the character of its number, and the others as
// the characters from U+0100 on, in their order (Radford et al., GPT-2, bytes_to_unicode).
std::array<std::int16_t, 0x180> byte_of_character() {
  std::array<std::int16_t, 0x180> bytes{};
  bytes.fill(-1);
  std::size_t next = 0x100;
  for (std::size_t byte = 0; byte < 0x100; ++byte) {
    const bool printable =
        (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    bytes[printable ? byte : next++] = static_cast<std::int16_t>(byte);
  }
  return bytes;
}

std::optional<std::string> byte_level_bytes(std::string_view token) {
  static const std::array<std::int16_t, 0x180> kBytes = byte_of_character();
  std::string bytes;
  for (std::size_t i = 0; i < token.size(); ++i) {
    const auto lead = static_cast<unsigned char>(token[i]);
    std::size_t code = lead;
    if (lead >= 0x80) {
      // Characters of two bytes are all that there can be.
      if ((lead & 0xE0U) != 0xC0 || i + 1 >= token.size()) return std::nullopt;
      code = ((lead & 0x1FU) << 6U) | (static_cast<unsigned char>(token[++i]) & 0x3FU);
    }
    if (code >= kBytes.size() || kBytes[code] < 0) return std::nullopt;
    bytes += static_cast<char>(kBytes[code]);
  }
  return bytes;
}

std::string escaped_bytes(std::string_view bytes) {
  std::string text = "bytes:";
  for (const char c : bytes) {
    fmt::format_to(std::back_inserter(text), "\\x{:02x}", static_cast<unsigned char>(c));
  }
  return text;
}

}  // namespace

TokenTexts::TokenTexts(const text::Tokenizer& tokenizer) : tokenizer_(tokenizer) {
  if (auto ids = tokenizer_.encode("a", false)) before_ = std::move(*ids);
  if (auto text = tokenizer_.decode(before_, false)) before_text_ = std::move(*text);
}

const TokenText& TokenTexts::of(text::TokenId id) {
  const auto found = known_.find(id);
  if (found != known_.end()) return found->second;
  return known_.emplace(id, make(id)).first->second;
}

TokenText TokenTexts::make(text::TokenId id) const {
  std::vector<text::TokenId> ids = before_;
  ids.push_back(id);
  const auto both = tokenizer_.decode(ids, false);
  std::string text;
  if (both && both->starts_with(before_text_)) text = both->substr(before_text_.size());
  if (text.find(kReplacement) == std::string::npos) return {text, text};
  // Not whole characters (or the replacement character itself).
  const std::string token = tokenizer_.token_of(id).value_or("");
  std::optional<std::string> bytes = fallback_byte(token);
  if (!bytes) bytes = byte_level_bytes(token);
  if (!bytes || find_invalid_utf8(*bytes) == std::string_view::npos) return {text, text};
  return {escaped_bytes(*bytes), std::move(*bytes)};
}

}  // namespace vsurge::api
