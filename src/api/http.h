// The meeting place of api and server: an HTTP request that came whole, and how to answer it.
// Plain types; nothing of the transport.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/task_queue.h"

namespace vsurge::api {

using Headers = std::vector<std::pair<std::string, std::string>>;

// Which kind of listener a request came by: for everybody, or for those who rule the server.
enum class Door : std::uint8_t { kPublic, kAdmin };

struct HttpRequest {
  std::string method;  // "GET"
  std::string path;    // decoded, without the query: "/v1/models/a b"
  std::string query;   // as sent, without '?'
  Headers headers;     // names in lower case
  std::string body;
  std::string peer;  // address of the client, or "unix:UID" where it has none
  Door door = Door::kPublic;

  std::string_view header(std::string_view lower_case_name) const {
    for (const auto& [name, value] : headers) {
      if (name == lower_case_name) return value;
    }
    return {};
  }
};

// The answer to one request; implemented by server. Callable from any thread; calls after the
// client has gone do nothing. Either send() once, or begin_stream(), any number of write(), end().
class Responder {
 public:
  virtual ~Responder() = default;
  virtual void send(int status, Headers headers, std::string body) = 0;
  virtual void begin_stream(int status, Headers headers) = 0;
  virtual void write(std::string bytes) = 0;  // writes of one turn of the executor leave together
  virtual void end() = 0;
  // Ends a stream that cannot be finished: the connection closes without the stream's proper end.
  virtual void abort() = 0;
  // The connection's executor, the thread on which callbacks run; lives as long as the responder.
  virtual TaskQueue& queue() = 0;
  void post(std::function<void()> task) { queue().post(std::move(task)); }
  // `callback` runs once, on the connection's executor, when the client has gone (or reads too
  // slowly, or the server stops) before the answer is complete. Never after end() or send().
  virtual void on_gone(std::function<void()> callback) = 0;
  // `callback` runs on the connection's executor with true when the client is far behind a stream,
  // and with false when it has caught up; perhaps from within write(). Never after end().
  virtual void on_pressure(std::function<void(bool behind)> callback) = 0;
  // `callback` runs on the connection's executor whenever nothing was written for `after_ms`,
  // about, until the answer is complete. Never after end() or send().
  virtual void on_quiet(int after_ms, std::function<void()> callback) = 0;
};

// Implemented by api::Service. Called on a connection's executor; must not block.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  virtual void handle(HttpRequest request, std::shared_ptr<Responder> responder) = 0;
  // An answer to what never became a request (bad HTTP, too large, timeout): body of the error.
  // `peer` as in HttpRequest.
  virtual std::string error_body(int status, std::string_view message, std::string_view peer) = 0;
};

}  // namespace vsurge::api
