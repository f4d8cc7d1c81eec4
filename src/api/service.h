// Service: the OpenAI endpoints over the engines of one model or several.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "access/gatekeeper.h"
#include "api/event_router.h"
#include "api/http.h"
#include "api/model_loader.h"
#include "api/model_options.h"
#include "api/request_record.h"
#include "api/response_store.h"
#include "base/clock.h"
#include "base/limits.h"
#include "engine/engine.h"
#include "text/auto_tokenizer.h"

namespace vsurge::api {

// What is not of one model.
struct ServiceOptions {
  std::string version;  // of the program
  int text_workers = 1;
  bool trust_chat_template = false;  // requests may bring their own
  bool log_requests = false;         // bodies too, not only that they were answered
  bool warn_unknown_fields = false;  // they are told in a header, not refused
  // From a request's arrival to its beginning, and to its end; 0 = any time.
  base::Nanoseconds queue_timeout = 0;
  base::Nanoseconds request_timeout = 0;
  base::Nanoseconds sse_keep_alive = 0;  // without events, until a comment; 0 = never
  // Who may use the server; nullptr: everybody.
  std::shared_ptr<access::Gatekeeper> gatekeeper;
  // Admin routes are there for requests that come by Door::kAdmin alone, and want no key of them.
  bool admin_door = false;
  bool metrics_without_key = false;
  bool share_prefix_cache = false;        // between keys
  std::vector<std::string> cors_origins;  // whose pages may read answers; "*" = all
  base::JsonLimits json;
  base::HttpLimits http;
  base::TextLimits text;
  // Told of each request that has ended, in this order.
  std::vector<std::shared_ptr<RequestObserver>> observers;
};

class Service final : public HttpHandler {
 public:
  // store: where responses go; in memory where it is nullptr. loader, which outlives the service:
  // who brings models while it runs; nullptr: nobody.
  explicit Service(ServiceOptions options, std::unique_ptr<ResponseStore> store = nullptr,
                   ModelLoader* loader = nullptr);
  // Jobs at hand, loads and unloads too, end first.
  ~Service() override;

  // Before requests come, or while they do; its names must be free.
  void add(const ServedModel& model);

  void handle(HttpRequest request, std::shared_ptr<Responder> responder) override;
  std::string error_body(int status, std::string_view message, std::string_view peer) override;
  // Logs what was done since the last call, if anything was. One thread.
  void log_stats();
  // While it is, new work is refused with 503; /ready says so.
  void set_loading(bool loading);
  // From now on new work is refused with 503; /health says so.
  void begin_shutdown();
  // Whether a model is coming or going, which the destructor waits for.
  bool changes_models() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vsurge::api
