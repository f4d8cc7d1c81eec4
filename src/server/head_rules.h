// HeadRules: what the header fields of a request say about its framing, and the requests that are
// refused for it. Stricter than RFC 9112 allows: whatever two HTTP implementations could read
// differently is an error (section 6.3 there, "request smuggling").
// Plain code; one object per request, not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/limits.h"
#include "server/rejection.h"

namespace vsurge::server {

class HeadRules {
 public:
  explicit HeadRules(const base::HttpLimits& limits) : body_bytes_max_(limits.body_bytes_max) {}

  // One field after the other; the name in lower case, the value without white space around it.
  std::optional<Rejection> field(std::string_view name, std::string_view value);
  // After the last field.
  std::optional<Rejection> finish(bool http_1_1) const;

  // Valid after finish() returned nothing.
  std::uint64_t content_length() const { return content_length_.value_or(0); }
  bool chunked() const { return chunked_; }
  bool expects_continue() const { return expects_continue_; }
  const std::string& host() const { return host_; }
  bool keep_alive(bool http_1_1) const { return http_1_1 ? !close_ : keep_alive_ && !close_; }

 private:
  std::optional<Rejection> content_length_field(std::string_view value);
  std::optional<Rejection> transfer_encoding_field(std::string_view value);
  std::optional<Rejection> host_field(std::string_view value);
  void connection_field(std::string_view value);

  std::size_t body_bytes_max_;
  std::optional<std::uint64_t> content_length_;
  std::string host_;
  bool has_host_ = false;
  bool chunked_ = false;
  bool expects_continue_ = false;
  bool close_ = false;
  bool keep_alive_ = false;
};

// ASCII only, whatever the locale.
std::string lower_case(std::string_view text);
bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace vsurge::server
