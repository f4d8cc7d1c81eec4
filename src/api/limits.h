// Limits of request fields; those of the body as a whole are in base/limits.h.
#pragma once

#include <cstddef>

namespace vsurge::api {

inline constexpr std::size_t kToolCallsMax = 128;  // of one message
inline constexpr std::size_t kIdBytesMax = 256;    // names and ids: model, user, tool_call_id
inline constexpr std::size_t kRequestIdBytesMax = 128;
inline constexpr std::size_t kQuotedBytesMax = 200;  // of a client's text in an error

}  // namespace vsurge::api
