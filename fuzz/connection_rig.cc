#include "connection_rig.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/error.h"

namespace vsurge::fuzz {
namespace {

constexpr int kBufferBytes = 4096;  // little, so that writes are partial
constexpr std::size_t kBigBytes = 48 * base::kKiB;

// One for all inputs: making one costs more than an input.
const std::shared_ptr<server::Worker>& worker() {
  static const auto instance = std::make_shared<server::Worker>(small_limits());
  return instance;
}

}  // namespace

base::HttpLimits small_limits() {
  base::HttpLimits limits;
  limits.request_target_bytes_max = 64;
  limits.header_bytes_max = 512;
  limits.header_fields_max = 8;
  limits.body_bytes_max = 256;
  limits.requests_per_connection_max = 5;
  return limits;
}

std::string error_text(int status) {
  return "error " + std::to_string(status);
}

Reply reply_to(const api::HttpRequest& request) {
  Reply reply;
  reply.body = request.method + " " + request.path + "?" + request.query + "\n" + request.body;
  const std::string_view path = request.path;
  const auto asks = [&](std::string_view what) { return path.find(what) != path.npos; };
  reply.stream = asks("s");
  reply.aborted = reply.stream && asks("a");
  reply.dropped = !reply.stream && asks("d");
  reply.waits = asks("w");
  if (asks("b")) reply.body.append(kBigBytes, 'b');
  return reply;
}

Rig::Rig() {
  server::ServerOptions options;
  options.limits = small_limits();
  shared_ = std::make_shared<server::Shared>(options, *this);
  int ends[2];
  CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  client_ = ends[0];
  ::setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &kBufferBytes, sizeof kBufferBytes);
  server::Socket socket(worker()->io().get_executor(), {AF_UNIX, 0}, ends[1]);
  ++shared_->open;
  const auto connection = std::make_shared<server::Connection>(
      shared_, worker(), std::move(socket), server::Origin{.peer = "p", .client = ""}, false);
  connection_ = connection;
  worker()->run([connection] { connection->run(); });
}

Rig::~Rig() {
  const bool waits = waiting_ != nullptr;
  ::close(client_);
  worker()->poll();
  worker()->for_each(&server::Connection::look_for_end);
  worker()->poll();
  CHECK(shared_->open == 0 && shared_->bodies_bytes == 0 && shared_->refusals == 0);
  CHECK(!waits || *gone_ == 1);                  // it was told, and once
  if (waits) finish(*waiting_, waiting_reply_);  // too late, and no harm
  waiting_.reset();
  worker()->poll();
  CHECK(connection_.expired());
}

void Rig::send(std::string_view bytes) {
  while (!bytes.empty() && !closed_) {
    const auto count = ::send(client_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
      continue;
    }
    if (errno != EAGAIN) return;  // the server has closed
    settle();
    if (!release() && closed_) return;
  }
}

void Rig::half_close() {
  ::shutdown(client_, SHUT_WR);
}

bool Rig::receive() {
  char room[16384];
  const auto count = ::recv(client_, room, sizeof room, 0);
  if (count > 0) received_.append(room, static_cast<std::size_t>(count));
  if (count == 0) closed_ = true;
  if (count < 0 && errno != EAGAIN) closed_ = true;  // a reset, behind all that came
  return count > 0;
}

void Rig::settle() {
  while (worker()->poll() > 0 || receive()) {
  }
}

bool Rig::release() {
  if (waiting_ == nullptr) return false;
  finish(*std::exchange(waiting_, nullptr), waiting_reply_);
  settle();
  return true;
}

void Rig::handle(api::HttpRequest request, std::shared_ptr<api::Responder> responder) {
  CHECK(waiting_ == nullptr || *gone_ > 0);  // one at a time
  const Reply reply = reply_to(request);
  if (reply.dropped) return;
  if (reply.stream) {
    responder->begin_stream(200, {{"Content-Type", "text/plain"}});
    responder->write(reply.body.substr(0, reply.body.size() / 2));
  }
  if (!reply.waits) return finish(*responder, reply);
  *gone_ = 0;
  responder->on_gone([gone = gone_] { ++*gone; });
  waiting_ = std::move(responder);
  waiting_reply_ = reply;
}

void Rig::finish(api::Responder& responder, const Reply& reply) {
  if (!reply.stream) return responder.send(200, {{"X-A", "b"}}, reply.body);
  responder.write(reply.body.substr(reply.body.size() / 2));
  reply.aborted ? responder.abort() : responder.end();
}

std::string Rig::error_body(int status, std::string_view /*message*/, std::string_view /*peer*/) {
  return error_text(status);
}

}  // namespace vsurge::fuzz
