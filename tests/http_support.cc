#include "tests/http_support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstring>
#include <thread>

namespace vsurge::test {
namespace {

constexpr int kPatienceMs = 20'000;  // sanitizers on a busy machine are slow

}  // namespace

void SteeredHandler::handle(api::HttpRequest request, std::shared_ptr<api::Responder> responder) {
  if (request.path == "/drop") return;
  if (request.path == "/origin") {
    const bool admin = request.door == api::Door::kAdmin;
    return responder->send(200, {}, request.peer + (admin ? " admin" : " public"));
  }
  if (request.path == "/stream") {
    responder->begin_stream(200, {{"Content-Type", "text/event-stream"}});
    for (int i = 0; i < std::stoi(request.query); ++i) {
      responder->write("data: " + std::to_string(i) + "\n\n");
    }
    responder->end();
    return;
  }
  if (request.path.starts_with("/hold")) {
    responder->on_gone([this] {
      const std::lock_guard lock(mutex_);
      ++gone_;
      changed_.notify_all();
    });
    const std::lock_guard lock(mutex_);
    held_.push_back({std::move(request), std::move(responder)});
    changed_.notify_all();
    return;
  }
  std::string body = request.method + " " + request.path + "?" + request.query + "\n";
  for (const auto& [name, value] : request.headers) body += name + "=" + value + "\n";
  responder->send(200, {{"Content-Type", "text/plain"}}, body + "\n" + request.body);
}

std::string SteeredHandler::error_body(int status, std::string_view message,
                                       std::string_view /*peer*/) {
  return "{\"error\":" + std::to_string(status) + ",\"message\":\"" + std::string(message) + "\"}";
}

SteeredHandler::Held SteeredHandler::take() {
  std::unique_lock lock(mutex_);
  const bool there = changed_.wait_for(lock, std::chrono::milliseconds(kPatienceMs),
                                       [&] { return !held_.empty(); });
  if (!there) return {};
  Held first = std::move(held_.front());
  held_.erase(held_.begin());
  return first;
}

bool SteeredHandler::wait_gone(int count, int within_ms) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::milliseconds(within_ms),
                           [&] { return gone_ >= count; });
}

int SteeredHandler::gone() const {
  const std::lock_guard lock(mutex_);
  return gone_;
}

Client::Client(std::uint16_t port, int receive_buffer) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return;
  if (receive_buffer > 0) {
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) close();
}

Client::Client(const std::string& unix_path) {
  fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, unix_path.data(), unix_path.size());
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) close();
}

Client::~Client() {
  close();
}

void Client::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void Client::half_close() {
  shutdown(fd_, SHUT_WR);
}

void Client::reset() {
  const linger hard{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close();
}

bool Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

bool Client::fill(int within_ms) {
  if (eof_ || fd_ < 0) return false;
  pollfd state{fd_, POLLIN, 0};
  if (poll(&state, 1, within_ms) <= 0) return false;
  std::string room(65536, '\0');
  const auto count = recv(fd_, room.data(), room.size(), 0);
  if (count <= 0) {
    eof_ = true;
    return false;
  }
  buffer_.append(room, 0, static_cast<std::size_t>(count));
  return true;
}

std::optional<std::string> Client::read_line() {
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n")) == std::string::npos) {
    if (!fill(kPatienceMs)) return std::nullopt;
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return line;
}

bool Client::read_bytes(std::size_t count, std::string& out) {
  while (buffer_.size() < count) {
    if (!fill(kPatienceMs)) return false;
  }
  out = buffer_.substr(0, count);
  buffer_.erase(0, count);
  return true;
}

Response Client::read_response(bool head) {
  Response response;
  const auto status = read_line();
  if (!status || status->size() < 12) return response;
  response.status = std::stoi(status->substr(9, 3));
  for (auto line = read_line(); line && !line->empty(); line = read_line()) {
    const auto colon = line->find(": ");
    std::string name = line->substr(0, colon);
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    response.headers[name] = line->substr(colon + 2);
  }
  if (response.status == 100) return response;
  if (head) {
    response.whole = true;
  } else if (response.headers.contains("transfer-encoding")) {
    for (;;) {
      const auto size_line = read_line();
      if (!size_line) break;
      const auto size = std::stoul(*size_line, nullptr, 16);
      std::string chunk;
      if (!read_bytes(size + 2, chunk)) break;
      if (size == 0) {
        response.whole = true;
        break;
      }
      response.chunks.push_back(chunk.substr(0, size));
      response.body += response.chunks.back();
    }
  } else if (response.headers.contains("content-length")) {
    response.whole = read_bytes(std::stoul(response.headers["content-length"]), response.body);
  } else {
    response.body = read_to_end(kPatienceMs, &response.whole);
  }
  return response;
}

Response Client::get(const std::string& target) {
  if (!send(get_request(target))) return {};
  return read_response();
}

std::string Client::read_to_end(int within_ms, bool* closed) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(within_ms);
  while (!eof_ && std::chrono::steady_clock::now() < end) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    fill(static_cast<int>(left.count()) + 1);
  }
  if (closed != nullptr) *closed = eof_;
  return std::exchange(buffer_, {});
}

bool Client::wait_closed(int within_ms) {
  bool closed = false;
  read_to_end(within_ms, &closed);
  return closed;
}

std::string get_request(const std::string& target, const std::string& more_headers) {
  return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + more_headers + "\r\n";
}

std::string post_request(const std::string& target, const std::string& body) {
  return "POST " + target +
         " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

TestServer::TestServer(const std::function<void(server::ServerOptions&)>& change) {
  server::ServerOptions options;
  options.port = 0;
  if (change) change(options);
  auto made = server::HttpServer::listen(options, handler);
  if (!made) {
    ADD_FAILURE() << made.error().message;
    return;
  }
  http = std::move(*made);
  http->start();
}

bool eventually(const std::function<bool()>& condition, int within_ms) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(within_ms);
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return condition();
}

}  // namespace vsurge::test
