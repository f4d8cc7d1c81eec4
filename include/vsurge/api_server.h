// vSurgeApiServer: the OpenAI API over a vSurge.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "vsurge/error.h"

namespace vsurge {

class vSurge;

struct ApiServerOptions {
  // Threads that render templates and tokenise; the seed's pool size. 0 = chosen from the CPUs.
  int max_workers = 0;
  std::size_t max_request_size = 10 * 1024 * 1024;  // bytes of a body
  // Names the model answers to beside vsurge_name; the first replaces it.
  std::vector<std::string> served_model_names = {};
  int drain_timeout_s = 30;  // after SIGTERM
};

struct FireOptions {
  std::string host = "0.0.0.0";
  std::uint16_t port = 11556;  // 0 = any free one
  std::string log_level = "info";
  std::string ssl_keyfile = {};  // both or neither
  std::string ssl_certfile = {};

  // --- beyond the original
  // Called once when requests are answered, with the base URL.
  std::function<void(const std::string& url)> on_ready = {};
  bool handle_signals = true;  // SIGTERM and SIGINT drain, a second one stops at once
};

class vSurgeApiServer {
 public:
  // surge must outlive the server.
  vSurgeApiServer(vSurge& surge, const ApiServerOptions& options = {});
  ~vSurgeApiServer();
  vSurgeApiServer(const vSurgeApiServer&) = delete;
  vSurgeApiServer& operator=(const vSurgeApiServer&) = delete;

  // Starts and warms the engine, listens, and returns when a signal or shutdown() has drained it.
  void fire(const FireOptions& options = {});
  void run(const FireOptions& options = {}) { fire(options); }  // the seed's other name
  // Any thread: makes fire() drain and return.
  void shutdown();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vsurge
