// Private to this folder, as all headers with Asio in them: a worker (one io_context, one
// thread) and a connection. A connection lives on one worker, so nothing of it is locked. It is one
// coroutine: read a request, hand it to the handler, write what the handler gives, again.
#pragma once

#include <algorithm>
#include <atomic>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "server/address_counts.h"
#include "server/http_server.h"
#include "server/request_reader.h"

namespace vsurge::server {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using IoError = boost::system::error_code;
using Executor = asio::io_context::executor_type;
using Protocol = asio::generic::stream_protocol;  // TCP or Unix sockets
using Socket = asio::basic_stream_socket<Protocol, Executor>;
using Acceptor = asio::basic_socket_acceptor<Protocol, Executor>;
using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor>;
template <class T>
using Task = asio::awaitable<T, Executor>;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable_t<Executor>{});

class Connection;

// Where a connection comes from.
struct Origin {
  std::string peer;    // name of the client
  std::string client;  // a key that was taken of Shared::addresses; empty = none
  api::Door door = api::Door::kPublic;
  bool tls = false;
};

// What all connections share; outlives them.
struct Shared {
  Shared(const ServerOptions& server_options, api::HttpHandler& http_handler)
      : options(server_options),
        handler(&http_handler),
        addresses(options.limits.connections_per_address_max) {}

  const ServerOptions options;
  api::HttpHandler* const handler;
  AddressCounts addresses;
  std::atomic<std::size_t> open{0};
  std::atomic<std::size_t> refusals{0};
  std::atomic<std::size_t> bodies_bytes{0};  // of all requests that are being read
  std::atomic<bool> draining{false};
  std::atomic<bool> stopping{false};
  std::mutex mutex;
  std::condition_variable changed;    // open fell to 0, or stopping
  std::shared_ptr<ssl::context> tls;  // of new connections; guarded by mutex; null = plain HTTP

  std::shared_ptr<ssl::context> current_tls() {
    const std::lock_guard lock(mutex);
    return tls;
  }

  void count_closed(bool refused) {
    if (refused) {
      --refusals;
      return;
    }
    if (open.fetch_sub(1) == 1) {
      const std::lock_guard lock(mutex);
      changed.notify_all();
    }
  }
};

// One thread and its connections. Responders keep it alive after the server has gone; it then
// drops what is posted.
class Worker final : public api::TaskQueue {
 public:
  explicit Worker(const base::HttpLimits& limits)
      : io_(std::make_unique<asio::io_context>(1)), work_(io_->get_executor()), sweep_(*io_) {
    const int shortest =
        std::min({limits.header_timeout_ms, limits.body_timeout_ms, limits.body_grace_ms,
                  limits.keep_alive_timeout_ms, limits.write_timeout_ms});
    sweep_every_ = milliseconds(std::clamp(shortest / 8, 5, 250));
  }

  asio::io_context& io() { return *io_; }
  bool on_this_thread() const { return thread_id_.load() == std::this_thread::get_id(); }
  void start();
  // In place of start(), for tests: runs what can run on the caller's thread, and counts it.
  std::size_t poll();
  // Waits for the thread, which ends when its last connection has; then finish().
  void join();
  void finish();

  void post(std::function<void()> task) override { run(std::move(task)); }
  // The same, of tasks that cannot be copied.
  template <class F>
  void run(F task) {
    const std::lock_guard lock(mutex_);
    if (io_) asio::post(*io_, std::move(task));
  }

  // On the worker's thread.
  void add(Connection* connection);
  void remove(Connection* connection);
  void for_each(void (Connection::*action)());
  // As HttpServer's. On the thread that asks.
  bool beats();
  // It has something to write: it does when the tasks that wait now have run, so that what they
  // bring leaves in one piece.
  void write_soon(std::shared_ptr<Connection> connection);

 private:
  void sweep();
  void write_all();

  std::mutex mutex_;  // guards that io_ is there
  std::unique_ptr<asio::io_context> io_;
  asio::executor_work_guard<Executor> work_;
  std::optional<Timer> sweep_;
  milliseconds sweep_every_{250};
  bool sweeping_ = false;
  std::unordered_set<Connection*> connections_;
  std::vector<std::shared_ptr<Connection>> to_write_;
  std::thread thread_;
  std::atomic<std::thread::id> thread_id_{};
  const std::shared_ptr<std::atomic<bool>> beat_ = std::make_shared<std::atomic<bool>>(false);
};

// A connection's socket, with or without TLS.
class Stream {
 public:
  explicit Stream(Socket socket) : socket_(std::move(socket)) {}

  Socket& socket() { return socket_; }
  bool is_tls() const { return tls_.has_value(); }

  Task<IoError> handshake(ssl::context& context) {
    tls_.emplace(socket_, context);
    auto [error] = co_await tls_->async_handshake(ssl::stream_base::server, kAwait);
    co_return error;
  }

  Task<std::pair<IoError, std::size_t>> read_some(std::span<char> room) {
    const auto buffer = asio::buffer(room.data(), room.size());
    if (tls_) {
      auto [error, count] = co_await tls_->async_read_some(buffer, kAwait);
      co_return std::pair{error, count};
    }
    auto [error, count] = co_await socket_.async_read_some(buffer, kAwait);
    co_return std::pair{error, count};
  }

