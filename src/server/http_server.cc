#include "server/http_server.h"

#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <vector>

#include "base/log.h"
#include "server/connection.h"
#include "server/listener.h"
#include "server/tls.h"

namespace vsurge::server {

// ---- Worker

void Worker::start() {
  thread_ = std::thread([this] {
    thread_id_ = std::this_thread::get_id();
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);  // signals are the program's
    for (;;) {
      try {
        io_->run();
        break;
      } catch (const std::exception& error) {  // of a task that was posted
        base::log_error("server: a task threw: {}", error.what());
      }
    }
    thread_id_ = std::thread::id{};
  });
}

std::size_t Worker::poll() {
  thread_id_ = std::this_thread::get_id();
  return io_->poll();
}

void Worker::join() {
  work_.reset();
  if (thread_.joinable()) thread_.join();
}

void Worker::finish() {
  sweep_.reset();
  std::unique_ptr<asio::io_context> io;
  {
    const std::lock_guard lock(mutex_);
    io = std::move(io_);
  }
}

void Worker::add(Connection* connection) {
  connections_.insert(connection);
  if (!sweeping_) sweep();
}

void Worker::remove(Connection* connection) {
  connections_.erase(connection);
  if (connections_.empty()) sweep_->cancel();
}

void Worker::sweep() {
  sweeping_ = true;
  sweep_->expires_after(sweep_every_);
  sweep_->async_wait([this](IoError) {
    sweeping_ = false;
    if (connections_.empty()) return;
    const auto now = Clock::now();
    for (auto* connection : connections_) connection->check_deadline(now);
    sweep();
  });
}

void Worker::write_soon(std::shared_ptr<Connection> connection) {
  if (to_write_.empty()) run([this] { write_all(); });  // without memory nobody is entered
  to_write_.push_back(std::move(connection));
}

void Worker::write_all() {
  std::vector<std::shared_ptr<Connection>> due;
  due.swap(to_write_);
  for (const auto& connection : due) connection->write_now();
}

bool Worker::beats() {
  if (beat_->exchange(true)) return false;  // the last one is still on its way
  run([beat = beat_] { beat->store(false); });
  return true;
}

void Worker::for_each(void (Connection::*action)()) {
  for (auto* connection : connections_) (connection->*action)();
}

// ---- Server

namespace {

constexpr std::size_t kRefusalsMax = 64;   // connections over the limit that are told so
constexpr std::size_t kAdminReserve = 16;  // connections of admins beyond the limit
constexpr auto kAcceptPauseMin = milliseconds(20);
constexpr auto kAcceptPauseMax = milliseconds(500);
constexpr auto kAcceptLogEvery = std::chrono::seconds(5);

// Connections are files; a soft limit of 1024 is common and the hard one far above.
void raise_file_limit(std::size_t connections_max) {
  rlimit limit{};
  const rlim_t want = connections_max + 256;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= want) return;
  limit.rlim_cur = std::min<rlim_t>(want, limit.rlim_max);
  setrlimit(RLIMIT_NOFILE, &limit);
}

// A listener and what accepts from it.
struct Gate {
  Gate(Listener listening, asio::io_context& io)
      : listener(std::move(listening)), acceptor(std::in_place, io), pause(std::in_place, io) {}

  Listener listener;
  std::optional<Acceptor> acceptor;
  std::optional<Timer> pause;
};

class Server final : public HttpServer {
 public:
  Server(const ServerOptions& options, api::HttpHandler& handler)
      : shared_(std::make_shared<Shared>(options, handler)) {
    for (int i = 0; i < std::max(1, options.io_threads); ++i) {
      workers_.push_back(std::make_shared<Worker>(options.limits));
    }
  }
  ~Server() override { stop(); }

  base::Status open();
  std::uint16_t port() const override;
  std::vector<std::string> urls(api::Door door) const override;
  bool beats() override;
  base::Status reload_tls() override;
  std::size_t connections() const override { return shared_->open; }
  void start() override;
  bool drain(int timeout_ms) override;
  void drain() override;
  void stop() override;

 private:
  base::Status add_gate(const ListenAddress& address);
  Task<void> accept_all(Gate& gate);
  void log_accept_error(const IoError& error);
  void admit(const Gate& gate, const std::shared_ptr<Worker>& worker, Socket socket);
  void stop_accepting();

  std::shared_ptr<Shared> shared_;
  std::vector<std::shared_ptr<Worker>> workers_;
  std::vector<std::unique_ptr<Gate>> gates_;
  std::size_t turn_ = 0;  // of the workers; on the thread that accepts, as the next one
  Clock::time_point accept_log_at_ = Clock::time_point::min();
  std::once_flag stop_once_;
};

base::Status Server::open() {
  const auto& options = shared_->options;
  if (!options.tls.certificate.empty() || !options.tls.key.empty()) VSURGE_TRY(reload_tls());
  if (!options.host.empty()) {
    ListenAddress main;
    main.host = options.host;
    main.port = options.port;
    VSURGE_TRY(add_gate(main));
  }
  for (const auto& address : options.listen) VSURGE_TRY(add_gate(address));
  if (gates_.empty()) return base::fail(base::ErrorCode::kUsage, "there is no listener");
  return {};
}

base::Status Server::add_gate(const ListenAddress& address) {
  auto listener = VSURGE_TRY(
      Listener::open(address, shared_->current_tls() != nullptr, shared_->options.limits));
  auto gate = std::make_unique<Gate>(std::move(listener), workers_[0]->io());
  IoError error;
  gate->acceptor->assign({gate->listener.family(), 0}, gate->listener.descriptor(), error);
  if (error) {
    return base::fail(base::ErrorCode::kEnvironment, "cannot listen on {}: {}", text_of(address),
                      error.message());
  }
  gate->listener.release();  // the acceptor closes it
  gates_.push_back(std::move(gate));
  return {};
}

