#include "vsurge/api_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "access/gatekeeper.h"
#include "api/json.h"
#include "api/request_log.h"
#include "api/service.h"
#include "base/escape.h"
#include "base/limits.h"
#include "base/log.h"
#include "facade/errors.h"
#include "facade/heartbeat.h"
#include "facade/listeners.h"
#include "facade/logging.h"
#include "facade/model_host.h"
#include "facade/served_model.h"
#include "facade/surge_state.h"
#include "server/http_server.h"
#include "vsurge/surge.h"
#include "vsurge/version.h"

namespace vsurge {
namespace {

using base::ErrorCode;
using base::fail;

constexpr int kLookEveryMs = 1000;
constexpr auto kStatsEvery = std::chrono::seconds(10);
constexpr double kHangFactor = 10;  // a step of so many times the watchdog's time never ends
constexpr int kFarewellMs = 2000;   // for the errors of answers that the drain time cut off

base::Result<server::ServerOptions> server_options(const FireOptions& fire,
                                                   const base::HttpLimits& limits) {
  server::ServerOptions result;
  VSURGE_TRY(facade::set_listeners(fire, result));
  result.tls = {.key = fire.ssl_keyfile,
                .certificate = fire.ssl_certfile,
                .client_authorities = fire.ssl_ca_certs,
                .client_required = !fire.ssl_client_cert_optional};
  result.root_path = fire.root_path;
  result.limits = limits;
  result.limits.connections_max = fire.max_connections;
  result.limits.connections_per_address_max = fire.max_connections_per_address;
  return result;
}

// A counter that other threads and signal handlers may raise and one thread waits for.
class Signal {
 public:
  Signal() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { CHECK(fd_ >= 0); }
  ~Signal() { ::close(fd_); }
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  void raise() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);  // cannot block or fill
  }
  // True when it was raised since the last call.
  bool take() const {
    std::uint64_t count = 0;
    return ::read(fd_, &count, sizeof count) == sizeof count;
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

// Where the handler of signals finds the server in fire(); one at a time.
std::atomic<const Signal*> stop_target = nullptr;
std::atomic<const Signal*> reload_target = nullptr;

void on_signal(int number) {
  const int saved = errno;
  const Signal* target = number == SIGHUP ? reload_target.load() : stop_target.load();
  if (target != nullptr) target->raise();
  errno = saved;
}

// SIGTERM and SIGINT raise `stop`, SIGHUP raises `reload`, while this lives. Without `reload`,
// SIGHUP does what it did.
class SignalHandlers {
 public:
  SignalHandlers(const Signal& stop, const Signal* reload) : reloads_(reload != nullptr) {
    stop_target.store(&stop);
    reload_target.store(reload);
    struct sigaction action{};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGTERM, &action, &old_term_);
    ::sigaction(SIGINT, &action, &old_int_);
    if (reloads_) ::sigaction(SIGHUP, &action, &old_hup_);
  }
  ~SignalHandlers() {
    ::sigaction(SIGTERM, &old_term_, nullptr);
    ::sigaction(SIGINT, &old_int_, nullptr);
    if (reloads_) ::sigaction(SIGHUP, &old_hup_, nullptr);
    stop_target.store(nullptr);
    reload_target.store(nullptr);
  }
  SignalHandlers(const SignalHandlers&) = delete;
  SignalHandlers& operator=(const SignalHandlers&) = delete;

 private:
  const bool reloads_;
  struct sigaction old_term_{};
  struct sigaction old_int_{};
  struct sigaction old_hup_{};
};

// At most that long.
void wait_for(const Signal& first, const Signal& second, int timeout_ms) {
  pollfd fds[2] = {{first.fd(), POLLIN, 0}, {second.fd(), POLLIN, 0}};
  while (::poll(fds, 2, timeout_ms) < 0 && errno == EINTR) {
  }
}

base::Nanoseconds nanoseconds(double seconds) {
  return static_cast<base::Nanoseconds>(seconds * 1e9);
}

api::ServiceOptions service_options(const ApiServerOptions& options) {
  api::ServiceOptions result;
  result.version = kVersion;
  // Templates and tokenising are work of the CPU: more threads than CPUs only steal time from the
  // model.
  const int cpus = base::ThreadPool::allowed_cpus();
  result.text_workers =
      options.max_workers == 0 ? std::max(1, cpus / 2) : std::min(options.max_workers, cpus);
  result.http.body_bytes_max = options.max_request_size;
  result.http.drain_timeout_ms = options.drain_timeout_s * 1000;
  result.trust_chat_template = options.trust_request_chat_template;
  result.warn_unknown_fields = options.warn_unknown_fields;
  result.log_requests = options.log_requests;
  result.queue_timeout = nanoseconds(options.queue_timeout_s);
  result.request_timeout = nanoseconds(options.request_timeout_s);
  result.sse_keep_alive = nanoseconds(options.sse_keep_alive_s);
  result.metrics_without_key = options.metrics_without_key;
  result.share_prefix_cache = options.share_prefix_cache;
  result.cors_origins = options.cors_origins;
  result.observers.push_back(std::make_shared<api::RequestLog>());
  return result;
}

constexpr std::size_t kRequestSizeMin = base::kKiB;
constexpr std::size_t kNameBytesMax = 256;  // a request can name no longer one

base::Status check_name(const std::string& name) {
  if (!name.empty() && name.size() <= kNameBytesMax &&
      api::find_invalid_utf8(name) == std::string_view::npos) {
    return {};
  }
  return fail(ErrorCode::kUsage, "served_model_name: expected UTF-8 of 1 to {} bytes, found '{}'",
              kNameBytesMax, base::shorten(base::escape_for_line(name), 80));
}

base::Status check_seconds(const char* name, double seconds) {
  constexpr double kDay = 86'400;
  if (seconds >= 0 && seconds <= kDay) return {};
  return fail(ErrorCode::kUsage, "{}: expected 0 to {} seconds, found {}", name, kDay, seconds);
}

// As browsers write it: scheme, host and a port that is not the scheme's.
base::Status check_origin(const std::string& origin) {
  const std::size_t colon = origin.find("://");
  const bool whole = colon != std::string::npos && colon > 0 &&
                     origin.find('/', colon + 3) == std::string::npos && origin.size() > colon + 3;
  if (whole || origin == "*") return {};
  return fail(ErrorCode::kUsage, "cors_origins: expected https://HOST or *, found '{}'",
              base::shorten(base::escape_for_line(origin), 80));
}

// nullptr: no keys are asked for.
base::Result<std::shared_ptr<access::Gatekeeper>> open_gatekeeper(const ApiServerOptions& options) {
  if (options.api_keys.empty() && options.api_key_file.empty()) return nullptr;
  return access::Gatekeeper::open(
      {.key_file = options.api_key_file, .plain_keys = options.api_keys});
}

base::Status check_runtime(const RuntimeModels& models) {
  if (models.models_max < 0 || models.models_max > 64) {
    return fail(ErrorCode::kUsage, "models_max: expected 0 to 64, found {}", models.models_max);
  }
  std::error_code error;
  if (!models.folder.empty() && !std::filesystem::is_directory(models.folder, error)) {
    return fail(ErrorCode::kUsage, "model_folder: '{}' is no folder",
                base::shorten(base::escape_for_line(models.folder), 80));
  }
  return {};
}

base::Status check(const ApiServerOptions& options) {
  if (options.max_workers < 0 || options.max_workers > 4096) {
    return fail(ErrorCode::kUsage, "max_workers: expected 0 to 4096, found {}",
                options.max_workers);
  }
  if (options.drain_timeout_s < 0 || options.drain_timeout_s > 86'400) {
    return fail(ErrorCode::kUsage, "drain_timeout: expected 0 to 86400 seconds, found {}",
                options.drain_timeout_s);
  }
  const std::size_t most = base::TextLimits{}.text_queue_bytes_max;
  if (options.max_request_size < kRequestSizeMin || options.max_request_size > most) {
    return fail(ErrorCode::kUsage, "max_request_size: expected {} to {} bytes, found {}",
                kRequestSizeMin, most, options.max_request_size);
  }
  VSURGE_TRY(check_seconds("queue_timeout", options.queue_timeout_s));
  VSURGE_TRY(check_seconds("request_timeout", options.request_timeout_s));
  VSURGE_TRY(check_seconds("sse_keep_alive", options.sse_keep_alive_s));
  for (const std::string& name : options.served_model_names) VSURGE_TRY(check_name(name));
  VSURGE_TRY(check_runtime(options.runtime_models));
  for (const std::string& origin : options.cors_origins) VSURGE_TRY(check_origin(origin));
  VSURGE_TRY(open_gatekeeper(options));
  return facade::check_formats(options);
}

base::Status check(const FireOptions& fire) {
  if (fire.ssl_keyfile.empty() != fire.ssl_certfile.empty()) {
    return fail(ErrorCode::kUsage,
                "ssl_keyfile and ssl_certfile: expected both or neither, found {}",
                fire.ssl_keyfile.empty() ? "only ssl_certfile" : "only ssl_keyfile");
  }
  if (!fire.ssl_ca_certs.empty() && fire.ssl_certfile.empty()) {
    return fail(ErrorCode::kUsage, "ssl_ca_certs: expected with ssl_keyfile and ssl_certfile");
  }
  if (!fire.root_path.empty() &&
      (!fire.root_path.starts_with('/') || fire.root_path.ends_with('/'))) {
    return fail(ErrorCode::kUsage, "root_path: expected a path like /llm, found '{}'",
                fire.root_path);
  }
  if (fire.max_connections < 1 || fire.max_connections_per_address < 1) {
    return fail(ErrorCode::kUsage,
                "max_connections and max_connections_per_address: expected at least 1");
  }
  if (fire.progress_every_s == 0) {
    return fail(ErrorCode::kUsage, "progress_every: expected more than 0 seconds");
  }
  VSURGE_TRY(check_seconds("progress_every", fire.progress_every_s));
  VSURGE_TRY(server_options(fire, {}));
  return {};
}

base::Status check_map(const std::map<std::string, vSurge>& models,
                       const ApiServerOptions& options) {
  if (models.empty()) return fail(ErrorCode::kUsage, "vsurge_map: expected at least one model");
  if (!options.served_model_names.empty()) {
    return fail(ErrorCode::kUsage,
                "served_model_name: is for one model; several have the names of their map");
  }
  for (const auto& [name, surge] : models) VSURGE_TRY(check_name(name));
  for (const auto& [name, aliases] : options.model_aliases) {
    if (!models.contains(name)) {
      return fail(ErrorCode::kUsage, "model_aliases: there is no model '{}'",
                  base::shorten(base::escape_for_line(name), 80));
    }
    for (const std::string& alias : aliases) VSURGE_TRY(check_name(alias));
  }
  return {};
}

std::string names_of(const std::vector<facade::HostedModel>& models) {
  std::string out;
  for (const facade::HostedModel& model : models) {
    out += out.empty() ? "" : ", ";
    out += base::shorten(base::escape_for_line(model.names.front()), 80);
  }
  return out;
}

enum class EngineFault : std::uint8_t { kNone, kFailed, kHangs };

EngineFault fault_of(const vSurge::State& surge) {
  const engine::EngineMetrics metrics = surge.engine->metrics();
  if (metrics.step_age_seconds > kHangFactor * surge.options.watchdog_s) return EngineFault::kHangs;
  return metrics.failed ? EngineFault::kFailed : EngineFault::kNone;
}

// The thread of an engine that hangs cannot be joined.
[[noreturn]] void end_process(const base::Error& error) {
  base::log_error("{}: the process ends", error.message);
  spdlog::shutdown();
  std::_Exit(base::error_info(error.code).exit_status);
}

void reload_tls(const FireOptions& fire, server::HttpServer& server) {
  if (fire.on_reloading) fire.on_reloading();
  if (const auto status = server.reload_tls(); status) {
    base::log_info("TLS files read anew; new connections use them");
  } else {
    base::log_error("TLS files are not in order, the old ones stay: {}", status.error().message);
  }
  if (fire.on_reloaded) fire.on_reloaded();
}

}  // namespace