  Task<std::pair<IoError, std::size_t>> write_some(std::string_view bytes) {
    const auto buffer = asio::buffer(bytes.data(), bytes.size());
    if (tls_) {
      auto [error, count] = co_await tls_->async_write_some(buffer, kAwait);
      co_return std::pair{error, count};
    }
    auto [error, count] = co_await socket_.async_write_some(buffer, kAwait);
    co_return std::pair{error, count};
  }

  Task<void> shut_down_sending() {
    if (tls_) {
      co_await tls_->async_shutdown(kAwait);
    }
    IoError ignored;
    socket_.shutdown(asio::socket_base::shutdown_send, ignored);
  }

 private:
  Socket socket_;
  std::optional<ssl::stream<Socket&>> tls_;
};

// The answer in progress on a connection.
struct Answer {
  std::uint64_t id = 0;  // of the Exchange that may write; others are late and ignored
  std::string out;       // framed bytes that wait for the socket
  std::string body;      // of a stream, not framed yet
  std::function<void()> on_gone;
  std::function<void()> on_quiet;
  std::function<void(bool)> on_pressure;
  bool behind = false;                                  // the client is
  Clock::duration quiet_time = Clock::duration::max();  // until on_quiet
  Clock::time_point wrote;                              // the handler, last
  bool begun = false;
  bool streaming = false;
  bool chunked = false;
  bool ended = false;
  bool aborted = false;
  bool last_chunk = false;  // is written
  bool keep_alive = false;

  // What is in them keeps others alive.
  void forget_callbacks() {
    on_gone = nullptr;
    on_quiet = nullptr;
    on_pressure = nullptr;
  }
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // refuse: no request of it is heard.
  Connection(std::shared_ptr<Shared> shared, std::shared_ptr<Worker> worker, Socket socket,
             Origin origin, bool refuse)
      : shared_(std::move(shared)),
        worker_(std::move(worker)),
        limits_(shared_->options.limits),
        stream_(std::in_place, std::move(socket)),
        signal_(std::in_place, worker_->io(), Clock::time_point::max()),
        reader_(limits_),
        origin_(std::move(origin)),
        refuse_(refuse) {}
  ~Connection() { shared_->addresses.give_back(origin_.client); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Worker& worker() { return *worker_; }
  void run();
  void check_deadline(Clock::time_point now);
  void look_for_end();  // of the client, while it is answered
  void drain();
  void stop();

  // For the Exchange, on the worker's thread.
  void answer_send(std::uint64_t id, int status, const api::Headers& headers,
                   const std::string& body);
  void answer_begin(std::uint64_t id, int status, const api::Headers& headers);
  void answer_write(std::uint64_t id, std::string_view bytes);
  void answer_end(std::uint64_t id, bool aborted);
  void answer_on_gone(std::uint64_t id, std::function<void()> callback);
  void answer_on_pressure(std::uint64_t id, std::function<void(bool)> callback);
  void answer_on_quiet(std::uint64_t id, int after_ms, std::function<void()> callback);
  void answer_dropped(std::uint64_t id);

  // For the worker.
  void write_now();

 private:
  enum class Phase : std::uint8_t { kIdle, kReading, kAnswering, kLingering, kClosed };

  enum class After : std::uint8_t { kNext, kClose, kLinger };

  Task<void> live();
  Task<After> read_request();
  Task<IoError> rest();
  bool count_body(std::size_t bytes);
  void set_body_deadline();
  Task<After> answer_request();
  Task<After> reject(Rejection rejection);
  Task<After> refuse();
  Task<bool> write_all(std::string bytes);
  Task<void> linger();
  void close();
  void cancel_io();
  void set_deadline(int after_ms) {
    timed_out_ = false;
    deadline_ = Clock::now() + milliseconds(after_ms);
  }

  void watch();
  void unwatch();
  bool peer_closed();
  bool takes_more();
  void client_gone(const char* why);
  void tell_pressure();

  std::string head_of(int status, const api::Headers& headers, bool stream, std::size_t body_bytes);
  void frame();
  std::string collect();
  void write_soon();
  void wake() {
    if (signal_) signal_->cancel();
  }
  bool is_current(std::uint64_t id) const {
    return phase_ == Phase::kAnswering && answer_.id == id && !answer_.ended && !gone_;
  }

  std::shared_ptr<Shared> shared_;
  std::shared_ptr<Worker> worker_;
  const base::HttpLimits& limits_;
  std::optional<Stream> stream_;
  std::optional<Timer> signal_;  // never expires; cancelled to wake the coroutine
  RequestReader reader_;
  Answer answer_;
  Origin origin_;
  std::size_t body_bytes_ = 0;  // of reader_'s, counted in Shared::bodies_bytes
  Phase phase_ = Phase::kIdle;
  Clock::time_point deadline_ = Clock::time_point::max();
  Clock::time_point idle_since_;
  Clock::time_point body_begin_;
  Clock::time_point progress_;  // of writing
  std::size_t requests_ = 0;
  bool refuse_;
  bool timed_out_ = false;
  bool rests_ = false;    // the read was cancelled so that memory is given back
  bool writing_ = false;  // the coroutine is
  bool will_write_ = false;
  bool stopped_ = false;
  bool gone_ = false;
  bool reset_ = false;  // close without the kernel's unsent bytes
  bool watching_ = false;
  std::uint64_t watch_id_ = 0;
};

}  // namespace vsurge::server
