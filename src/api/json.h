// JSON of requests and answers: a strict parser with limits, and fast writing by hand.
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/api_error.h"
#include "base/limits.h"

namespace vsurge::api {

// Parses one document. Refused, each with the byte it happened at: bytes that are not UTF-8 (code
// invalid_utf8), half a surrogate pair (invalid_unicode), anything that is not JSON, a member
// written twice, numbers too large for a double, too deep, too many values (invalid_json).
// Integers keep their value when they fit int64 or uint64; other numbers are the nearest double.
ApiResult<boost::json::value> parse_json(std::string_view text, const base::JsonLimits& limits);

// The first byte that does not belong to well-formed UTF-8, or npos.
std::size_t find_invalid_utf8(std::string_view text);

// Appends "text" with quotes; escapes only what JSON must escape. text is UTF-8.
void append_json_string(std::string& out, std::string_view text);
// The same without the quotes.
void append_json_escaped(std::string& out, std::string_view text);
void append_integer(std::string& out, std::int64_t number);
// Any value, compact; members in their order.
void append_json(std::string& out, const boost::json::value& value);

// "a string", "an array": for messages.
std::string_view type_name(const boost::json::value& value);

}  // namespace vsurge::api
