// FieldShape: the values that one field of a request takes. One table of them serves the code that
// reads requests and /openapi.json.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vsurge::api {

enum class FieldKind : std::uint8_t {
  kPart,  // of members, or of several types: its schema is written out in openapi_parts.cc
  kFlag,
  kInteger,
  kNumber,
  kText,      // any text
  kName,      // of at most bytes_max bytes, without NUL
  kWord,      // one of `words`
  kTexts,     // a text or up to count_max of them, none empty, each of at most bytes_max bytes
  kTokenIds,  // up to count_max; 0 = as many as the vocabulary has
};

struct FieldShape {
  FieldKind kind = FieldKind::kPart;
  double low = 0, high = 0;  // of numbers
  bool low_open = false;     // low itself is not taken
  std::size_t count_max = 0, bytes_max = 0;
  std::string_view words = {};  // "left|right"
  std::string_view otherwise =
      {};  // JSON of what an absent field means; empty: the server's choice
};

// As a row of a table writes them.
namespace shape {

constexpr FieldShape flag(std::string_view otherwise = "false") {
  return {.kind = FieldKind::kFlag, .otherwise = otherwise};
}
constexpr FieldShape integer(double low, double high, std::string_view otherwise = {}) {
  return {.kind = FieldKind::kInteger, .low = low, .high = high, .otherwise = otherwise};
}
constexpr FieldShape number(double low, double high, std::string_view otherwise = {}) {
  return {.kind = FieldKind::kNumber, .low = low, .high = high, .otherwise = otherwise};
}
constexpr FieldShape number_above(double low, double high, std::string_view otherwise = {}) {
  return {.kind = FieldKind::kNumber,
          .low = low,
          .high = high,
          .low_open = true,
          .otherwise = otherwise};
}
constexpr FieldShape text() {
  return {.kind = FieldKind::kText};
}
constexpr FieldShape name(std::size_t bytes_max) {
  return {.kind = FieldKind::kName, .bytes_max = bytes_max};
}
constexpr FieldShape word(std::string_view words, std::string_view otherwise = {}) {
  return {.kind = FieldKind::kWord, .words = words, .otherwise = otherwise};
}
constexpr FieldShape texts(std::size_t count_max, std::size_t bytes_max) {
  return {.kind = FieldKind::kTexts, .count_max = count_max, .bytes_max = bytes_max};
}
constexpr FieldShape token_ids(std::size_t count_max = 0) {
  return {.kind = FieldKind::kTokenIds, .count_max = count_max};
}

}  // namespace shape

}  // namespace vsurge::api
