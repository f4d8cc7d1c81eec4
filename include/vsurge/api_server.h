// vSurgeApiServer: the OpenAI API over a vSurge.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "vsurge/auto_model.h"
#include "vsurge/error.h"
#include "vsurge/surge.h"

namespace vsurge {

// Models that come while the server runs: admins send POST /v1/models/load.
struct RuntimeModels {
  std::string folder = {};  // where they are; nothing outside is read. Empty: none comes
  int models_max = 0;       // at once, those of the start too
  // For their KV caches, beside what models that have gone leave behind; divided by their weights
  // among the places that are free.
  std::int64_t kv_cache_bytes = 0;
  PretrainedOptions pretrained = {};  // how they are loaded
  SurgeOptions surge = {};            // but for names and memory; a max_length is cut to theirs
};

struct ApiServerOptions {
  // Threads that render templates and tokenise; the seed's pool size, but never more than CPUs:
  // they would only take them from the model. It does not bound requests, which wait their turn.
  // 0 = half of the CPUs.
  int max_workers = 0;
  std::size_t max_request_size = 10 * 1024 * 1024;  // bytes of a body: 1 KiB to 256 MiB
  // Names a single model answers to instead of vsurge_name; the first is shown in answers.
  std::vector<std::string> served_model_names = {};
  // Names that the models of a map answer to, too, by their own name.
  std::map<std::string, std::vector<std::string>> model_aliases = {};
  RuntimeModels runtime_models = {};
  // After SIGTERM, SIGINT or shutdown(): what runs longer ends with an error.
  int drain_timeout_s = 30;
  // Seconds from a request's arrival; 0 = any time. What has not begun by the first of them ends
  // with a 429, what has not ended by the second with an error. A request's own `timeout` may be
  // shorter.
  double queue_timeout_s = 0;
  double request_timeout_s = 0;
  // A stream that has nothing to say for so many seconds sends a comment, so that nobody on its way
  // takes it for dead; 0 = never.
  double sse_keep_alive_s = 15;
  // Answers are searched for tool calls where a request offers tools.
  bool enable_function_calling = true;
  // How the model writes tool calls and reasoning: names of docs/API.md; "auto" = by its chat
  // template and vocabulary; reasoning "none" = it stays in the content.
  std::string tool_parser_name = "auto";
  std::string reasoning_parser_name = "auto";
  bool trust_request_chat_template = false;  // requests may bring a chat_template
  // Fields of requests that nobody knows: refused with a 400, or told in the header
  // X-Ignored-Fields.
  bool warn_unknown_fields = false;
  // Bodies of requests in the log; without it nothing of a prompt is there.
  bool log_requests = false;
  // Who may use the server: keys of any form, 8 bytes or more, which may do everything, and a file
  // of keys (ApiKeys). With neither, everybody who can reach the port.
  std::vector<std::string> api_keys = {};
  std::string api_key_file = {};
  bool metrics_without_key = false;  // /metrics is open, as /live, /ready and /health are
  bool share_prefix_cache = false;   // between keys; else each has its own part of the cache
  // Pages of browsers that may read answers: "https://chat.example.org"; "*" = all.
  std::vector<std::string> cors_origins = {};
  // File that keeps responses of /v1/responses over restarts; empty = in memory.
  std::string response_store = {};
};

struct FireOptions {
  std::string host = "0.0.0.0";  // "none": only where `listen` says
  std::uint16_t port = 11556;    // 0 = any free one
  // Of the process from here on: trace, debug, info, warning, error, critical or off.
  std::string log_level = "info";
  std::string ssl_keyfile = {};  // both or neither
  std::string ssl_certfile = {};

  // --- beyond the original
  // PEM certificates of those who sign clients' certificates; with them a client must bring one,
  // or may.
  std::string ssl_ca_certs = {};
  bool ssl_client_cert_optional = false;
  // Further listeners: "tcp:HOST:PORT", "unix:PATH", or "fd:NUMBER", a socket that listens already
  // and stays the caller's. Behind it ",tls" or ",plain": without either TCP has TLS when there are
  // files for it and Unix sockets have not. ",mode=0660" (the default): who may connect to a Unix
  // socket; its file is removed at the end, and a left-over one at the start.
  std::vector<std::string> listen = {};
  // The same, for those who rule the server: with one, the routes of admins are there alone. No key
  // is asked for there, and nothing is generated.
  std::vector<std::string> admin_listen = {};
  std::string root_path = {};  // "/llm": clients may write it before every path
  std::size_t max_connections = 4096;
  std::size_t max_connections_per_address = 1024;  // but for this machine's own
  // Called once when requests are answered, with the base URL.
  std::function<void(const std::string& url)> on_ready = {};
  std::function<void()> on_draining = {};  // called once when new work is refused
  // Called around each reading of the TLS files anew, however it went.
  std::function<void()> on_reloading = {};
  std::function<void()> on_reloaded = {};
  // From then on called about so often while all goes on: every thread of the server has run a task
  // since the last time, and the engine has neither failed nor is in a step longer than its
  // watchdog's time. Its silence tells a supervisor to start the process anew.
  std::function<void()> on_progress = {};
  double progress_every_s = 1;
  // When the engine has failed, or hangs for ten times its watchdog's time, all open answers end
  // with an error and fire() throws; a hanging engine cannot be stopped, and ends the process
  // (status 4). With several models: when no engine is left.
  bool exit_on_fault = false;
  // A model that is loading when fire() is to end cannot be stopped: end the process (status 0)
  // once running answers have ended, rather than wait for it.
  bool exit_while_loading = false;
  // SIGTERM and SIGINT drain, a second one stops at once; with TLS, SIGHUP reads its files anew.
  bool handle_signals = true;
};

class vSurgeApiServer {
 public:
  // surge must outlive the server.
  vSurgeApiServer(vSurge& surge, const ApiServerOptions& options = {});
  // Several models by name, as divide_memory() makes them. A request's `model` says which.
  vSurgeApiServer(std::map<std::string, vSurge> vsurge_map, const ApiServerOptions& options = {});
  // Throws what the constructor or fire() would throw about these, before a model is loaded.
  static void check_options(const ApiServerOptions& options, const FireOptions& fire = {});
  ~vSurgeApiServer();
  vSurgeApiServer(const vSurgeApiServer&) = delete;
  vSurgeApiServer& operator=(const vSurgeApiServer&) = delete;

  // Starts and warms the engine, listens, and returns when a signal or shutdown() has drained it;
  // the engine is stopped then. May be called again.
  void fire(const FireOptions& options = {});
  void run(const FireOptions& options = {}) { fire(options); }  // the seed's other name
  // Any thread: makes fire() drain and return.
  void shutdown();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vsurge