struct vSurgeApiServer::State {
  explicit State(const ApiServerOptions& from) : options(from), hosted(options) {}

  const ApiServerOptions options;
  facade::ModelHost hosted;
  Signal stop;  // raised by signals and shutdown()

  base::Status fire(const FireOptions& fire);
  base::Status start_engines();
  bool any_engine_works() const;
  base::Status check_engines(api::Service& service, server::HttpServer& server);
  void drain(api::Service& service, server::HttpServer& server, facade::Heartbeat& heartbeat);
  void stop_engines();
};

vSurgeApiServer::vSurgeApiServer(vSurge& surge, const ApiServerOptions& options)
    : state_(std::make_unique<State>(options)) {
  facade::unwrap(check(options));
  std::vector<std::string> names = options.served_model_names;
  if (names.empty()) names.push_back(surge.vsurge_name());
  facade::unwrap(state_->hosted.add(std::move(names), surge.state()));
}

vSurgeApiServer::vSurgeApiServer(std::map<std::string, vSurge> vsurge_map,
                                 const ApiServerOptions& options)
    : state_(std::make_unique<State>(options)) {
  facade::unwrap(check(options));
  facade::unwrap(check_map(vsurge_map, options));
  for (const auto& [name, surge] : vsurge_map) {
    std::vector<std::string> names = {name};
    const auto aliases = options.model_aliases.find(name);
    if (aliases != options.model_aliases.end()) {
      names.insert(names.end(), aliases->second.begin(), aliases->second.end());
    }
    facade::unwrap(state_->hosted.add(std::move(names), surge.state()));
  }
}

