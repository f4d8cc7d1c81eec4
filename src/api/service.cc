#include "api/service.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "api/admin.h"
#include "api/anthropic.h"
#include "api/chat.h"
#include "api/completions.h"
#include "api/cors.h"
#include "api/embeddings.h"
#include "api/exchange.h"
#include "api/guard.h"
#include "api/info.h"
#include "api/limits.h"
#include "api/metrics.h"
#include "api/model_admin.h"
#include "api/model_choice.h"
#include "api/openapi.h"
#include "api/plain_call.h"
#include "api/recorded_responder.h"
#include "api/request_log.h"
#include "api/rerank.h"
#include "api/responses.h"
#include "api/routes.h"
#include "api/service_core.h"
#include "api/stats_line.h"
#include "api/tokens.h"
#include "base/worker_pool.h"

namespace vsurge::api {
namespace {

using base::ErrorCode;

bool equal_ignoring_case(std::string_view a, std::string_view lower_case) {
  return std::ranges::equal(a, lower_case, [](char x, char y) {
    return (x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x) == y;
  });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// application/json, and as its only parameter charset=utf-8. No header at all is taken as JSON.
bool is_json_type(std::string_view header) {
  if (header.empty()) return true;
  const std::size_t semicolon = header.find(';');
  if (!equal_ignoring_case(trimmed(header.substr(0, semicolon)), "application/json")) return false;
  if (semicolon == std::string_view::npos) return true;
  const std::string_view parameter = trimmed(header.substr(semicolon + 1));
  return parameter.empty() || equal_ignoring_case(parameter, "charset=utf-8") ||
         equal_ignoring_case(parameter, "charset=\"utf-8\"");
}

RouteSet routes_for(const ServiceOptions& options, const HttpRequest& request) {
  if (request.door == Door::kAdmin) return RouteSet::kAdmin;
  return options.admin_door ? RouteSet::kPublic : RouteSet::kAll;
}

bool all_drained(const ServiceHub& hub) {
  const auto models = hub.models.list();
  return !models->empty() && std::ranges::all_of(*models, [](const ModelEntry& model) {
    return model.core != nullptr && model.core->draining.load(std::memory_order_relaxed);
  });
}

bool speaks_anthropic(Target target) {
  return target == Target::kMessages || target == Target::kMessagesCount;
}

}  // namespace

// The exchanges share the hub and may outlive the service; the workers end with it.
struct Service::State {
  State(ServiceOptions options, std::unique_ptr<ResponseStore> store, ModelLoader* loader)
      : hub(std::make_shared<ServiceHub>(std::move(options), std::move(store))),
        workers(std::max(hub->options.text_workers, 1),
                std::max<std::size_t>(hub->options.text.text_queue_requests_max, 1)),
        model_admin(hub, loader) {}

  struct Call {
    HttpRequest request;
    std::shared_ptr<Responder> responder;
    std::shared_ptr<RequestRecord> record;
  };

  using ErrorJson = std::string (*)(const ApiError& error);
  void dispatch(Call call, const RouteMatch& match);
  void generate(Call call, const GenerationEndpoint& endpoint);
  template <class Answer>  // PlainAnswer or ModellessAnswer
  void answer_plainly(Call call, Answer answer, ErrorJson json = error_json);
  void pool(Call call, PreparePooled prepare);
  void send(const Call& call, int status, std::string body, Headers headers = {});
  std::optional<ApiError> obstacle(const Call& call) const;
  void tell_metrics(const Call& call);
  void tell_model(const Call& call, std::string_view name);
  void probe(const Call& call, Probe (*answer)(const ServiceHub& hub, const ModelEntry* model));
  void rule(const Call& call, Target target);
  void answer_stored(const Call& call, const RouteMatch& match);
  void refuse(const Call& call, const ApiError& error, Headers headers = {},
              ErrorJson json = error_json);

