#include "server/connection.h"

#include <poll.h>

#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "server/response_head.h"

namespace vsurge::server {
namespace {

constexpr auto kRestAfter = milliseconds(1000);   // of idleness
constexpr auto kLingerTime = milliseconds(2000);  // for the client to see the answer's end
constexpr std::size_t kLingerBytesMax = 16 * base::kMiB;

void remove_root(std::string& path, const std::string& root) {
  if (root.empty() || !path.starts_with(root)) return;
  if (path.size() == root.size()) {
    path = "/";
  } else if (path[root.size()] == '/') {
    path.erase(0, root.size());
  }
}

// The handler's end of one answer. The last reference may die on any thread.
class Exchange final : public api::Responder {
 public:
  Exchange(std::shared_ptr<Connection> connection, std::uint64_t id)
      : connection_(std::move(connection)), id_(id) {}
  ~Exchange() override {
    if (finished_) return;
    connection_->worker().run(
        [connection = connection_, id = id_] { connection->answer_dropped(id); });
  }

  void send(int status, api::Headers headers, std::string body) override {
    finished_ = true;
    on_worker([status, headers = std::move(headers), body = std::move(body),
               id = id_](Connection& c) mutable { c.answer_send(id, status, headers, body); });
  }
  void begin_stream(int status, api::Headers headers) override {
    on_worker([status, headers = std::move(headers), id = id_](Connection& c) {
      c.answer_begin(id, status, headers);
    });
  }
  void write(std::string bytes) override {
    on_worker([bytes = std::move(bytes), id = id_](Connection& c) { c.answer_write(id, bytes); });
  }
  void end() override { finish(false); }
  void abort() override { finish(true); }
  api::TaskQueue& queue() override { return connection_->worker(); }
  void on_gone(std::function<void()> callback) override {
    on_worker([callback = std::move(callback), id = id_](Connection& c) mutable {
      c.answer_on_gone(id, std::move(callback));
    });
  }

  void on_pressure(std::function<void(bool)> callback) override {
    on_worker([callback = std::move(callback), id = id_](Connection& c) mutable {
      c.answer_on_pressure(id, std::move(callback));
    });
  }
  void on_quiet(int after_ms, std::function<void()> callback) override {
    on_worker([after_ms, callback = std::move(callback), id = id_](Connection& c) mutable {
      c.answer_on_quiet(id, after_ms, std::move(callback));
    });
  }

 private:
  void finish(bool aborted) {
    finished_ = true;
    on_worker([aborted, id = id_](Connection& c) { c.answer_end(id, aborted); });
  }

  template <class F>
  void on_worker(F action) {
    if (connection_->worker().on_this_thread()) {
      action(*connection_);
    } else {
      connection_->worker().run([connection = connection_, action = std::move(action)]() mutable {
        action(*connection);
      });
    }
  }