void vSurgeApiServer::check_options(const ApiServerOptions& options, const FireOptions& fire) {
  facade::unwrap(check(options));
  facade::unwrap(check(fire));
}

vSurgeApiServer::~vSurgeApiServer() = default;

void vSurgeApiServer::shutdown() {
  state_->stop.raise();
}

void vSurgeApiServer::fire(const FireOptions& options) {
  facade::unwrap(state_->fire(options));
}

base::Status vSurgeApiServer::State::fire(const FireOptions& fire) {
  VSURGE_TRY(check(options));
  VSURGE_TRY(check(fire));
  VSURGE_TRY(facade::set_log_level(fire.log_level));
  api::ServiceOptions service_options_value = service_options(options);
  service_options_value.gatekeeper = VSURGE_TRY(open_gatekeeper(options));
  service_options_value.admin_door = !fire.admin_listen.empty();
  std::unique_ptr<api::ResponseStore> store;
  if (!options.response_store.empty()) {
    store = VSURGE_TRY(api::open_file_store(options.response_store, {}));
  }
  api::Service service(service_options_value, std::move(store), &hosted);
  for (const facade::HostedModel& model : hosted.models()) {
    service.add(facade::served_model(*model.surge, model.names, options));
  }
  // A port that is taken is told before the model warms up.
  const auto server = VSURGE_TRY(server::HttpServer::listen(
      VSURGE_TRY(server_options(fire, service_options_value.http)), service));
  const Signal reload;
  std::unique_ptr<SignalHandlers> handlers;
  if (fire.handle_signals) {
    handlers = std::make_unique<SignalHandlers>(stop, fire.ssl_keyfile.empty() ? nullptr : &reload);
  }
  service.set_loading(true);  // probes are answered while the model warms up
  server->start();
  VSURGE_TRY(start_engines());
  service.set_loading(false);
  const std::string url =
      facade::tell_listeners(fire, *server, service_options_value.gatekeeper != nullptr);
  base::log_info("ready: {}{} serves {}", url, url.starts_with("unix:") ? "" : "/v1",
                 names_of(hosted.models()));
  if (fire.on_ready) fire.on_ready(url);
  facade::Heartbeat heartbeat(fire, *server, [this] { return any_engine_works(); });
  auto stats_at = std::chrono::steady_clock::now() + kStatsEvery;
  while (!stop.take()) {
    wait_for(stop, reload, heartbeat.wait_ms(kLookEveryMs));
    if (reload.take()) reload_tls(fire, *server);
    if (const auto now = std::chrono::steady_clock::now(); now >= stats_at) {
      stats_at = now + kStatsEvery;
      service.log_stats();
    }
    if (fire.exit_on_fault) VSURGE_TRY(check_engines(service, *server));
    heartbeat.look();
  }
  if (fire.on_draining) fire.on_draining();
  drain(service, *server, heartbeat);
  if (fire.exit_while_loading && service.changes_models()) {
    base::log_info("a model was still coming or going: the process ends without it");
    spdlog::shutdown();
    std::_Exit(0);
  }
  return {};
}

