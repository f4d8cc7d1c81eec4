// The `messages` of a chat request.
#pragma once

#include <boost/json/value.hpp>
#include <string>

#include "api/api_error.h"
#include "base/limits.h"

namespace vsurge::api {

// Checks them and writes them as the chat template sees them: one JSON array. Content is a string
// (parts of type text are joined with a newline), or as the client left it, null or absent, beside
// tool calls. A tool call's arguments are an object where the text is one, else the text as it is.
ApiResult<std::string> read_messages(const boost::json::value& messages,
                                     const base::JsonLimits& limits);

}  // namespace vsurge::api
