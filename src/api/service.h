// Service: the OpenAI endpoints over one engine.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/event_router.h"
#include "api/generation.h"
#include "api/http.h"
#include "api/pooled_options.h"
#include "base/limits.h"
#include "engine/engine.h"
#include "text/auto_tokenizer.h"

namespace vsurge::api {

// What the endpoints say about the served model and use of it. All references outlive the service.
struct ServiceOptions {
  std::vector<std::string> model_names;  // first is the one in answers; others are aliases
  std::string family;
  std::string version;      // of the program
  std::string fingerprint;  // system_fingerprint: of weights and numeric choices
  int context_max = 0;
  int prompt_max = 0;  // longest prompt; 0 = what leaves room for an answer
  int vocabulary = 0;
  int text_workers = 1;
  PooledOptions pooled;
  SamplingDefaults sampling;       // where a request says nothing
  int speculative_tokens_max = 0;  // see RequestContext
  base::JsonLimits json;
  base::HttpLimits http;
  base::TextLimits text;
};

class Service final : public HttpHandler {
 public:
  Service(ServiceOptions options, const text::TextAssets& assets, engine::Engine& engine,
          EventRouter& router);
  ~Service() override;

  void handle(HttpRequest request, std::shared_ptr<Responder> responder) override;
  std::string error_body(int status, std::string_view message) override;
  // From now on new work is refused with 503; /health says so.
  void begin_shutdown();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vsurge::api
