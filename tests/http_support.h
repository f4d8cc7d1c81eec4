// For tests of the HTTP server: a handler that the test steers, and a client on a raw socket.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/http.h"
#include "server/http_server.h"

namespace vsurge::test {

// /echo answers at once with what came, /origin with who came by which door. /hold keeps the
// Responder until the test takes it. /drop forgets it. /stream?N writes N frames "data: i\n\n" and
// ends, all in one turn.
class SteeredHandler final : public api::HttpHandler {
 public:
  struct Held {
    api::HttpRequest request;
    std::shared_ptr<api::Responder> responder;
  };

  void handle(api::HttpRequest request, std::shared_ptr<api::Responder> responder) override;
  std::string error_body(int status, std::string_view message, std::string_view peer) override;
  // Waits for the next /hold request.
  Held take();
  // Waits until `count` requests in all told that their client has gone; false after the time.
  bool wait_gone(int count, int within_ms);
  int gone() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Held> held_;
  int gone_ = 0;
};

struct Response {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // chunks joined
  std::vector<std::string> chunks;
  bool whole = false;  // came to its proper end
};

class Client {
 public:
  explicit Client(std::uint16_t port, int receive_buffer = 0);
  explicit Client(const std::string& unix_path);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  bool send(std::string_view bytes);
  Response read_response(bool head = false);
  // Request and answer of a GET.
  Response get(const std::string& target);
  // What comes until the server closes, or the time is over; `closed` says which.
  std::string read_to_end(int within_ms, bool* closed = nullptr);
  bool wait_closed(int within_ms);
  void half_close();
  void close();
  void reset();  // RST

 private:
  bool fill(int within_ms);
  std::optional<std::string> read_line();
  bool read_bytes(std::size_t count, std::string& out);

  int fd_ = -1;
  bool eof_ = false;
  std::string buffer_;
};

std::string get_request(const std::string& target, const std::string& more_headers = "");
std::string post_request(const std::string& target, const std::string& body);

// A server with short limits on a free port, started.
struct TestServer {
  explicit TestServer(const std::function<void(server::ServerOptions&)>& change = {});
  std::uint16_t port() const { return http->port(); }
  SteeredHandler handler;
  std::unique_ptr<server::HttpServer> http;
};

bool eventually(const std::function<bool()>& condition, int within_ms = 2000);

}  // namespace vsurge::test
