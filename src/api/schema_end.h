// Whether a value of a JSON schema can come to an end.
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <string>

namespace vsurge::api {

// The path of a part that every value would have to contain in itself, again and again:
// "#/$defs/a". Nothing where some value is finite, or where that would take too long to find out. A
// schema that is not one is for its compiler to refuse.
std::optional<std::string> endless_part(const boost::json::value& schema);

}  // namespace vsurge::api
