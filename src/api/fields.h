// The table of request fields: which of them do something, and which are known but refused.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/api_error.h"
#include "api/field_shape.h"

namespace vsurge::api {

enum class Endpoint : std::uint8_t { kChat = 1, kCompletions = 2, kMessages = 4, kResponses = 8 };

inline constexpr std::uint8_t kInChat = 1;
inline constexpr std::uint8_t kInCompletions = 2;
inline constexpr std::uint8_t kInBoth = 3;  // of them
inline constexpr std::uint8_t kInMessages = 4;
inline constexpr std::uint8_t kInResponses = 8;
inline constexpr std::uint8_t kInOpenAi = 11;  // all but Anthropic's
inline constexpr std::uint8_t kInAll = 15;

// A field of a request's top level, or of stream_options ("stream_options.include_usage").
struct Field {
  std::string_view name;
  std::uint8_t endpoints;  // kIn...
  // Empty: the field works. Else the values that ask for nothing, as a JSON array; null always
  // does. Any other value is refused.
  std::string_view neutral_values = {};
  FieldShape shape = {};  // of one that works

  constexpr bool works() const { return neutral_values.empty(); }
};

std::span<const Field> field_table();

struct FieldCheck {
  std::string_view prefix = {};  // "stream_options." for its members
  // Where members that nobody knows are noted; nullptr: they are refused.
  std::vector<std::string>* ignored = nullptr;
};

// Refuses members of `body` that the endpoint does not know (unknown_parameter) or knows but does
// not do (unsupported_value).
ApiResult<void> check_fields(const boost::json::object& body, Endpoint endpoint,
                             const FieldCheck& check = {});

}  // namespace vsurge::api
