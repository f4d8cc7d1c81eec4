#include "server/head_rules.h"

#include <algorithm>
#include <charconv>

namespace vsurge::server {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-._~%!$&'()*+,;=:[]").find(c) != std::string_view::npos;
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), lower);
  return out;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

std::optional<Rejection> HeadRules::field(std::string_view name, std::string_view value) {
  if (name == "content-length") return content_length_field(value);
  if (name == "transfer-encoding") return transfer_encoding_field(value);
  if (name == "host") return host_field(value);
  if (name == "connection") {
    connection_field(value);
  } else if (name == "expect") {
    if (!equal_ignoring_case(value, "100-continue")) {
      return Rejection{417, "only 'Expect: 100-continue' is supported"};
    }
    expects_continue_ = true;
  } else if (name == "content_length" || name == "transfer_encoding") {
    // Gateways in the CGI tradition take '_' for '-': never let such a name through.
    return Rejection{400, "a header field's name imitates a framing field"};
  }
  return std::nullopt;
}

std::optional<Rejection> HeadRules::finish(bool http_1_1) const {
  if (http_1_1 && !has_host_) return Rejection{400, "the request has no Host header"};
  if (chunked_ && content_length_) {
    return Rejection{400, "the request has both Transfer-Encoding and Content-Length"};
  }
  if (chunked_ && !http_1_1) return Rejection{400, "Transfer-Encoding in an HTTP/1.0 request"};
  if (content_length() > body_bytes_max_) {
    return Rejection{413, "the request body is larger than this server accepts (" +
                              std::to_string(body_bytes_max_) + " bytes)"};
  }
  return std::nullopt;
}

std::optional<Rejection> HeadRules::content_length_field(std::string_view value) {
  if (content_length_) return Rejection{400, "the request has more than one Content-Length"};
  std::uint64_t length = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
  const bool digits =
      !value.empty() && std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
  if (!digits) return Rejection{400, "Content-Length is not a number"};
  if (error != std::errc{}) length = UINT64_MAX;  // too many digits: refused as too large
  content_length_ = length;
  return std::nullopt;
}

std::optional<Rejection> HeadRules::transfer_encoding_field(std::string_view value) {
  if (chunked_) return Rejection{400, "the request has more than one Transfer-Encoding"};
  if (equal_ignoring_case(value, "chunked")) {
    chunked_ = true;
    return std::nullopt;
  }
  const auto last = trimmed(value.substr(value.rfind(',') + 1));
  if (value.find(',') != std::string_view::npos && equal_ignoring_case(last, "chunked") &&
      !equal_ignoring_case(trimmed(value.substr(0, value.find(','))), "chunked")) {
    return Rejection{501, "transfer codings other than chunked are not supported"};
  }
  return Rejection{400, "Transfer-Encoding is not 'chunked'"};
}

std::optional<Rejection> HeadRules::host_field(std::string_view value) {
  if (has_host_) return Rejection{400, "the request has more than one Host header"};
  if (!std::ranges::all_of(value, is_host_char))
    return Rejection{400, "the Host header is not valid"};
  has_host_ = true;
  host_ = value;
  return std::nullopt;
}

void HeadRules::connection_field(std::string_view value) {
  while (!value.empty()) {
    const auto comma = value.find(',');
    const auto token = trimmed(value.substr(0, comma));
    if (equal_ignoring_case(token, "close")) close_ = true;
    if (equal_ignoring_case(token, "keep-alive")) keep_alive_ = true;
    value = comma == std::string_view::npos ? std::string_view{} : value.substr(comma + 1);
  }
}

}  // namespace vsurge::server
