#include "facade/listeners.h"

#include <algorithm>

#include "base/log.h"

namespace vsurge::facade {
namespace {

using server::ListenAddress;

constexpr std::string_view kNoHost = "none";

base::Status add(const std::vector<std::string>& texts, bool admin,
                 std::vector<ListenAddress>& out) {
  for (const std::string& text : texts) {
    ListenAddress address = VSURGE_TRY(server::parse_listen_address(text));
    address.admin = admin;
    const bool twice = std::ranges::any_of(out, [&](const ListenAddress& other) {
      return other.kind == address.kind && other.path == address.path &&
             other.descriptor == address.descriptor &&
             (address.kind != ListenAddress::Kind::kTcp ||
              (other.host == address.host && other.port == address.port && address.port != 0));
    });
    if (twice) {
      return base::fail(base::ErrorCode::kUsage, "listener '{}': expected once, found twice",
                        server::text_of(address));
    }
    out.push_back(std::move(address));
  }
  return {};
}

void warn_of_doors(const server::ServerOptions& options, bool keys) {
  for (const ListenAddress& address : options.listen) {
    if (server::is_local(address)) continue;
    if (address.admin) {
      base::log_warning(
          "admin routes on {}: everyone who can reach it rules this server, without a key",
          server::text_of(address));
    } else if (!keys) {
      base::log_warning(
          "listening on {} without an API key: everyone who can reach it can use "
          "the model",
          server::text_of(address));
    }
  }
}

}  // namespace

base::Status set_listeners(const FireOptions& fire, server::ServerOptions& out) {
  out.host = fire.host == kNoHost ? "" : fire.host;
  out.port = fire.port;
  VSURGE_TRY(add(fire.listen, false, out.listen));
  VSURGE_TRY(add(fire.admin_listen, true, out.listen));
  const bool has_files = !fire.ssl_certfile.empty();
  for (const ListenAddress& address : out.listen) {
    if (address.tls.value_or(false) && !has_files) {
      return base::fail(base::ErrorCode::kUsage,
                        "listener '{}': tls expects ssl_keyfile and ssl_certfile",
                        server::text_of(address));
    }
  }
  if (out.host.empty() && fire.listen.empty()) {
    return base::fail(base::ErrorCode::kUsage, "host '{}': expected with another listener",
                      fire.host);
  }
  return {};
}

std::string tell_listeners(const FireOptions& fire, const server::HttpServer& server, bool keys) {
  server::ServerOptions options;
  if (!set_listeners(fire, options)) return {};  // it was told before the server was made
  if (!options.host.empty()) {
    ListenAddress main;
    main.host = options.host;
    main.port = server.port();
    options.listen.insert(options.listen.begin(), main);
  }
  warn_of_doors(options, keys);
  const auto urls = server.urls(api::Door::kPublic);
  for (std::size_t i = 1; i < urls.size(); ++i) base::log_info("also listening on {}", urls[i]);
  for (const auto& url : server.urls(api::Door::kAdmin)) base::log_info("admin routes on {}", url);
  if (options.host.empty()) return urls.front();
  const std::string host = fire.host == "0.0.0.0" ? "127.0.0.1" : fire.host;
  return fmt::format(
      "{}://{}:{}", fire.ssl_keyfile.empty() ? "http" : "https",
      host.find(':') == std::string::npos || host.front() == '[' ? host : "[" + host + "]",
      server.port());
}

}  // namespace vsurge::facade