  std::shared_ptr<Connection> connection_;
  std::uint64_t id_;
  std::atomic<bool> finished_{false};
};

}  // namespace

// ---- Connection: its life

void Connection::run() {
  worker_->add(this);
  asio::co_spawn(worker_->io(), live(),
                 [self = shared_from_this()](const std::exception_ptr& thrown) {
                   if (thrown) base::log_error("server: a connection ended by an exception");
                   self->close();
                 });
}

Task<void> Connection::live() {
  After after = After::kNext;
  if (refuse_) {
    after = co_await refuse();
  } else if (origin_.tls) {
    const auto tls = shared_->current_tls();
    phase_ = Phase::kReading;
    set_deadline(limits_.header_timeout_ms);
    if (co_await stream_->handshake(*tls)) after = After::kClose;
  }
  while (after == After::kNext) {
    after = co_await read_request();
    if (after == After::kNext) after = co_await answer_request();
  }
  if (after == After::kLinger && !stopped_) co_await linger();
}

void Connection::close() {
  if (phase_ == Phase::kAnswering) client_gone("the connection ended");
  phase_ = Phase::kClosed;
  count_body(0);
  shared_->addresses.give_back(std::exchange(origin_.client, {}));
  IoError ignored;
  if (reset_) stream_->socket().set_option(asio::socket_base::linger(true, 0), ignored);
  stream_->socket().close(ignored);
  ++watch_id_;
  stream_.reset();
  signal_.reset();
  worker_->remove(this);
  shared_->count_closed(refuse_);
}

Task<Connection::After> Connection::read_request() {
  using State = RequestReader::State;
  phase_ = Phase::kIdle;
  idle_since_ = Clock::now();
  rests_ = false;
  set_deadline(requests_ == 0 ? limits_.header_timeout_ms : limits_.keep_alive_timeout_ms);
  bool body = false;
  auto state = reader_.next();
  while (state != State::kComplete) {
    if (state == State::kRejected) {
      Rejection why = reader_.rejection();
      co_return co_await reject(std::move(why));
    }
    if (state == State::kHead && phase_ == Phase::kIdle) {
      phase_ = Phase::kReading;
      set_deadline(limits_.header_timeout_ms);
    }
    if (state == State::kBody && !std::exchange(body, true)) {
      phase_ = Phase::kReading;
      body_begin_ = Clock::now();
      if (reader_.wants_continue()) {
        std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        const bool written = co_await write_all(std::move(go_on));
        if (!written) co_return After::kClose;
      }
    }
    if (body && !count_body(reader_.body_bytes())) {
      reader_.take_request();  // frees it at once: one refusal makes room for the others
      count_body(0);
      Rejection full{503, "too many request bodies are being read; try again later"};
      co_return co_await reject(std::move(full));
    }
    if (body) set_body_deadline();
    if (phase_ == Phase::kIdle && shared_->draining) co_return After::kClose;
    if (phase_ == Phase::kIdle && stream_->is_tls()) reader_.release();
    const auto [error, count] = co_await stream_->read_some(reader_.prepare());
    const bool told_to_rest = rests_ && error == asio::error::operation_aborted;
    if (told_to_rest && !timed_out_ && !shared_->draining) {
      if (co_await rest()) co_return After::kClose;
      continue;
    }
    if (timed_out_ && phase_ == Phase::kReading) {
      Rejection late{408, body ? "the request body did not come in time"
                               : "the request header did not come in time"};
      co_return co_await reject(std::move(late));
    }
    if (error || timed_out_) co_return After::kClose;
    state = reader_.commit(count);
  }
  co_return After::kNext;
}

// A connection in use reads straight into its buffer. Thousands are idle for long: after a second
// of that their buffers go, and what comes then is waited for without one.
Task<IoError> Connection::rest() {
  reader_.release();
  answer_ = Answer{};
  auto [error] = co_await stream_->socket().async_wait(Socket::wait_read, kAwait);
  co_return timed_out_ ? asio::error::timed_out : error;
}

// False when all bodies together would be too large.
bool Connection::count_body(std::size_t bytes) {
  const std::size_t sum = shared_->bodies_bytes += bytes - body_bytes_;  // modulo 2^64: may shrink
  const bool grew = bytes > body_bytes_;
  body_bytes_ = bytes;
  return !grew || sum <= limits_.bodies_bytes_max;
}

// A body must come at the least rate, after a grace, and whole before its timeout.
void Connection::set_body_deadline() {
  const auto earned = 1000 * static_cast<std::int64_t>(body_bytes_) /
                      std::max(1, limits_.body_bytes_per_second_min);
  const auto allowed =
      std::min<std::int64_t>(limits_.body_timeout_ms, limits_.body_grace_ms + earned);
  deadline_ = body_begin_ + milliseconds(allowed);
}

Task<Connection::After> Connection::answer_request() {
  phase_ = Phase::kAnswering;
  deadline_ = Clock::time_point::max();
  ++requests_;
  answer_ = Answer{};
  answer_.id = requests_;
  answer_.wrote = Clock::now();
  auto request = reader_.take_request();
  count_body(0);
  request.peer = origin_.peer;
  request.door = origin_.door;
  remove_root(request.path, shared_->options.root_path);
  try {
    shared_->handler->handle(std::move(request),
                             std::make_shared<Exchange>(shared_from_this(), answer_.id));
  } catch (const std::exception& error) {  // then the Exchange has been dropped, or will be
    base::log_error("server: the handler threw: {}", error.what());
  }
  if (!answer_.ended) watch();
  while (!gone_) {
    std::string bytes = collect();
    if (!bytes.empty()) {
      const bool written = co_await write_all(std::move(bytes));
      if (!written) client_gone("writing failed");
      tell_pressure();
    } else if (answer_.ended) {
      break;
    } else {
      co_await signal_->async_wait(kAwait);
    }
  }
  unwatch();
  if (gone_) co_return After::kClose;
  if (answer_.aborted && !answer_.chunked) {
    reset_ = true;  // without chunks only a reset tells the client that the end is missing
    co_return After::kClose;
  }
  co_return answer_.keep_alive && !answer_.aborted ? After::kNext : After::kLinger;
}

// An answer to what never became a request; the connection closes after it.
Task<Connection::After> Connection::reject(Rejection rejection) {
  phase_ = Phase::kLingering;
  timed_out_ = false;
  deadline_ = Clock::time_point::max();
  base::log_debug("server: {} to {}: {}", rejection.status, origin_.peer, rejection.message);
  const std::string body =
      shared_->handler->error_body(rejection.status, rejection.message, origin_.peer);
  ResponseHead head;
  head.status = rejection.status;
  head.keep_alive = false;
  head.content_length = body.size();
  head.unix_seconds = base::unix_seconds();
  api::Headers headers = {{"Content-Type", "application/json"}};
  if (rejection.status == 503) headers.emplace_back("Retry-After", "1");
  std::string bytes = response_head(head, headers);
  if (!reader_.is_head()) bytes += body;
  const bool written = co_await write_all(std::move(bytes));
  co_return written ? After::kLinger : After::kClose;
}

Task<Connection::After> Connection::refuse() {
  if (origin_.tls) co_return After::kClose;  // a handshake costs too much to say no
  Rejection full{503, "too many connections; try again later"};
  co_return co_await reject(std::move(full));
}

Task<bool> Connection::write_all(std::string bytes) {
  std::string_view left = bytes;
  progress_ = Clock::now();
  bool good = true;
  while (good && !left.empty()) {
    writing_ = true;
    const auto [error, count] = co_await stream_->write_some(left);
    good = !error;
    left.remove_prefix(count);
    progress_ = Clock::now();
  }
  writing_ = false;
  co_return good;
}

// Closing with unread input makes the kernel reset the connection, and the client may lose the
// answer: so say that nothing more comes, and read on for a moment.
Task<void> Connection::linger() {
  phase_ = Phase::kLingering;
  timed_out_ = false;
  deadline_ = Clock::now() + kLingerTime;
  co_await stream_->shut_down_sending();
  std::vector<char> room(16 * base::kKiB);
  std::size_t total = 0;
  while (!timed_out_ && total < kLingerBytesMax) {
    const auto [error, count] =
        co_await stream_->socket().async_read_some(asio::buffer(room), kAwait);
    if (error) break;
    total += count;
  }
}

void Connection::check_deadline(Clock::time_point now) {
  if (phase_ == Phase::kClosed) return;
  if (!watching_) look_for_end();
  if (phase_ == Phase::kAnswering && now - answer_.wrote > answer_.quiet_time) {
    answer_.wrote = now;
    worker_->run([self = shared_from_this(), id = answer_.id] {
      if (self->is_current(id) && self->answer_.on_quiet) self->answer_.on_quiet();
    });
  }
  // What TLS has read ahead no wait of the socket would tell.
  if (phase_ == Phase::kIdle && !rests_ && now - idle_since_ > kRestAfter && !stream_->is_tls()) {
    rests_ = true;
    cancel_io();
  }
  if (now > deadline_) {
    deadline_ = Clock::time_point::max();
    timed_out_ = true;
    cancel_io();
  }
  if (writing_ && now - progress_ > milliseconds(limits_.write_timeout_ms)) {
    reset_ = true;
    if (phase_ == Phase::kAnswering) client_gone("it takes no bytes");
    cancel_io();
  }
}

void Connection::drain() {
  if (phase_ == Phase::kIdle) cancel_io();
}

void Connection::stop() {
  if (phase_ == Phase::kClosed) return;
  stopped_ = true;
  if (phase_ == Phase::kAnswering) client_gone("the server stops");
  IoError ignored;
  stream_->socket().close(ignored);
}

void Connection::cancel_io() {
  IoError ignored;
  if (stream_) stream_->socket().cancel(ignored);
}

// ---- Connection: has the client gone?

void Connection::watch() {
  watching_ = true;
  stream_->socket().async_wait(
      Socket::wait_read, [self = shared_from_this(), id = ++watch_id_](IoError error) {
        if (error || id != self->watch_id_ || self->phase_ != Phase::kAnswering) return;
        self->watching_ = false;
        // The end, or bytes of the next request. These stay where they are, so a further wait would
        // return at once, again and again: from here on check_deadline() looks.
        self->look_for_end();
      });
  look_for_end();  // it may have come before the wait
}

void Connection::look_for_end() {
  if (phase_ == Phase::kAnswering && !answer_.ended && peer_closed()) {
    client_gone("it closed the connection");
  }
}

// A wait that is left in the reactor's queue would keep the next read from looking at the socket.
void Connection::unwatch() {
  ++watch_id_;
  if (std::exchange(watching_, false)) cancel_io();
}

// FIN or reset, also behind bytes that were not read yet.
bool Connection::peer_closed() {
  pollfd state{stream_->socket().native_handle(), POLLRDHUP, 0};
  return poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

// Else the client is behind, and not this thread, which may not have got to writing.
bool Connection::takes_more() {
  pollfd state{stream_->socket().native_handle(), POLLOUT, 0};
  return poll(&state, 1, 0) > 0 && (state.revents & POLLOUT) != 0;
}

void Connection::client_gone(const char* why) {
  if (gone_ || phase_ != Phase::kAnswering) return;
  gone_ = true;
  if (!answer_.ended) base::log_debug("server: client {} has gone: {}", origin_.peer, why);
  if (answer_.on_gone) {
    // Not from inside a call of the handler's.
    worker_->run([self = shared_from_this()] {
      if (auto callback = std::exchange(self->answer_.on_gone, nullptr)) callback();
    });
  }
  cancel_io();
  wake();
}

// ---- Connection: the answer

std::string Connection::head_of(int status, const api::Headers& headers, bool stream,
                                std::size_t body_bytes) {
  const bool http_1_1 = reader_.http_1_1();
  answer_.begun = true;
  answer_.streaming = stream;
  answer_.chunked = stream && http_1_1;
  answer_.keep_alive = reader_.keep_alive() && (http_1_1 || !stream) && !shared_->draining &&
                       requests_ < limits_.requests_per_connection_max;
  ResponseHead head;
  head.status = status;
  head.http_1_1 = http_1_1;
  head.keep_alive = answer_.keep_alive;
  head.chunked = answer_.chunked;
  if (!stream) head.content_length = body_bytes;
  head.unix_seconds = base::unix_seconds();
  return response_head(head, headers);
}

void Connection::answer_send(std::uint64_t id, int status, const api::Headers& headers,
                             const std::string& body) {
  if (answer_.id == id) answer_.forget_callbacks();
  if (!is_current(id) || answer_.begun) return;
  answer_.out = head_of(status, headers, false, body.size());
  const bool bodiless = reader_.is_head() || status < 200 || status == 204 || status == 304;
  if (!bodiless) answer_.out += body;
  answer_.ended = true;
  write_soon();
}

void Connection::answer_begin(std::uint64_t id, int status, const api::Headers& headers) {
  if (!is_current(id) || answer_.begun) return;
  answer_.out = head_of(status, headers, true, 0);
  write_soon();
}

void Connection::answer_write(std::uint64_t id, std::string_view bytes) {
  if (!is_current(id) || !answer_.streaming || reader_.is_head()) return;
  answer_.body += bytes;
  answer_.wrote = Clock::now();
  const bool full = answer_.out.size() + answer_.body.size() > limits_.stream_buffer_bytes_max;
  if (writing_ && full && !takes_more()) {
    reset_ = true;
    return client_gone("it reads too slowly");
  }
  tell_pressure();
  write_soon();
}

void Connection::answer_end(std::uint64_t id, bool aborted) {
  if (answer_.id == id) answer_.forget_callbacks();
  if (!is_current(id)) return;
  if (!answer_.begun) return answer_dropped(id);
  answer_.ended = true;
  answer_.aborted = aborted;
  write_soon();
}

void Connection::answer_on_gone(std::uint64_t id, std::function<void()> callback) {
  if (answer_.id != id || answer_.ended) return;
  answer_.on_gone = std::move(callback);
  if (!gone_) return;
  worker_->run([self = shared_from_this()] {
    if (auto late = std::exchange(self->answer_.on_gone, nullptr)) late();
  });
}

void Connection::answer_on_quiet(std::uint64_t id, int after_ms, std::function<void()> callback) {
  if (!is_current(id)) return;
  answer_.quiet_time = milliseconds(after_ms);
  answer_.on_quiet = std::move(callback);
}

void Connection::answer_on_pressure(std::uint64_t id, std::function<void(bool)> callback) {
  if (is_current(id)) answer_.on_pressure = std::move(callback);
}

// Behind is whose socket is full while much waits for it. The handler hears of it at once: what it
// still has in hand comes on top.
void Connection::tell_pressure() {
  const std::size_t waiting = answer_.out.size() + answer_.body.size();
  const bool behind =
      writing_ && (answer_.behind || waiting > limits_.stream_behind_bytes) && !takes_more();
  if (std::exchange(answer_.behind, behind) == behind) return;
  if (answer_.on_pressure) answer_.on_pressure(behind);
}

// The handler lost the request: that is a bug, but the client gets an answer.
void Connection::answer_dropped(std::uint64_t id) {
  if (answer_.id == id) answer_.forget_callbacks();
  if (!is_current(id)) return;
  base::log_error("server: a request got no answer");
  if (answer_.begun) return answer_end(id, true);
  answer_send(
      id, 500, {{"Content-Type", "application/json"}},
      shared_->handler->error_body(500, "the server gave no answer to this request", origin_.peer));
}

// All writes since the last time are one chunk.
void Connection::frame() {
  if (!answer_.body.empty()) {
    if (answer_.chunked) {
      append_chunk(answer_.out, answer_.body);
    } else {
      answer_.out += answer_.body;
    }
    answer_.body.clear();
  }
  if (answer_.ended && answer_.chunked && !answer_.aborted && !reader_.is_head() &&
      !std::exchange(answer_.last_chunk, true)) {
    answer_.out += kLastChunk;
  }
}

// What is to be written now.
std::string Connection::collect() {
  frame();
  return std::exchange(answer_.out, {});
}

void Connection::write_soon() {
  if (will_write_) return;
  worker_->write_soon(shared_from_this());
  will_write_ = true;
}

// As much as the socket takes at once; the rest, the end and TLS are the coroutine's. To wake it
// for each token would cost as much again as to write one.
void Connection::write_now() {
  will_write_ = false;
  if (phase_ != Phase::kAnswering || writing_ || gone_) return;
  if (stream_->is_tls()) return wake();
  try {
    frame();
  } catch (const std::exception&) {  // no memory: the coroutine tries again, and ends with that
    return wake();
  }
  IoError error;
  const std::size_t count = stream_->socket().write_some(asio::buffer(answer_.out), error);
  answer_.out.erase(0, count);
  if (!answer_.out.empty() || answer_.ended) wake();
}

}  // namespace vsurge::server
