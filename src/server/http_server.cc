#include "server/http_server.h"

#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <vector>

#include "base/log.h"
#include "server/connection.h"
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

void Worker::for_each(void (Connection::*action)()) {
  for (auto* connection : connections_) (connection->*action)();
}

// ---- Server

namespace {

constexpr std::size_t kRefusalsMax = 64;  // connections over the limit that are told so
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

class Server final : public HttpServer {
 public:
  Server(const ServerOptions& options, api::HttpHandler& handler)
      : shared_(std::make_shared<Shared>(options, handler)) {
    for (int i = 0; i < std::max(1, options.io_threads); ++i) {
      workers_.push_back(std::make_shared<Worker>(options.limits));
    }
    acceptor_.emplace(workers_[0]->io());
    accept_pause_.emplace(workers_[0]->io());
  }
  ~Server() override { stop(); }

  base::Status open();
  std::uint16_t port() const override { return port_; }
  base::Status reload_tls() override;
  std::size_t connections() const override { return shared_->open; }
  void start() override;
  bool drain(int timeout_ms) override;
  void drain() override;
  void stop() override;

 private:
  Task<void> accept_all();
  void admit(const std::shared_ptr<Worker>& worker, Socket socket);
  void stop_accepting();

  std::shared_ptr<Shared> shared_;
  std::vector<std::shared_ptr<Worker>> workers_;
  std::optional<Acceptor> acceptor_;
  std::optional<Timer> accept_pause_;
  std::uint16_t port_ = 0;
  std::once_flag stop_once_;
};

base::Status Server::open() {
  const auto& options = shared_->options;
  if (!options.tls.certificate.empty() || !options.tls.key.empty()) VSURGE_TRY(reload_tls());
  std::string host = options.host;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  try {
    tcp::resolver resolver(workers_[0]->io());
    const auto found = resolver.resolve(host, std::to_string(options.port),
                                        tcp::resolver::passive | tcp::resolver::numeric_service);
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor_->open(endpoint.protocol());
    acceptor_->set_option(tcp::acceptor::reuse_address(true));
    // Taken over by accepted sockets; the kernel would otherwise buffer megabytes of a stream
    // that nobody reads.
    acceptor_->set_option(asio::socket_base::send_buffer_size(
        static_cast<int>(std::min<std::size_t>(options.limits.send_buffer_bytes, 1 << 30))));
    acceptor_->bind(endpoint);
    acceptor_->listen(asio::socket_base::max_listen_connections);
    port_ = acceptor_->local_endpoint().port();
  } catch (const boost::system::system_error& error) {
    return base::fail(base::ErrorCode::kEnvironment, "cannot listen on {}:{}: {}", options.host,
                      options.port, error.code().message());
  }
  return {};
}

base::Status Server::reload_tls() {
  auto fresh = VSURGE_TRY(make_tls(shared_->options.tls));
  const std::lock_guard lock(shared_->mutex);
  shared_->tls = std::move(fresh);
  return {};
}

void Server::start() {
  asio::co_spawn(workers_[0]->io(), accept_all(), asio::detached);
  for (auto& worker : workers_) worker->start();
}

Task<void> Server::accept_all() {
  auto pause = kAcceptPauseMin;
  auto log_at = Clock::time_point::min();
  for (std::size_t turn = 0; acceptor_->is_open(); ++turn) {
    const auto& worker = workers_[turn % workers_.size()];
    auto [error, socket] = co_await acceptor_->async_accept(worker->io(), kAwait);
    if (!error) {
      pause = kAcceptPauseMin;
      admit(worker, std::move(socket));
      continue;
    }
    if (!acceptor_->is_open()) break;
    // Out of files or memory: those who are connected go on, new ones wait in the kernel's queue.
    if (const auto now = Clock::now(); now >= log_at) {
      base::log_warning("server: cannot accept connections: {}", error.message());
      log_at = now + kAcceptLogEvery;
    }
    accept_pause_->expires_after(pause);
    co_await accept_pause_->async_wait(kAwait);
    pause = std::min(pause * 2, kAcceptPauseMax);
  }
}

void Server::admit(const std::shared_ptr<Worker>& worker, Socket socket) {
  IoError error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return;  // has left already
  std::string client = client_key(endpoint.address());
  bool refuse = shared_->open >= shared_->options.limits.connections_max;
  if (!refuse && !shared_->addresses.take(client)) refuse = true;
  if (refuse) client.clear();
  if (refuse && shared_->refusals >= kRefusalsMax) return;  // closed unheard
  ++(refuse ? shared_->refusals : shared_->open);
  IoError ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  socket.non_blocking(true, ignored);
  auto connection =
      std::make_shared<Connection>(shared_, worker, std::move(socket), std::move(client), refuse);
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
    IoError ignored;
    acceptor_->close(ignored);
    accept_pause_->cancel();
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
    accept_pause_.reset();
    acceptor_.reset();
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
