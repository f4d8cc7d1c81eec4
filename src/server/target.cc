#include "server/target.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/escape.h"
#include "server/head_rules.h"

namespace vsurge::server {
namespace {

std::unexpected<Rejection> bad(std::string_view message) {
  return std::unexpected(Rejection{400, std::string(message)});
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

bool is_clean_text(std::string_view text) {
  while (!text.empty()) {
    const auto first = static_cast<std::uint8_t>(text.front());
    const std::size_t length = base::utf8_length(text);
    if (length == 0 || first < 0x20 || first == 0x7f) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace

std::expected<Target, Rejection> parse_target(std::string_view method, std::string_view target,
                                              std::string_view host) {
  const bool ascii = std::ranges::all_of(target, [](char c) { return c > 0x20 && c < 0x7f; });
  if (!ascii || target.empty()) return bad("the request target holds characters it may not hold");
  if (target.find('#') != std::string_view::npos) return bad("the request target has a fragment");
  if (target == "*") {
    if (method != "OPTIONS") return bad("the request target '*' is for OPTIONS only");
    return Target{"*", {}};
  }
  if (target.front() != '/') {
    const std::size_t scheme_end = target.find("://");
    const auto scheme = target.substr(0, scheme_end == std::string_view::npos ? 0 : scheme_end);
    if (!equal_ignoring_case(scheme, "http") && !equal_ignoring_case(scheme, "https")) {
      return bad("the request target is not a path");
    }
    target.remove_prefix(scheme_end + 3);
    const std::size_t authority_end = std::min(target.find_first_of("/?"), target.size());
    if (host.empty() || !equal_ignoring_case(target.substr(0, authority_end), host)) {
      return bad("the request target names another host than the Host header");
    }
    target.remove_prefix(authority_end);
  }
  Target out;
  const std::size_t question = target.find('?');
  if (question != std::string_view::npos) out.query = target.substr(question + 1);
  auto path = percent_decode(target.substr(0, question));
  if (!path) return bad("the request target has a bad percent escape");
  if (!is_clean_text(*path)) return bad("the path of the request target is not clean UTF-8 text");
  out.path = path->empty() ? "/" : std::move(*path);
  return out;
}

}  // namespace vsurge::server
