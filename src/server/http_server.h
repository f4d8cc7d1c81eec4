// HttpServer: HTTP/1.1 on Boost.Beast. Knows no JSON and no token; everything of Asio and Beast is
// in http_server.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "api/http.h"
#include "base/error.h"
#include "base/limits.h"

namespace vsurge::server {

struct ServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 11556;  // 0 = any free one
  int io_threads = 1;
  std::string ssl_keyfile;  // both or neither
  std::string ssl_certfile;
  base::HttpLimits limits;
};

class HttpServer {
 public:
  // Binds and listens; kEnvironment when it cannot. handler outlives the server.
  static base::Result<std::unique_ptr<HttpServer>> listen(const ServerOptions& options,
                                                          api::HttpHandler& handler);
  virtual ~HttpServer() = default;
  virtual std::uint16_t port() const = 0;
  virtual void start() = 0;  // threads of its own; returns at once
  // Stops accepting, lets answers in progress finish within drain_timeout_ms, then closes.
  virtual void drain() = 0;
  virtual void stop() = 0;  // at once
  virtual std::size_t connections() const = 0;
};

}  // namespace vsurge::server