base::Status vSurgeApiServer::State::start_engines() {
  for (const facade::HostedModel& model : hosted.models()) VSURGE_TRY(model.surge->start());
  return {};
}

// Or there is none that could fail.
bool vSurgeApiServer::State::any_engine_works() const {
  const std::vector<facade::HostedModel> models = hosted.models();
  return models.empty() || std::ranges::any_of(models, [](const facade::HostedModel& model) {
           const engine::EngineMetrics metrics = model.surge->engine->metrics();
           return !metrics.failed && !metrics.stuck;
         });
}

// An error when no engine serves anything any more, and everybody has been told. One of several
// that hangs is nobody's but its own clients', who are told.
base::Status vSurgeApiServer::State::check_engines(api::Service& service,
                                                   server::HttpServer& server) {
  const std::vector<facade::HostedModel> models = hosted.models();
  std::size_t broken = 0;
  bool hangs = false;
  for (const facade::HostedModel& model : models) {
    const EngineFault fault = fault_of(*model.surge);
    if (fault == EngineFault::kNone) continue;
    ++broken;
    if (fault != EngineFault::kHangs) continue;
    hangs = true;
    model.surge->router.abandon({ErrorCode::kEngineUnavailable, "the engine hangs", ""});
  }
  if (broken == 0 || broken < models.size()) return {};
  const base::Error error{ErrorCode::kEngineUnavailable,
                          hangs ? "the engine hangs" : "the engine has failed", ""};
  service.begin_shutdown();
  server.drain(kFarewellMs);
  server.stop();
  if (!hangs) return std::unexpected(error);
  end_process(error);
}

