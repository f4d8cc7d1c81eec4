// A JSON text as a tree, read more strictly than Boost.JSON does by itself.
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"

namespace vsurge::model {

// Refuses a key that is twice in one object (Boost.JSON would keep the last) and nesting beyond
// `depth_max`. kBadModel; `file` names it.
base::Result<boost::json::value> parse_json(const std::string& file, std::string_view text,
                                            std::size_t depth_max);

}  // namespace vsurge::model