  const std::shared_ptr<ServiceHub> hub;
  StatsLine stats;
  base::WorkerPool workers;
  ModelAdmin model_admin;
};

void Service::State::send(const Call& call, int status, std::string body, Headers headers) {
  if (!body.empty()) headers.emplace_back("Content-Type", "application/json");
  call.responder->send(status, std::move(headers), std::move(body));
}

void Service::State::refuse(const Call& call, const ApiError& error, Headers headers,
                            ErrorJson json) {
  for (auto& header : hub->error_headers(error)) headers.push_back(std::move(header));
  call.record->error_code = error.code;
  call.responder->send(error.status, std::move(headers), json(error));
}

void Service::State::dispatch(Call call, const RouteMatch& match) {
  switch (match.route->target) {
    case Target::kChat:
      return generate(std::move(call), kChatEndpoint);
    case Target::kCompletions:
      return generate(std::move(call), kCompletionsEndpoint);
    case Target::kMessages:
      return generate(std::move(call), kAnthropicEndpoint);
    case Target::kMessagesCount:
      return answer_plainly(std::move(call), count_anthropic_tokens, anthropic_error_json);
    case Target::kResponses:
      return generate(std::move(call), kResponsesEndpoint);
    case Target::kResponseTokens:
      return answer_plainly(std::move(call), count_response_tokens);
    case Target::kConversations:
      return answer_plainly(std::move(call), create_conversation);
    case Target::kResponse:
    case Target::kResponseErase:
    case Target::kResponseCancel:
    case Target::kResponseItems:
    case Target::kConversation:
    case Target::kConversationErase:
    case Target::kConversationItems:
      return answer_stored(call, match);
    case Target::kModels:
      return send(call, 200, models_json(*hub, call.record->key.get()));
    case Target::kModel:
      return tell_model(call, match.id);
    case Target::kTools:
      return send(call, 200, tools_json(*hub, call.record->key.get()));
    case Target::kOpenApi:
      return send(call, 200, openapi_json(*hub));
    case Target::kDocs:
      return call.responder->send(200, {{"Content-Type", "text/html; charset=utf-8"}},
                                  docs_html(*hub));
    case Target::kLive:
      return send(call, 200, R"({"status":"live"})");
    case Target::kReady:
      return probe(call, answer_ready);
    case Target::kHealth:
      return probe(call, answer_health);
    case Target::kMetrics:
      return tell_metrics(call);
    case Target::kVersion:
      return send(call, 200, version_json(*hub));
    case Target::kEngine:
    case Target::kEnginePause:
    case Target::kEngineDrain:
    case Target::kEngineResume:
    case Target::kCacheReset:
      return rule(call, match.route->target);
    case Target::kModelLoad:
      return model_admin.load({hub, call.responder, call.record}, call.request.body);
    case Target::kModelUnload:
      return model_admin.unload({hub, call.responder, call.record}, call.request.body);
    case Target::kTokenize:
      return answer_plainly(std::move(call), &tokenize_json);
    case Target::kDetokenize:
      return answer_plainly(std::move(call), &detokenize_json);
    case Target::kApplyTemplate:
      return answer_plainly(std::move(call), &apply_template_json);
    case Target::kEmbeddings:
      return pool(std::move(call), &prepare_embeddings);
    case Target::kRerank:
      return pool(std::move(call), &prepare_rerank);
    case Target::kScore:
      return pool(std::move(call), &prepare_score);
  }
}

void Service::State::tell_metrics(const Call& call) {
  if (wants_json(call.request.header("accept"))) return send(call, 200, metrics_json(*hub));
  call.responder->send(200, {{"Content-Type", std::string(kMetricsType)}}, metrics_text(*hub));
}

void Service::State::tell_model(const Call& call, std::string_view name) {
  const auto model = find_model(*hub, name, call.record->key.get());
  if (!model) return refuse(call, model.error());
  send(call, 200, model_json(*model, name));
}

void Service::State::probe(const Call& call,
                           Probe (*answer)(const ServiceHub& hub, const ModelEntry* model)) {
  const auto name = model_asked_for(call.request);
  if (!name) return refuse(call, name.error());
  if (name->empty()) {
    Probe made = answer(*hub, nullptr);
    return send(call, made.status, std::move(made.body));
  }
  const auto model = find_model(*hub, *name, nullptr);
  if (!model) return refuse(call, model.error());
  Probe made = answer(*hub, &*model);
  send(call, made.status, std::move(made.body));
}

void Service::State::rule(const Call& call, Target target) {
  const auto answer = answer_admin(*hub, target, call.request);
  if (!answer) return refuse(call, answer.error());
  send(call, 200, *answer);
}

void Service::State::answer_stored(const Call& call, const RouteMatch& match) {
  const StoredCall stored{*hub, match.id, call.record->key.get()};
  if (match.route->target == Target::kResponse) {
    const auto events = events_of_store(stored, call.request.query);
    if (!events) return refuse(call, events.error());
    if (events->run != nullptr) {
      const auto keep_alive = static_cast<int>(hub->options.sse_keep_alive / 1'000'000);
      return events->run->subscribe(call.responder, events->first, keep_alive);
    }
  }
  if (match.route->target == Target::kResponseCancel) {
    const auto run = run_to_cancel(stored);
    if (!run) return refuse(call, run.error());
    if (*run != nullptr) {
      return (*run)->cancel([responder = call.responder, run = *run] {
        responder->post([responder, body = run->response().object] {
          responder->send(200, {{"Content-Type", "application/json"}}, body);
        });
      });
    }
  }
  const auto result = answer_of_store(match.route->target, stored);
  if (result) return send(call, 200, *result);
  refuse(call, result.error());
}

// What keeps a request from being read, if anything does.
std::optional<ApiError> Service::State::obstacle(const Call& call) const {
  if (hub->shutting_down.load(std::memory_order_relaxed)) {
    return from_base({ErrorCode::kShuttingDown, "The server is shutting down.", ""});
  }
  if (all_drained(*hub)) {
    return from_base(
        {ErrorCode::kShuttingDown, "The server is drained; it takes no new work.", ""});
  }
  if (hub->loading.load(std::memory_order_relaxed)) {
    return from_base({ErrorCode::kLoading, "The model is being loaded; try again soon.", ""});
  }
  const std::string_view type = call.request.header("content-type");
  const std::string_view coding = call.request.header("content-encoding");
  if (!is_json_type(type)) {
    return from_base(
        {ErrorCode::kUnsupportedMediaType,
         fmt::format("The Content-Type must be application/json; found {}.", in_quotes(type)), ""});
  }
  if (!coding.empty() && !equal_ignoring_case(coding, "identity")) {
    return from_base(
        {ErrorCode::kUnsupportedMediaType, "Bodies with a Content-Encoding are not accepted.", ""});
  }
  return std::nullopt;
}

template <class Answer>
void Service::State::answer_plainly(Call call, Answer answer, ErrorJson json) {
  if (const auto error = obstacle(call)) return refuse(call, *error, {}, json);
  answer_on_worker({hub, std::move(call.responder), std::move(call.record), json},
                   std::move(call.request.body), workers, answer);
}

void Service::State::pool(Call call, PreparePooled prepare) {
  if (const auto error = obstacle(call)) return refuse(call, *error);
  const auto pooled = std::make_shared<PooledCall>(
      PlainCall{hub, std::move(call.responder), std::move(call.record)});
  pooled->start(std::move(call.request.body), workers, prepare);
}

void Service::State::generate(Call call, const GenerationEndpoint& endpoint) {
  if (const auto error = obstacle(call)) return refuse(call, *error, {}, endpoint.error_json);
  const auto exchange = std::make_shared<Exchange>(
      hub, Exchange::Call{endpoint, std::move(call.responder), std::move(call.record)});
  exchange->start(std::move(call.request.body), workers);
}

Service::Service(ServiceOptions options, std::unique_ptr<ResponseStore> store, ModelLoader* loader)
    : state_(std::make_unique<State>(std::move(options), std::move(store), loader)) {}

// What is made in the background is given up here: its thread uses the engine.
Service::~Service() {
  state_->hub->background.queue()->stop();
}

void Service::add(const ServedModel& model) {
  ServiceHub& hub = *state_->hub;
  auto core = std::make_shared<ServiceCore>(hub, model);
  const std::string name = core->name();
  const auto begun = hub.models.begin_load(core->options.model_names);
  CHECK(begun, "{}", begun.error().message);
  hub.models.end_load(name, std::move(core));
}

void Service::handle(HttpRequest request, std::shared_ptr<Responder> responder) {
  const std::shared_ptr<ServiceHub>& hub = state_->hub;
  const std::string method = request.method;
  const std::string path = request.path;
  const RouteMatch match = match_route(method, path, routes_for(hub->options, request));
  const auto record = std::make_shared<RequestRecord>(record_of(request));
  record->arrived = hub->clock.now();
  if (record->id.empty()) record->id = hub->new_id("req_");
  if (match.route != nullptr) record->route = match.route->path;
  if (hub->options.log_requests) log_body(*record, request);
  const auto recorded = RecordedResponder::make(hub, std::move(responder), record);
  recorded->add_headers(cors_headers(hub->options.cors_origins, request));
  State::Call call{std::move(request), recorded, record};
  if (match.route != nullptr && speaks_anthropic(match.route->target)) {
    recorded->add_headers({{"request-id", record->id}});
  }
  if (match.allow.empty()) {
    return state_->refuse(call,
                          from_base({ErrorCode::kRouteNotFound,
                                     fmt::format("There is no {} here.", in_quotes(path)), ""}));
  }
  if (method == "OPTIONS") {
    recorded->add_headers(preflight_headers(hub->options.cors_origins, call.request));
    return state_->send(call, 204, "", {{"Allow", match.allow}});
  }
  if (match.route == nullptr) {
    return state_->refuse(
        call,
        from_base({ErrorCode::kMethodNotAllowed,
                   fmt::format("{} is for {}.", in_quotes(path), match.allow), ""}),
        {{"Allow", match.allow}});
  }
  const auto admitted = admit(*hub, call.request, *match.route, *record);
  recorded->add_headers(rate_limit_headers(*hub, *record));
  if (admitted) return state_->dispatch(std::move(call), match);
  const bool unknown = admitted.error().status == 401;
  state_->refuse(call, admitted.error(),
                 unknown ? Headers{{"WWW-Authenticate", "Bearer"}} : Headers{},
                 speaks_anthropic(match.route->target) ? anthropic_error_json : error_json);
}

std::string Service::error_body(int status, std::string_view message, std::string_view peer) {
  const ApiError error = from_status(status, message);
  RequestRecord record;
  record.peer = peer;
  record.status = status;
  record.error_code = error.code;
  record.arrived = record.ended = state_->hub->clock.now();
  state_->hub->tell_ended(record);
  return error_json(error);
}

void Service::log_stats() {
  state_->stats.log(*state_->hub);
}

void Service::set_loading(bool loading) {
  state_->hub->loading.store(loading);
}

void Service::begin_shutdown() {
  state_->hub->shutting_down.store(true);
  state_->model_admin.give_up_loads();
}

bool Service::changes_models() const {
  return state_->model_admin.is_busy();
}

}  // namespace vsurge::api