std::uint16_t Server::port() const {
  const auto tcp =
      std::ranges::find_if(gates_, [](auto& gate) { return gate->listener.port() != 0; });
  return tcp == gates_.end() ? 0 : (*tcp)->listener.port();
}

std::vector<std::string> Server::urls(api::Door door) const {
  std::vector<std::string> out;
  for (const auto& gate : gates_) {
    if (gate->listener.door() == door) out.push_back(gate->listener.url());
  }
  return out;
}

bool Server::beats() {
  bool all = true;
  for (auto& worker : workers_) all = worker->beats() && all;
  return all;
}

base::Status Server::reload_tls() {
  auto fresh = VSURGE_TRY(make_tls(shared_->options.tls));
  const std::lock_guard lock(shared_->mutex);
  shared_->tls = std::move(fresh);
  return {};
}

void Server::start() {
  for (auto& gate : gates_) {
    asio::co_spawn(workers_[0]->io(), accept_all(*gate), asio::detached);
  }
  for (auto& worker : workers_) worker->start();
}

Task<void> Server::accept_all(Gate& gate) {
  auto pause = kAcceptPauseMin;
  while (gate.acceptor->is_open()) {
    const auto& worker = workers_[turn_++ % workers_.size()];
    auto [error, socket] = co_await gate.acceptor->async_accept(worker->io(), kAwait);
    if (!error) {
      pause = kAcceptPauseMin;
      admit(gate, worker, std::move(socket));
      continue;
    }
    if (!gate.acceptor->is_open()) break;
    // Out of files or memory: those who are connected go on, new ones wait in the kernel's queue.
    log_accept_error(error);
    gate.pause->expires_after(pause);
    co_await gate.pause->async_wait(kAwait);
    pause = std::min(pause * 2, kAcceptPauseMax);
  }
}

void Server::log_accept_error(const IoError& error) {
  const auto now = Clock::now();
  if (now < accept_log_at_) return;
  base::log_warning("server: cannot accept connections: {}", error.message());
  accept_log_at_ = now + kAcceptLogEvery;
}

void Server::admit(const Gate& gate, const std::shared_ptr<Worker>& worker, Socket socket) {
  const auto peer = peer_of(socket.native_handle());
  if (!peer) return;  // has left already
  Origin origin{.peer = peer->name,
                .client = peer->client,
                .door = gate.listener.door(),
                .tls = gate.listener.tls()};
  const std::size_t most = shared_->options.limits.connections_max +
                           (origin.door == api::Door::kAdmin ? kAdminReserve : 0);
  const bool refuse = shared_->open >= most || !shared_->addresses.take(origin.client);
  if (refuse) origin.client.clear();
  if (refuse && shared_->refusals >= kRefusalsMax) return;  // closed unheard
  ++(refuse ? shared_->refusals : shared_->open);
  IoError ignored;
  if (gate.listener.family() == AF_UNIX) {
    set_send_buffer(socket.native_handle(), shared_->options.limits);
  } else {
    socket.set_option(tcp::no_delay(true), ignored);
    socket.set_option(asio::socket_base::keep_alive(true), ignored);
  }
  socket.non_blocking(true, ignored);
  auto connection =
      std::make_shared<Connection>(shared_, worker, std::move(socket), std::move(origin), refuse);
  worker->post([connection = std::move(connection), shared = shared_, refuse] {
    if (shared->stopping) {
      shared->count_closed(refuse);
    } else {
      connection->run();
    }
  });
}

void Server::stop_accepting() {
  workers_[0]->post([this] {
    for (auto& gate : gates_) {
      IoError ignored;
      gate->acceptor->close(ignored);
      gate->pause->cancel();
      gate->listener.remove_file();
    }
  });
}

void Server::drain() {
  drain(shared_->options.limits.drain_timeout_ms);
  stop();
}

bool Server::drain(int timeout_ms) {
  shared_->draining = true;
  stop_accepting();
  for (auto& worker : workers_) {
    worker->post([worker] { worker->for_each(&Connection::drain); });
  }
  std::unique_lock lock(shared_->mutex);
  shared_->changed.wait_for(lock, milliseconds(timeout_ms),
                            [&] { return shared_->open == 0 || shared_->stopping; });
  return shared_->open == 0;
}

void Server::stop() {
  std::call_once(stop_once_, [this] {
    {
      const std::lock_guard lock(shared_->mutex);
      shared_->stopping = true;
      shared_->changed.notify_all();
    }
    stop_accepting();
    for (auto& worker : workers_) {
      worker->post([worker] { worker->for_each(&Connection::stop); });
    }
    for (auto& worker : workers_) worker->join();
    gates_.clear();
    for (auto& worker : workers_) worker->finish();
  });
}

}  // namespace

base::Result<std::unique_ptr<HttpServer>> HttpServer::listen(const ServerOptions& options,
                                                             api::HttpHandler& handler) {
  struct sigaction now{};
  if (sigaction(SIGPIPE, nullptr, &now) == 0 && now.sa_handler == SIG_DFL) {
    std::signal(SIGPIPE, SIG_IGN);
  }
  raise_file_limit(options.limits.connections_max);
  auto server = std::make_unique<Server>(options, handler);
  VSURGE_TRY(server->open());
  return server;
}

}  // namespace vsurge::server
