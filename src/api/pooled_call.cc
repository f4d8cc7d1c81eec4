#include "api/pooled_call.h"

#include <algorithm>
#include <utility>

#include "api/model_choice.h"

namespace vsurge::api {
namespace {

using base::ErrorCode;

// More wait here, so that a long list does not fill the engine's queue.
constexpr std::size_t kAtOnceMax = 64;

}  // namespace

PooledCall::PooledCall(PlainCall call) : call_(std::move(call)) {
  call_.hub->active_requests.fetch_add(1, std::memory_order_relaxed);
}

PooledCall::~PooledCall() {
  call_.hub->active_requests.fetch_sub(1, std::memory_order_relaxed);
  if (core_ != nullptr) core_->active_requests.fetch_sub(1, std::memory_order_relaxed);
}

void PooledCall::start(std::string body, base::WorkerPool& workers, PreparePooled prepare) {
  call_.responder->on_gone([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->on_gone();
  });
  const bool taken = post_text_work(
      call_.hub, workers, std::move(body),
      [self = shared_from_this(), prepare](const std::string& text) {
        auto prepared = std::make_shared<ApiResult<Prepared>>(self->read(text, prepare));
        self->call_.responder->post([self, prepared] { self->on_prepared(std::move(*prepared)); });
      });
  if (!taken) fail(workers_busy());
}

ApiResult<PooledCall::Prepared> PooledCall::read(std::string_view body, PreparePooled prepare) {
  auto core = VSURGE_TRY(choose_model(*call_.hub, body, call_.record->key.get()));
  auto request = prepare(*core, body, gone_);
  if (!request) return std::unexpected(std::move(request).error());
  return Prepared{std::move(core), std::move(*request)};
}

void PooledCall::on_prepared(ApiResult<Prepared> prepared) {
  if (done_) return;
  if (!prepared) return fail(prepared.error());
  if (call_.hub->shutting_down.load(std::memory_order_relaxed)) {
    return fail(from_base({ErrorCode::kShuttingDown, "The server is shutting down.", ""}));
  }
  core_ = std::move(prepared->core);
  core_->active_requests.fetch_add(1, std::memory_order_relaxed);
  request_ = std::move(prepared->request);
  call_.record->model = core_->name();
  call_.record->model_metrics = core_->metrics;
  call_.record->submitted = call_.hub->clock.now();
  tickets_.reserve(request_.prompts.size());
  submit_more();
}

void PooledCall::submit_more() {
  while (tickets_.size() < request_.prompts.size() && tickets_.size() - ended_ < kAtOnceMax) {
    const auto status = submit(tickets_.size());
    if (!status) return fail(from_base(status.error()));
  }
}

base::Status PooledCall::submit(std::size_t i) {
  engine::Request request;
  request.prompt = std::move(request_.prompts[i]);
  request.pooling = request_.pooling;
  const access::ApiKey* key = call_.record->key.get();
  request.client = key == nullptr ? request_.user : key->id;
  request.priority = request_.priority;
  core_->set_deadlines(call_.record->arrived, request_.timeout_seconds, request);
  engine::Engine& engine = core_->engine;
  const engine::Ticket ticket = engine.new_ticket();
  core_->router.add(ticket, &call_.responder->queue(),
                    [self = shared_from_this(), i](const std::vector<engine::Event>& events) {
                      for (const engine::Event& event : events) self->on_end(i, event);
                    });
  if (auto status = engine.submit(ticket, std::move(request)); !status) {
    core_->router.remove(ticket);
    return status;
  }
  tickets_.push_back(ticket);
  return {};
}

void PooledCall::on_end(std::size_t i, const engine::Event& event) {
  if (done_ || !event.is_end()) return;
  tickets_[i] = 0;
  if (event.reason == engine::FinishReason::kError) return fail(from_base(*event.error));
  if (event.reason != engine::FinishReason::kStop || event.pooled == nullptr) {
    return fail(from_base(
        {ErrorCode::kShuttingDown, "The server stopped before the answer was whole.", ""}));
  }
  prompt_tokens_ += event.usage.prompt_tokens;
  call_.record->queued = std::max(call_.record->queued, event.usage.queued);
  if (const auto taken = request_.answer->take(i, *event.pooled); !taken) {
    return fail(from_base(taken.error()));
  }
  ++ended_;
  if (ended_ < request_.prompts.size()) return submit_more();
  done_ = true;
  record_tokens();
  send_json(call_, request_.answer->json(*core_, prompt_tokens_));
}

void PooledCall::fail(const ApiError& error) {
  done_ = true;
  cancel_open();
  record_tokens();
  send_error(call_, error);
}

void PooledCall::cancel_open() {
  for (const engine::Ticket ticket : tickets_) {
    if (ticket != 0) core_->engine.cancel(ticket);
  }
}

void PooledCall::on_gone() {
  gone_.store(true, std::memory_order_relaxed);
  if (std::exchange(done_, true)) return;
  cancel_open();
  record_tokens();
}

void PooledCall::record_tokens() {
  call_.record->choices = static_cast<int>(tickets_.size());
  call_.record->stopped = static_cast<int>(ended_);
  call_.record->prompt_tokens = prompt_tokens_;
}

}  // namespace vsurge::api
