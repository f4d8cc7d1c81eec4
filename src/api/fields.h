// The table of request fields: which of them do something, and which are known but refused.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <span>
#include <string_view>

#include "api/api_error.h"

namespace vsurge::api {

enum class Endpoint : std::uint8_t { kChat = 1, kCompletions = 2 };

inline constexpr std::uint8_t kInChat = 1;
inline constexpr std::uint8_t kInCompletions = 2;
inline constexpr std::uint8_t kInBoth = 3;

// A field of a request's top level, or of stream_options ("stream_options.include_usage").
struct Field {
  std::string_view name;
  std::uint8_t endpoints;  // kIn...
  // Empty: the field works. Else the values that ask for nothing, as a JSON array; null always
  // does. Any other value is refused.
  std::string_view neutral_values;

  bool works() const { return neutral_values.empty(); }
};

std::span<const Field> field_table();

// Refuses members of `body` that the endpoint does not know (unknown_parameter) or knows but does
// not do (unsupported_value). `prefix` is "" for the top level, "stream_options." for its members.
ApiResult<void> check_fields(const boost::json::object& body, Endpoint endpoint,
                             std::string_view prefix = {});

}  // namespace vsurge::api
