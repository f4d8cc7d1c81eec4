// The target of a request line: origin-form, absolute-form of this host, or '*' of OPTIONS
// (RFC 9112, section 3.2). Plain code, any thread.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "server/rejection.h"

namespace vsurge::server {

struct Target {
  std::string path;   // percent-decoded; valid UTF-8 without control characters; begins with '/'
  std::string query;  // as sent, without '?'
};

// `host` is the value of the Host header: an absolute target must name the same one.
std::expected<Target, Rejection> parse_target(std::string_view method, std::string_view target,
                                              std::string_view host);

}  // namespace vsurge::server
