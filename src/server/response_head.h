// The head of an answer, as bytes. Plain code; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/http.h"

namespace vsurge::server {

struct ResponseHead {
  int status = 200;
  bool http_1_1 = true;    // version of the request
  bool keep_alive = true;  // the connection stays open after the answer
  bool chunked = false;
  std::optional<std::size_t> content_length;  // absent for a stream
  std::int64_t unix_seconds = 0;              // for Date
};

// Fields of `headers` that could break the framing are left out: names that are not tokens, values
// with control characters, and the fields that are made here (Connection, Content-Length,
// Transfer-Encoding, Date).
std::string response_head(const ResponseHead& head, const api::Headers& headers);

std::string_view reason_phrase(int status);
std::string http_date(std::int64_t unix_seconds);  // "Sun, 06 Nov 1994 08:49:37 GMT"

}  // namespace vsurge::server
