// Arguments that formats write as bare text, as JSON.
#pragma once

#include <string>
#include <string_view>

#include "api/formats/tool_spec.h"

namespace vsurge::api {

// The JSON of a value that the schema of `parameter` types: an integer, a number, a boolean, null,
// an object or an array is taken as such where the schema allows it and the text is one (Python's
// True, False and None too); all else is a string. Without a schema what is an object or an array
// is one, and all else a string.
std::string typed_value(std::string_view text, const ToolSpecs& tools, std::string_view function,
                        std::string_view parameter);

// The schema allows that parameter to be a string and nothing else: whatever its text is, it is
// one.
bool is_string_alone(const ToolSpecs& tools, std::string_view function, std::string_view parameter);

// "..."
std::string json_string(std::string_view text);

// A Python literal (strings in either quotes, True, False, None, lists, tuples, dicts, numbers) or
// JSON as JSON; empty when it is none. `used` is how much of the text it is.
std::string python_value(std::string_view text, std::size_t& used);

}  // namespace vsurge::api
