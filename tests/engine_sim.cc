#include "tests/engine_sim.h"

#include <algorithm>
#include <array>

#include "kernels/sample.h"

namespace vsurge::engine {

void PagePoolPeer::free_early(PagePool& pool, std::int32_t page) {
  pool.holders_[static_cast<std::size_t>(page)] = 0;
  pool.free_.push_back(page);
  --pool.used_;
  ++pool.freed_;
}

bool PagePoolPeer::lose(PagePool& pool) {
  if (pool.free_.empty()) return false;
  pool.free_.pop_back();
  return true;
}

namespace sim {

namespace {

// Tickets are submitted in their order.
bool in_order(const Sequence& a, const Sequence& b) {
  return a.priority != b.priority ? a.priority < b.priority : a.ticket < b.ticket;
}

}  // namespace

template <class... Args>
void Simulation::report(const char* format, Args... args) {
  if (fault_.empty()) fault_ = fmt::format(fmt::runtime(format), args...);
}

EngineOptions Simulation::draw_options(Random& random) {
  EngineOptions options;
  constexpr std::array kPageSizes = {1, 2, 3, 4, 8, 16};
  options.page_size = kPageSizes[static_cast<std::size_t>(random.between(0, 5))];
  options.pages = random.between(2, random.chance(50) ? 12 : 60);
  options.context_max = random.between(2, random.chance(50) ? 24 : 90);
  options.max_batched_tokens = random.between(1, random.chance(50) ? 6 : 64);
  options.max_concurrent_decodes = random.between(1, 12);
  options.max_concurrent_prefill = random.between(1, 4);
  options.prefill_chunk_max = random.chance(50) ? 0 : random.between(1, 9);
  if (random.chance(40)) {
    // Barely more than one sequence needs: preemption is the rule.
    options.pages = std::max(2, options.context_max / options.page_size + random.between(0, 3));
  }
  options.vocabulary = random.between(3, 60);
  options.eos_tokens = {0};
  if (random.chance(30)) options.eos_tokens.push_back(options.vocabulary - 1);
  options.seed = random.next();
  return options;
}

Simulation::Simulation(std::uint64_t seed)
    : random_(mix(seed, 1)),
      options_(draw_options(random_)),
      scheduler_(std::make_unique<Scheduler>(options_)),
      oracle_(options_) {
  arrival_ = random_.between(5, 90);
  cancel_ = random_.chance(50) ? 0 : random_.between(1, 20);
  deadline_ = random_.chance(50) ? 0 : random_.between(1, 40);
  error_ = random_.chance(70) ? 0 : random_.between(1, 20);
  priorities_ = random_.chance(60) ? 0 : 2;
  prompt_max_ = random_.between(1, options_.context_max + 2);
  answer_max_ = random_.between(1, (options_.context_max + 3) / 2);
}

void Simulation::arrive() {
  Story story;
  story.ticket = ++last_ticket_;
  story.prompt = random_.between(random_.chance(95) ? 1 : 0,
                                 random_.chance(70) ? (prompt_max_ + 3) / 4 : prompt_max_);
  for (int i = 0; i < story.prompt; ++i) {
    story.tokens.push_back(random_.between(0, options_.vocabulary - 1));
  }
  SamplingParams& sampling = story.sampling;
  sampling.temperature = static_cast<float>(random_.between(0, 20)) / 10.0F;
  sampling.top_p = static_cast<float>(random_.between(1, 10)) / 10.0F;
  sampling.min_p = static_cast<float>(random_.between(0, 10)) / 10.0F;
  sampling.top_k = random_.between(0, 5);
  sampling.ignore_eos = random_.chance(40);
  if (random_.chance(50)) sampling.seed = random_.next();
  if (random_.chance(70)) {
    const int room = std::max(1, sequence_tokens_max(options_) - story.prompt);
    const bool may_fail = random_.chance(10);
    sampling.max_tokens = random_.between(1, may_fail ? answer_max_ : std::min(answer_max_, room));
  }
  if (random_.chance(20)) {
    sampling.stop_token_ids.push_back(random_.between(0, options_.vocabulary - 1));
  }
  story.seed = sampling.seed.value_or(kernels::random_bits(options_.seed, story.ticket));
  story.priority = random_.between(-priorities_, priorities_);
  if (random_.chance(deadline_)) story.deadline = now_ + random_.between(0, 60);
  if (random_.chance(error_)) story.error_at = story.prompt + random_.between(0, 6);

  Request request;
  request.prompt = story.tokens;
  request.sampling = sampling;
  request.priority = story.priority;
  if (story.deadline > 0) request.deadline = story.deadline;
  // What can never fit is refused, and nothing else is.
  const int answer = sampling.max_tokens.value_or(1);
  const bool fits =
      story.prompt >= 1 && story.prompt + answer <= options_.context_max &&
      (story.prompt + answer + options_.page_size - 1) / options_.page_size <= options_.pages;
  const bool accepted = check_request(options_, request).has_value();
  if (accepted != fits) {
    report("prompt {} answer {}: {}", story.prompt, answer, accepted ? "accepted" : "refused");
  }
  if (!accepted) {
    ++seen_.refused;
    return;
  }
  ++seen_.requests;
  const Ticket ticket = story.ticket;
  oracle_.add(std::move(story));
  scheduler_->add(ticket, std::move(request));
}

void Simulation::cancel_some() {
  if (last_ticket_ == 0 || !random_.chance(cancel_)) return;
  // Also tickets that never were, were refused, or have ended.
  const auto ticket = static_cast<Ticket>(random_.between(1, static_cast<int>(last_ticket_) + 1));
  const auto found = oracle_.stories().find(ticket);
  if (found != oracle_.stories().end() && !found->second.ended) {
    found->second.cancelled = true;
    ++(found->second.started ? seen_.cancelled_running : seen_.cancelled_waiting);
  }
  scheduler_->cancel(ticket);
}

void Simulation::take_end(const Event& event, Story& story) {
  const auto sampled =
      static_cast<int>(story.received.size()) + (event.reason == FinishReason::kStop ? 1 : 0);
  if (event.usage.prompt_tokens != story.prompt || event.usage.completion_tokens != sampled) {
    report("ticket {}: usage {} + {}", event.ticket, event.usage.prompt_tokens,
           event.usage.completion_tokens);
  }
  story.ended = true;
  ++ends_;
  if (event.reason == FinishReason::kCancelled) {
    if (!story.cancelled) report("ticket {}: nobody cancelled it", event.ticket);
    return;
  }
  if (story.cancelled) report("ticket {}: cancelled, but ended otherwise", event.ticket);
  if (event.reason == FinishReason::kError &&
      event.error.code == base::ErrorCode::kDeadlineExceeded) {
    if (story.deadline == 0 || story.deadline > now_) report("ticket {}: too early", event.ticket);
    ++seen_.deadlines;
    return;
  }
  if (event.reason != story.reason || story.received != story.answer ||
      (event.reason == FinishReason::kStop && event.stop_token != story.stop_token)) {
    report("ticket {}: {} tokens and reason {}, alone {} and {}", event.ticket,
           story.received.size(), static_cast<int>(event.reason), story.answer.size(),
           static_cast<int>(story.reason));
  }
  if (event.reason == FinishReason::kError) ++seen_.errors;
  if (event.reason == FinishReason::kLength && !story.sampling.max_tokens) ++seen_.full_context;
}

void Simulation::take(std::span<const Event> events) {
  for (const Event& event : events) {
    trace_ = mix(mix(trace_, event.ticket),
                 static_cast<std::uint64_t>(event.token) * 2 + (event.is_end ? 1 : 0));
    const auto found = oracle_.stories().find(event.ticket);
    if (found == oracle_.stories().end()) return report("event of no one: {}", event.ticket);
    Story& story = found->second;
    if (story.ended) return report("ticket {}: an event after its end", event.ticket);
    if (event.is_end) {
      take_end(event, story);
      continue;
    }
    story.received.push_back(event.token);
    if (story.received.size() > story.answer.size() ||
        story.answer[story.received.size() - 1] != event.token) {
      return report("ticket {}: token {} differs from its solo run", event.ticket,
                    story.received.size());
    }
  }
}

void Simulation::check_plan(const StepPlan& plan) {
  int tokens = 0;
  int prompts = 0;
  for (const PlannedSequence& planned : plan.sequences) {
    const auto count = static_cast<int>(planned.tokens.size());
    tokens += count;
    const auto found = oracle_.stories().find(planned.ticket);
    if (found == oracle_.stories().end()) return report("a plan for no one: {}", planned.ticket);
    const Story& story = found->second;
    // Reading: more than the one token of a decoding sequence is still to be computed.
    if (count > 1 || !planned.wants_token || !story.started) ++prompts;
    if (!planned.wants_token) ++seen_.chunks;
    if (options_.prefill_chunk_max > 0 && count > options_.prefill_chunk_max) {
      report("a chunk of {} tokens, at most {}", count, options_.prefill_chunk_max);
    }
    if (story.deadline > 0 && story.deadline <= now_) report("past its deadline, but planned");
  }
  const auto sequences = static_cast<int>(plan.sequences.size());
  if (tokens != plan.tokens || tokens > options_.max_batched_tokens) {
    report("{} tokens in a step of {}", tokens, options_.max_batched_tokens);
  }
  if (prompts > options_.max_concurrent_prefill) {
    report("{} prompts at once, at most {}", prompts, options_.max_concurrent_prefill);
  }
  if (sequences > options_.max_concurrent_decodes) report("{} sequences at once", sequences);
  if (plan.empty() != (alive() == 0)) report("an empty step and {} sequences", alive());
  check_admission(plan);
  check_reserve(plan);
}

// Who is admitted leaves the pages that running sequences may ask for in the next step.
void Simulation::check_reserve(const StepPlan& plan) {
  bool admitted = false;
  int growth = 0;
  const auto& running = SchedulerPeer::running(*scheduler_);
  for (const PlannedSequence& planned : plan.sequences) {
    admitted |= planned.first == 0;
    if (!planned.wants_token) continue;
    const auto found = std::find_if(running.begin(), running.end(),
                                    [&](const Sequence* s) { return s->ticket == planned.ticket; });
    if (found == running.end()) return report("ticket {} is planned, not running", planned.ticket);
    const Sequence& s = **found;
    const bool grows = s.length() + 1 < s.tokens_max;
    const auto held = static_cast<int>(s.pages.size()) * options_.page_size;
    growth += grows && s.length() + 1 > held ? 1 : 0;
  }
  if (admitted && scheduler_->pool().free() < growth) {
    report("step {}: admitted with {} pages free, {} needed next", plan.step,
           scheduler_->pool().free(), growth);
  }
}

// Nobody overtakes one who waits before him: who starts now goes before all who still wait.
void Simulation::check_admission(const StepPlan& plan) {
  const auto& waiting = SchedulerPeer::waiting(*scheduler_);
  if (waiting.empty()) return;
  const Sequence& first = **waiting.begin();
  for (const Sequence* s : SchedulerPeer::running(*scheduler_)) {
    const bool starts = !oracle_.story(s->ticket).started;
    if (starts && goes_before(first, *s)) {
      report("step {}: ticket {} overtook {}", plan.step, s->ticket, first.ticket);
    }
  }
}

void Simulation::check_state() {
  for (const Sequence* s : SchedulerPeer::waiting(*scheduler_)) {
    if (s->computed != 0 || !s->pages.empty()) report("ticket {} waits with pages", s->ticket);
    Story& story = oracle_.story(s->ticket);
    if (s->preemptions < Scheduler::kPreemptionsMax || story.last_preempted) continue;
    story.last_preempted = true;
    ++seen_.last_preemptions;
  }
  const Sequence* before = nullptr;
  for (const Sequence* s : SchedulerPeer::waiting(*scheduler_)) {
    if (before != nullptr && !in_order(*before, *s)) report("ticket {} lost its place", s->ticket);
    before = s;
  }
  const auto& running = SchedulerPeer::running(*scheduler_);
  for (std::size_t i = 0; i < running.size(); ++i) {
    const Sequence& s = *running[i];
    if (s.computed < 0 || s.computed >= s.length()) report("ticket {}: computed", s.ticket);
    if (s.preemptions > Scheduler::kPreemptionsMax) report("ticket {}: preempted", s.ticket);
    if (s.ended) report("ticket {} runs after its end", s.ticket);
    if (i > 0 && !in_order(*running[i - 1], s)) report("ticket {} runs out of order", s.ticket);
    if (s.tokens != oracle_.story(s.ticket).tokens) report("ticket {}: tokens", s.ticket);
  }
  const EngineMetrics metrics = scheduler_->metrics();
  const auto ends =
      metrics.requests_finished + metrics.requests_cancelled + metrics.requests_failed;
  if (ends != ends_ || ends + static_cast<std::uint64_t>(alive()) != seen_.requests) {
    report("{} ends counted, {} seen, {} alive of {}", ends, ends_, alive(), seen_.requests);
  }
  seen_.preemptions = metrics.preemptions;
}

// Every page is free, or in exactly one sequence, as often as it is counted.
void Simulation::check_pages() {
  const PagePool& pool = scheduler_->pool();
  if (const std::string audit = pool.audit(); !audit.empty()) return report("{}", audit);
  std::vector<int> holders(static_cast<std::size_t>(pool.total()), 0);
  for (const Sequence* s : SchedulerPeer::running(*scheduler_)) {
    const int needed = (s->computed + options_.page_size - 1) / options_.page_size;
    if (static_cast<int>(s->pages.size()) < needed) report("ticket {}: too few pages", s->ticket);
    for (const std::int32_t page : s->pages) ++holders[static_cast<std::size_t>(page)];
  }
  int used = 0;
  for (std::int32_t page = 0; page < pool.total(); ++page) {
    const int held = holders[static_cast<std::size_t>(page)];
    if (held > 1) report("page {} is in {} places", page, held);
    if (held != pool.holders(page)) {
      report("page {} has {} holders, {} counted", page, held, pool.holders(page));
    }
    used += held > 0 ? 1 : 0;
    if (held == 0) oracle_.poison(page);
  }
  if (used != pool.used()) report("{} pages used, {} counted", used, pool.used());
}

void Simulation::step() {
  if (saboteur_) saboteur_(*scheduler_, random_);
  StepPlan plan = scheduler_->plan(now_);
  check_plan(plan);
  if (plan_saboteur_) plan_saboteur_(plan, random_);
  result_.sequences.clear();
  result_.sequences.resize(plan.sequences.size());
  if (!plan.empty()) {
    oracle_.run(plan, result_);
    ++seen_.steps;
    if (!oracle_.fault().empty()) return report("{}", oracle_.fault());
  }
  take(scheduler_->commit(result_));
  check_state();
  check_pages();
  now_ += random_.between(0, 3);
}

std::string Simulation::run() {
  const int load_steps = random_.between(1, 80);
  for (int i = 0; i < load_steps && fault_.empty(); ++i) {
    for (int burst = 0; burst < 4 && random_.chance(arrival_); ++burst) arrive();
    cancel_some();
    step();
  }
  // The load stops: every step computes a token at least, so the work that is left bounds the
  // steps that are left.
  std::int64_t work = 1;
  for (const auto& [ticket, story] : oracle_.stories()) {
    const auto most = story.prompt + static_cast<int>(story.answer.size()) + 1;
    if (!story.ended) work += most * (Scheduler::kPreemptionsMax + 1);
  }
  for (; alive() > 0 && fault_.empty(); --work) {
    if (work == 0) report("{} sequences do not end", alive());
    step();
  }
  if (fault_.empty() && scheduler_->pool().used() != 0) report("pages are left");
  return fault_;
}

}  // namespace sim
}  // namespace vsurge::engine
