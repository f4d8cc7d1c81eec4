#include "server/listen_address.h"

#include <sys/un.h>

#include <charconv>
#include <limits>
#include <string_view>

#include "base/escape.h"

namespace vsurge::server {
namespace {

using base::ErrorCode;
using base::fail;

constexpr std::size_t kPathBytesMax = sizeof(sockaddr_un::sun_path) - 1;
constexpr std::uint32_t kModeMax = 0777;

std::unexpected<base::Error> wrong(std::string_view text, std::string_view expected) {
  return fail(ErrorCode::kUsage, "listener '{}': expected {}",
              base::shorten(base::escape_for_line(text), 200), expected);
}

template <class T>
std::optional<T> number_of(std::string_view text, int base_of_digits = 10) {
  T number{};
  const auto [rest, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, base_of_digits);
  if (error != std::errc() || rest != text.data() + text.size()) return std::nullopt;
  return number;
}

// The text up to `mark`, which it loses with it.
std::string_view take_until(std::string_view& text, char mark) {
  const std::size_t at = text.find(mark);
  const std::string_view head = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
  return head;
}

bool set_tcp(std::string_view place, ListenAddress& out) {
  const std::size_t colon = place.rfind(':');
  if (colon == std::string_view::npos) return false;
  const auto port = number_of<std::uint16_t>(place.substr(colon + 1));
  std::string_view host = place.substr(0, colon);
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (!port || host.empty() || (!brackets && host.find(':') != std::string_view::npos)) {
    return false;
  }
  out.kind = ListenAddress::Kind::kTcp;
  out.host = host;
  out.port = *port;
  return true;
}

bool set_descriptor(std::string_view place, ListenAddress& out) {
  const auto number = number_of<int>(place);
  if (!number || *number < 0) return false;
  out.kind = ListenAddress::Kind::kDescriptor;
  out.descriptor = *number;
  return true;
}

bool set_option(std::string_view option, ListenAddress& out) {
  if (option == "tls" || option == "plain") {
    out.tls = option == "tls";
    return true;
  }
  constexpr std::string_view kMode = "mode=";
  if (!option.starts_with(kMode) || out.kind != ListenAddress::Kind::kUnix) return false;
  const auto mode = number_of<std::uint32_t>(option.substr(kMode.size()), 8);
  if (!mode || *mode > kModeMax) return false;
  out.mode = *mode;
  return true;
}

}  // namespace

base::Result<ListenAddress> parse_listen_address(const std::string& text) {
  std::string_view rest = text;
  std::string_view place = take_until(rest, ',');
  const std::string_view kind = take_until(place, ':');
  ListenAddress out;
  if (kind == "tcp") {
    if (!set_tcp(place, out)) return wrong(text, "tcp:HOST:PORT, an IPv6 address in brackets");
  } else if (kind == "unix") {
    if (place.empty() || place.size() > kPathBytesMax || place.front() == '@' ||
        place.find('\0') != std::string_view::npos) {
      return wrong(text, fmt::format("unix:PATH of 1 to {} bytes", kPathBytesMax));
    }
    out.kind = ListenAddress::Kind::kUnix;
    out.path = place;
  } else if (kind == "fd") {
    if (!set_descriptor(place, out)) return wrong(text, "fd:NUMBER");
  } else {
    return wrong(text, "tcp:HOST:PORT, unix:PATH or fd:NUMBER");
  }
  while (!rest.empty()) {
    if (!set_option(take_until(rest, ','), out)) {
      return wrong(text, "behind a comma tls, plain, or of unix mode=OCTAL up to 777");
    }
  }
  return out;
}

std::string text_of(const ListenAddress& address) {
  switch (address.kind) {
    case ListenAddress::Kind::kTcp: {
      const bool bare = address.host.find(':') != std::string::npos && address.host.front() != '[';
      return fmt::format("tcp:{}:{}", bare ? "[" + address.host + "]" : address.host, address.port);
    }
    case ListenAddress::Kind::kUnix:
      return "unix:" + address.path;
    case ListenAddress::Kind::kDescriptor:
      return fmt::format("fd:{}", address.descriptor);
  }
  return {};
}

bool is_local(const ListenAddress& address) {
  const std::string& host = address.host;
  switch (address.kind) {
    case ListenAddress::Kind::kTcp:
      return host == "localhost" || host == "::1" || host == "[::1]" || host.starts_with("127.");
    case ListenAddress::Kind::kUnix:
      return true;
    case ListenAddress::Kind::kDescriptor:
      return false;
  }
  return false;
}

}  // namespace vsurge::server
