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

bool speaks_anthropic(Target target) {
  return target == Target::kMessages || target == Target::kMessagesCount;
}

}  // namespace

// The exchanges share the core and may outlive the service; the workers end with it.
struct Service::State {
  State(ServiceOptions options, const text::TextAssets& assets, engine::Engine& engine,
        EventRouter& router, std::unique_ptr<ResponseStore> store_in)
      : store(store_in != nullptr ? std::move(store_in) : make_memory_store({})),
        core(std::make_shared<ServiceCore>(std::move(options), assets, engine, router, store)),
        workers(std::max(core->options.text_workers, 1),
                std::max<std::size_t>(core->options.text.text_queue_requests_max, 1)) {}

  struct Call {
    HttpRequest request;
    std::shared_ptr<Responder> responder;
    std::shared_ptr<RequestRecord> record;
  };

  using ErrorJson = std::string (*)(const ApiError& error);
  void dispatch(Call call, const RouteMatch& match);
  void generate(Call call, const GenerationEndpoint& endpoint);
  void answer_plainly(Call call, PlainAnswer answer, ErrorJson json = error_json);
  void pool(Call call, PreparePooled prepare);
  void send(const Call& call, int status, std::string body, Headers headers = {});
  std::optional<ApiError> obstacle(const Call& call) const;
  void tell_metrics(const Call& call);
  void answer_stored(const Call& call, const RouteMatch& match);
  void refuse(const Call& call, const ApiError& error, Headers headers = {},
              ErrorJson json = error_json);

  const std::shared_ptr<ResponseStore> store;
  const std::shared_ptr<ServiceCore> core;
  StatsLine stats;
  base::WorkerPool workers;
};

void Service::State::send(const Call& call, int status, std::string body, Headers headers) {
  if (!body.empty()) headers.emplace_back("Content-Type", "application/json");
  call.responder->send(status, std::move(headers), std::move(body));
}

void Service::State::refuse(const Call& call, const ApiError& error, Headers headers,
                            ErrorJson json) {
  for (auto& header : core->error_headers(error)) headers.push_back(std::move(header));
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
      return send(call, 200, models_json(*core));
    case Target::kModel:
      if (core->knows_model(match.id)) return send(call, 200, model_json(*core, match.id));
      return refuse(
          call,
          from_base({ErrorCode::kModelNotFound,
                     fmt::format("The model {} does not exist.", in_quotes(match.id)), "model"}));
    case Target::kTools:
      return send(call, 200, tools_json(*core));
    case Target::kOpenApi:
      return send(call, 200, openapi_json(*core));
    case Target::kDocs:
      return call.responder->send(200, {{"Content-Type", "text/html; charset=utf-8"}},
                                  docs_html(*core));
    case Target::kLive:
      return send(call, 200, R"({"status":"live"})");
    case Target::kReady:
      return send(call, is_healthy(*core) ? 200 : 503, ready_json(*core));
    case Target::kHealth:
      return send(call, is_healthy(*core) ? 200 : 503, health_json(*core));
    case Target::kMetrics:
      return tell_metrics(call);
    case Target::kVersion:
      return send(call, 200, version_json(*core));
    case Target::kEngine:
    case Target::kEnginePause:
    case Target::kEngineDrain:
    case Target::kEngineResume:
    case Target::kCacheReset:
      return send(call, 200, answer_admin(*core, match.route->target));
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
  if (wants_json(call.request.header("accept"))) return send(call, 200, metrics_json(*core));
  call.responder->send(200, {{"Content-Type", std::string(kMetricsType)}}, metrics_text(*core));
}

void Service::State::answer_stored(const Call& call, const RouteMatch& match) {
  const auto result =
      answer_of_store(match.route->target, {*core, match.id, call.record->key.get()});
  if (result) return send(call, 200, *result);
  refuse(call, result.error());
}

// What keeps a request from being read, if anything does.
std::optional<ApiError> Service::State::obstacle(const Call& call) const {
  if (core->shutting_down.load(std::memory_order_relaxed)) {
    return from_base({ErrorCode::kShuttingDown, "The server is shutting down.", ""});
  }
  if (core->draining.load(std::memory_order_relaxed)) {
    return from_base(
        {ErrorCode::kShuttingDown, "The server is drained; it takes no new work.", ""});
  }
  if (core->loading.load(std::memory_order_relaxed)) {
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

void Service::State::answer_plainly(Call call, PlainAnswer answer, ErrorJson json) {
  if (const auto error = obstacle(call)) return refuse(call, *error, {}, json);
  answer_on_worker({core, std::move(call.responder), std::move(call.record), json},
                   std::move(call.request.body), workers, answer);
}

void Service::State::pool(Call call, PreparePooled prepare) {
  if (const auto error = obstacle(call)) return refuse(call, *error);
  const auto pooled = std::make_shared<PooledCall>(
      PlainCall{core, std::move(call.responder), std::move(call.record)});
  pooled->start(std::move(call.request.body), workers, prepare);
}

void Service::State::generate(Call call, const GenerationEndpoint& endpoint) {
  if (const auto error = obstacle(call)) return refuse(call, *error, {}, endpoint.error_json);
  const auto exchange = std::make_shared<Exchange>(
      core, Exchange::Call{endpoint, std::move(call.responder), std::move(call.record)});
  exchange->start(std::move(call.request.body), workers);
}

Service::Service(ServiceOptions options, const text::TextAssets& assets, engine::Engine& engine,
                 EventRouter& router, std::unique_ptr<ResponseStore> store)
    : state_(
          std::make_unique<State>(std::move(options), assets, engine, router, std::move(store))) {
  CHECK(!state_->core->options.model_names.empty());
}

Service::~Service() = default;

void Service::handle(HttpRequest request, std::shared_ptr<Responder> responder) {
  const std::shared_ptr<ServiceCore>& core = state_->core;
  const std::string method = request.method;
  const std::string path = request.path;
  const RouteMatch match = match_route(method, path, routes_for(core->options, request));
  const auto record = std::make_shared<RequestRecord>(record_of(request));
  record->arrived = core->clock.now();
  if (record->id.empty()) record->id = core->new_id("req_");
  if (match.route != nullptr) record->route = match.route->path;
  if (core->options.log_requests) log_body(*record, request);
  const auto recorded = RecordedResponder::make(core, std::move(responder), record);
  recorded->add_headers(cors_headers(core->options.cors_origins, request));
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
    recorded->add_headers(preflight_headers(core->options.cors_origins, call.request));
    return state_->send(call, 204, "", {{"Allow", match.allow}});
  }
  if (match.route == nullptr) {
    return state_->refuse(
        call,
        from_base({ErrorCode::kMethodNotAllowed,
                   fmt::format("{} is for {}.", in_quotes(path), match.allow), ""}),
        {{"Allow", match.allow}});
  }
  const auto admitted = admit(*core, call.request, *match.route, *record);
  recorded->add_headers(rate_limit_headers(*core, *record));
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
  record.arrived = record.ended = state_->core->clock.now();
  state_->core->tell_ended(record);
  return error_json(error);
}

void Service::log_stats() {
  state_->stats.log(*state_->core);
}

void Service::set_loading(bool loading) {
  state_->core->loading.store(loading);
}

void Service::begin_shutdown() {
  state_->core->shutting_down.store(true);
}

}  // namespace vsurge::api
