#include "capacity/replica.h"

#include <algorithm>
#include <cmath>

#include "kernels/sample.h"

namespace vsurge::capacity {
namespace {

engine::TokenId not_the_end(const engine::EngineOptions& options) {
  engine::TokenId token = 0;
  while (std::ranges::find(options.eos_tokens, token) != options.eos_tokens.end()) ++token;
  return token;
}

}  // namespace

Replica::Replica(const engine::EngineOptions& options)
    : options_(options), answer_(not_the_end(options)), scheduler_(options) {
  CHECK(options.cost.known());
}

bool Replica::submit(engine::Ticket ticket, engine::Request request, base::Nanoseconds now) {
  const base::EngineLimits& limits = options_.limits;
  const std::size_t tokens = request.prompt.size();
  if (scheduler_.waiting_requests() + inbox_.size() >= limits.queue_requests_max ||
      scheduler_.waiting_tokens() + inbox_tokens_ + tokens > limits.queue_tokens_max) {
    return false;
  }
  if (plan_ == nullptr) {
    scheduler_.add(ticket, std::move(request), now);
  } else {
    inbox_tokens_ += tokens;
    inbox_.emplace_back(ticket, std::move(request));
  }
  return true;
}

bool Replica::begin_step(base::Nanoseconds now) {
  if (plan_ != nullptr) return false;
  const engine::StepPlan& plan = scheduler_.plan(now);
  result_.reset(plan);
  if (plan.empty()) {
    scheduler_.commit(result_, now);
    return false;
  }
  plan_ = &plan;
  const double ns = std::clamp(options_.cost.predict_ns(plan.load), 1.0, 1.0 * kEndOfTime);
  step_end_ = std::min<base::Nanoseconds>(kEndOfTime, now + std::llround(ns));
  return true;
}

std::span<const engine::Event> Replica::end_step() {
  CHECK(plan_ != nullptr);
  for (kernels::SampleResult& row : result_.rows) {
    row.status = kernels::SampleStatus::kOk;
    row.token = answer_;
  }
  plan_ = nullptr;
  const std::span<const engine::Event> events = scheduler_.commit(result_, step_end_);
  for (auto& [ticket, request] : inbox_) scheduler_.add(ticket, std::move(request), step_end_);
  inbox_.clear();
  inbox_tokens_ = 0;
  return events;
}

}  // namespace vsurge::capacity
