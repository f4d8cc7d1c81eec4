// Why bytes of a client did not become a request: the answer they get instead. Plain values.
#pragma once

#include <string>

namespace vsurge::server {

struct Rejection {
  int status = 400;     // HTTP status of the answer; the connection closes after it
  std::string message;  // one line of our own words, no bytes of the client
};

}  // namespace vsurge::server
