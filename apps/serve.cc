// vsurge serve: one command from a model to an OpenAI API.

#include <algorithm>
#include <memory>
#include <string>

#include "base/log.h"
#include "commands.h"
#include "model_list.h"
#include "model_options.h"
#include "service_manager.h"

namespace vsurge::apps {
namespace {

struct ServeOptions {
  ModelOptions model;
  ModelListOptions list;
  ApiServerOptions api;
  FireOptions fire;
  std::string unknown_fields = "refuse";
  std::string client_certificates = "required";
};

void add_server_options(OptionSet& set, ServeOptions& options) {
  options.fire.host = "127.0.0.1";  // the library keeps the original's 0.0.0.0
  options.fire.exit_on_fault = true;
  options.fire.exit_while_loading = true;
  // With the original's 1 a burst of short prompts would be read one a step.
  options.model.surge.max_concurrent_prefill = 8;
  set.add("--host", options.fire.host, "address to listen on; none = only where --listen says")
      ->capture_default_str();
  set.add("--port", options.fire.port, "0 = any free one")->capture_default_str();
  set.add(
      "--listen", options.fire.listen,
      "listen there, too: tcp:HOST:PORT or unix:PATH; several: once for each. Behind it ,tls or "
      ",plain and of unix ,mode=0660");
  set.add("--admin-listen", options.fire.admin_listen,
          "the same, for admin routes: they are there alone then, without a key");
  set.add("--ssl-keyfile", options.fire.ssl_keyfile, "PEM key, for HTTPS");
  set.add("--ssl-certfile", options.fire.ssl_certfile, "PEM certificate chain, for HTTPS");
  set.add("--ssl-ca-certs", options.fire.ssl_ca_certs,
          "PEM certificates of those who sign clients' certificates");
  set.add("--ssl-cert-reqs", options.client_certificates,
          "with --ssl-ca-certs: certificates of clients are required or optional")
      ->check(CLI::IsMember({"required", "optional"}))
      ->capture_default_str();
  set.add("--root-path", options.fire.root_path,
          "what clients may write before every path, as behind a proxy: /llm");
  set.add("--max-connections", options.fire.max_connections, "open at once; more get a 503")
      ->capture_default_str();
  set.add("--max-connections-per-address", options.fire.max_connections_per_address,
          "of one client; this machine's own are not limited")
      ->capture_default_str();
  set.add("--served-model-name", options.api.served_model_names,
          "names the model answers to: a,b; the first is shown in answers")
      ->delimiter(',');
  set.add("--speculative-tokens", options.model.surge.speculative_tokens,
          "tokens guessed per step from prompt and answer, for requests that do not ask for fewer; "
          "0 = off, 16 at most")
      ->capture_default_str();
  set.add("--max-workers", options.api.max_workers,
          "requests that are templated and tokenised at once; 0 = by the CPUs")
      ->capture_default_str();
  set.add("--max-request-size", options.api.max_request_size, "bytes of a request's body")
      ->capture_default_str();
  set.add("--max-queue-requests", options.model.surge.max_queue_requests,
          "that wait for a place in a step; more get a 429")
      ->capture_default_str();
  set.add("--max-queue-tokens", options.model.surge.max_queue_tokens, "of their prompts")
      ->capture_default_str();
  set.add("--queue-timeout", options.api.queue_timeout_s,
          "seconds a request may wait for its first step, else a 429; 0 = any time")
      ->capture_default_str();
  set.add("--request-timeout", options.api.request_timeout_s,
          "seconds a request may take in all; 0 = any time")
      ->capture_default_str();
  set.add("--watchdog", options.model.surge.watchdog_s,
          "seconds of one step after which the engine counts as stuck")
      ->capture_default_str();
  set.add("--exit-on-fault", options.fire.exit_on_fault,
          "end the process when the engine has failed or hangs; on unless --exit-on-fault=false");
  set.add("--failpoint", options.model.surge.failpoint, "")->group("");  // not in the help
  set.add("--sse-keep-alive", options.api.sse_keep_alive_s,
          "seconds without events after which a stream sends a comment; 0 = never")
      ->capture_default_str();
  set.add("--drain-timeout", options.api.drain_timeout_s,
          "seconds that running answers get after SIGTERM")
      ->capture_default_str();
}

void add_api_options(OptionSet& set, ServeOptions& options) {
  set.add("--tool-call-parser", options.api.tool_parser_name,
          "how the model writes tool calls: a name of docs/API.md, or auto")
      ->capture_default_str();
  set.add("--reasoning-parser", options.api.reasoning_parser_name,
          "how it marks its reasoning: a name of docs/API.md, auto or none")
      ->capture_default_str();
  set.add("--trust-request-chat-template", options.api.trust_request_chat_template,
          "requests may bring their own chat_template");
  set.add("--unknown-fields", options.unknown_fields,
          "fields of requests that nobody knows: refuse, or warn in a header")
      ->check(CLI::IsMember({"refuse", "warn"}))
      ->capture_default_str();
  set.add("--log-requests", options.api.log_requests,
          "log the bodies of requests, prompts included");
  set.add("--response-store", options.api.response_store,
          "SQLite file that keeps /v1/responses over restarts; default: in memory");
}

void add_access_options(OptionSet& set, ServeOptions& options) {
  set.add("--api-key", options.api.api_keys,
          "a key that clients must send, may do everything; several: once for each. Whoever lists "
          "the machine's processes sees it: VSURGE_API_KEY or --api-key-file hide it");
  set.add("--api-key-file", options.api.api_key_file,
          "keys of `vsurge keys`, read anew on changes");
  set.add("--metrics-without-key", options.api.metrics_without_key, "/metrics is open");
  set.add("--share-prefix-cache", options.api.share_prefix_cache,
          "between keys; a client can tell then whether another sent the same beginning");
  set.add("--cors-origin", options.api.cors_origins,
          "pages of browsers that may read answers: https://HOST or *; several: once for each");
}

void warn(const base::Status& told) {
  if (!told) base::log_warning("{}", told.error().message);
}

void connect(const ServiceManager& manager, FireOptions& fire) {
  fire.on_ready = [&manager](const std::string& url) {
    warn(manager.tell("READY=1\nSTATUS=serving at " + url));
  };
  fire.on_reloading = [&manager] { warn(manager.tell_reloading()); };
  fire.on_reloaded = [&manager] { warn(manager.tell("READY=1")); };
  fire.on_draining = [&manager] { warn(manager.tell("STOPPING=1\nSTATUS=draining")); };
  if (const auto watchdog = manager.watchdog_s()) {
    fire.on_progress = [&manager, told = true]() mutable {
      const auto now = manager.tell("WATCHDOG=1");
      if (told) warn(now);
      told = now.has_value();  // once until it is there again
    };
    fire.progress_every_s = std::clamp(*watchdog / 4, 0.01, 60.0);
  }
  const auto sockets = manager.sockets();
  if (!sockets) usage(sockets.error().message);
  if (!sockets->listen.empty()) fire.host = "none";  // they take its place
  fire.listen.insert(fire.listen.end(), sockets->listen.begin(), sockets->listen.end());
  fire.admin_listen.insert(fire.admin_listen.end(), sockets->admin_listen.begin(),
                           sockets->admin_listen.end());
}

int run_serve(ServeOptions& options, const Environment& environment) {
  options.fire.log_level = options.model.log_level;
  options.model.log_target = base::LogTarget::kStdout;
  options.fire.ssl_client_cert_optional = options.client_certificates == "optional";
  const ServiceManager manager(environment);
  connect(manager, options.fire);
  options.api.warn_unknown_fields = options.unknown_fields == "warn";
  options.api.runtime_models.folder = options.list.folder;
  vSurgeApiServer::check_options(options.api, options.fire);  // before a long load
  const std::vector<ListedModel> models = list_models(options.list);
  if (!is_single(options.list, models)) {
    auto vsurge_map = load_models(options.list, models, options.model, environment, options.api);
    vSurgeApiServer(std::move(vsurge_map), options.api).fire(options.fire);
    return 0;
  }
  options.model.model = models.front().path;
  vSurge surge = load_surge(options.model, environment);
  vSurgeApiServer(surge, options.api).fire(options.fire);
  return 0;
}

}  // namespace

Run add_serve(CLI::App& program) {
  CLI::App* command = program.add_subcommand("serve", "serve a model over the OpenAI API");
  const auto options = std::make_shared<ServeOptions>();
  const auto set = std::make_shared<OptionSet>(*command);
  add_server_options(*set, *options);
  add_api_options(*set, *options);
  add_access_options(*set, *options);
  add_model_list_options(*set, options->list);
  add_engine_options(*set, *command, options->model);
  return [options, set](const Environment& environment) {
    fill_options(*set, options->model, environment);
    return run_serve(*options, environment);
  };
}

}  // namespace vsurge::apps
