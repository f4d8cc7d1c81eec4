// HttpServer: HTTP/1.1 (and 1.0) over TCP, TLS and Unix sockets. Knows no JSON and no token;
// sockets and Asio are in http_server.cc alone.
//
// What it promises the handler: only requests that came whole and unambiguous; one request of a
// connection at a time, in order; on_gone() within about 100 ms after the client has closed, 250 ms
// when it has sent bytes of a further request. A client that closes its sending half after the
// request (FIN) counts as gone: it cannot be told from one that left, and no common HTTP client
// does it. An answer given at once still reaches it.
//
// Unsent bytes of a stream are bounded: when a client is behind by stream_behind_bytes the handler
// is told; at stream_buffer_bytes_max, or after write_timeout_ms in which it took nothing, the
// client counts as gone and is cut off.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/http.h"
#include "base/error.h"
#include "base/limits.h"
#include "server/listen_address.h"

namespace vsurge::server {

struct TlsFiles {
  std::string key;          // PEM, without a passphrase
  std::string certificate;  // PEM chain, the server's own first
  // PEM certificates of those who sign clients' certificates; empty = clients need none.
  std::string client_authorities;
  bool client_required = true;  // with authorities: who brings no certificate is turned away
};

// Days until the certificate of files that are in order expires, below 0 afterwards. kUsage and
// kEnvironment as listen() has them.
base::Result<int> check_tls(const TlsFiles& files);

struct ServerOptions {
  std::string host = "127.0.0.1";  // an address, with or without [ ], or a name; empty = none
  std::uint16_t port = 11556;      // 0 = any free one
  std::vector<ListenAddress> listen = {};  // further ones
  int io_threads = 1;
  TlsFiles tls;  // empty key and certificate = plain HTTP
  // Clients may write it before every path, as behind a proxy that passes it on: "/llm".
  std::string root_path;
  base::HttpLimits limits;
};

class HttpServer {
 public:
  // Binds and listens; kEnvironment when it cannot. handler outlives the server. Ignores SIGPIPE
  // in the process and raises its limit of open files towards connections_max.
  static base::Result<std::unique_ptr<HttpServer>> listen(const ServerOptions& options,
                                                          api::HttpHandler& handler);
  virtual ~HttpServer() = default;         // stops
  virtual std::uint16_t port() const = 0;  // of the first TCP listener; 0 = there is none
  // Where clients find it: "http://127.0.0.1:11556", "unix:/run/vsurge.sock"; in the order of the
  // options, host and port first.
  virtual std::vector<std::string> urls(api::Door door) const = 0;
  // Whether every thread has run a task since the last call, which gave it one; true at first. One
  // thread.
  virtual bool beats() = 0;
  // Reads the TLS files anew, for connections from now on; open ones go on. With files that are not
  // in order, all stays as it was. Any thread.
  virtual base::Status reload_tls() = 0;
  virtual void start() = 0;  // threads of its own; returns at once
  // Stops accepting and closes idle connections; waits until the answers in progress are finished,
  // at most that long. True when they are; what is left goes on. stop() from another thread ends
  // the wait. May be called again. Any thread but a handler's.
  virtual bool drain(int timeout_ms) = 0;
  // The same with drain_timeout_ms; then stops.
  virtual void drain() = 0;
  // At once: requests in progress get on_gone(), connections close, threads end. Ends a drain() in
  // another thread, too. Any thread but a handler's.
  virtual void stop() = 0;
  virtual std::size_t connections() const = 0;
};

}  // namespace vsurge::server
