// Random secrets, and their digests, which are all that is kept of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vsurge::access {

using Salt = std::array<std::uint8_t, 16>;
using Digest = std::array<std::uint8_t, 32>;

// From the system's generator, in hex: two digits a byte.
std::string random_hex(std::size_t bytes);
Salt random_salt();

// SHA-256 of salt and secret. Secrets here are random and long, so that a slow hash, which is for
// words that people choose, would cost each request milliseconds and gain nothing.
Digest salted_digest(const Salt& salt, std::string_view secret);
// In a time that says nothing of where they differ.
bool same_digest(const Digest& a, const Digest& b);

std::string to_hex(const std::uint8_t* bytes, std::size_t count);
// Lower-case hex of exactly as many bytes as Bytes has.
template <class Bytes>
std::optional<Bytes> from_hex(std::string_view text) {
  Bytes out{};
  if (text.size() != 2 * out.size()) return std::nullopt;
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = digit(text[2 * i]);
    const int low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out[i] = static_cast<std::uint8_t>(16 * high + low);
  }
  return out;
}

}  // namespace vsurge::access
