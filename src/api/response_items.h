// Items of the Responses API: what a client sends as input and gets as output.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <string_view>

#include "api/api_error.h"
#include "base/limits.h"

namespace vsurge::api {

// Checks `input`, a text or an array of items, and writes it as items alone: messages with parts of
// text, function calls, their outputs, reasoning. Others are refused by name.
ApiResult<boost::json::array> read_input_items(const boost::json::value& input,
                                               const base::JsonLimits& limits);

// Items, checked before, as a chat template sees them: one JSON array of messages. `instructions`
// come first, as the system's. An output without its call is refused.
ApiResult<std::string> messages_of_items(const boost::json::array& items,
                                         std::string_view instructions);

}  // namespace vsurge::api