// Refuses new work, gives running answers their time, then ends them with an error that says so. A
// second signal ends it all at once.
void vSurgeApiServer::State::drain(api::Service& service, server::HttpServer& server,
                                   facade::Heartbeat& heartbeat) {
  base::log_info("draining: running answers get {} s; a second signal stops at once",
                 options.drain_timeout_s);
  service.begin_shutdown();
  for (const facade::HostedModel& model : hosted.models()) model.surge->engine->drain();
  const Signal drained;
  std::thread drainer([&] {
    if (!server.drain(options.drain_timeout_s * 1000)) {
      stop_engines();
      server.drain(kFarewellMs);
    }
    drained.raise();
  });
  while (!drained.take()) {
    wait_for(drained, stop, heartbeat.wait_ms(kLookEveryMs));
    if (stop.take()) server.stop();
    heartbeat.look();
  }
  drainer.join();
  server.stop();
  stop_engines();
  for (const facade::HostedModel& model : hosted.models()) {
    if (fault_of(*model.surge) == EngineFault::kHangs) {
      end_process({ErrorCode::kEngineUnavailable, "an engine hangs", ""});
    }
  }
  base::log_info("stopped");
}

// Those that hang are left alone, and end with the process.
void vSurgeApiServer::State::stop_engines() {
  for (const facade::HostedModel& model : hosted.models()) {
    if (fault_of(*model.surge) == EngineFault::kHangs) {
      model.surge->router.abandon({ErrorCode::kEngineUnavailable, "the engine hangs", ""});
    } else {
      model.surge->stop();
    }
  }
}

}  // namespace vsurge
