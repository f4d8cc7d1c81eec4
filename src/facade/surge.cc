#include "vsurge/surge.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "base/memory.h"
#include "engine/rehearsal.h"
#include "facade/auto_model_state.h"
#include "facade/auto_tokenizer_state.h"
#include "facade/engine_plan.h"
#include "facade/errors.h"
#include "facade/memory_plan.h"
#include "facade/surge_state.h"

namespace vsurge {
namespace {

using base::ErrorCode;
using base::fail;

// By all vSurges of the process, beside the one that is being made.
std::atomic<std::int64_t> taken_by_all = 0;

base::Status check_range(const char* name, std::int64_t value, std::int64_t least,
                         std::int64_t most) {
  if (value >= least && value <= most) return {};
  return fail(ErrorCode::kUsage, "{}: expected {} to {}, found {}", name, least, most, value);
}

base::Status check_options(const SurgeOptions& options, const AutoTokenizer& processor,
                           int vocabulary) {
  VSURGE_TRY(check_range("max_concurrent_decodes", options.max_concurrent_decodes, 1, 4096));
  VSURGE_TRY(check_range("max_concurrent_prefill", options.max_concurrent_prefill, 1, 4096));
  VSURGE_TRY(check_range("max_num_batched_tokens", options.max_num_batched_tokens, 1, 1 << 16));
  VSURGE_TRY(check_range("kv_cache_memory_bytes", options.kv_cache_memory_bytes, 0, 1LL << 50));
  const int page = options.page_size;
  if (page != 16 && page != 32 && page != 64 && page != 128) {
    return fail(ErrorCode::kUsage, "page_size: expected 16, 32, 64 or 128, found {}", page);
  }
  VSURGE_TRY(check_range("speculative_tokens", options.speculative_tokens, 0,
                         base::EngineLimits{}.speculative_tokens_max));
  if (!(options.target_step_ms >= 0 && options.target_step_ms <= 1e6)) {
    return fail(ErrorCode::kUsage, "target_step_ms: expected 0 to 1000000, found {}",
                options.target_step_ms);
  }
  if (!(options.watchdog_s > 0 && options.watchdog_s <= 86'400)) {
    return fail(ErrorCode::kUsage, "watchdog: expected more than 0 and at most 86400 s, found {}",
                options.watchdog_s);
  }
  if (!(options.hbm_utilization > 0 && options.hbm_utilization <= 1)) {
    return fail(ErrorCode::kUsage, "hbm_utilization: expected more than 0 and at most 1, found {}",
                options.hbm_utilization);
  }
  if (processor.padding_side != "left") {
    return fail(ErrorCode::kUsage,
                "processor.padding_side: expected left (prompts are never padded), found '{}'",
                processor.padding_side);
  }
  for (const std::int32_t id : options.extra_eos_token_ids) {
    VSURGE_TRY(check_range("extra_eos_token_ids", id, 0, vocabulary - 1));
  }
  if (processor.vocab_size() > vocabulary) {
    return fail(ErrorCode::kBadModel,
                "tokenizer: expected at most {} ids (the model's vocabulary), found {}", vocabulary,
                processor.vocab_size());
  }
  return {};
}

base::Result<int> length_of(const char* name, std::optional<int> wanted, int most) {
  if (!wanted) return most;
  VSURGE_TRY(check_range(name, *wanted, 1, most));
  return *wanted;
}

// "llama-0.13b", as the seed names models.
std::string default_name(const model::ModelInfo& info) {
  return fmt::format("{}-{:.2f}b", info.family, static_cast<double>(info.parameters) / 1e9);
}

void log_start(const vSurge::State& surge) {
  const auto info = surge.model.info();
  constexpr double kMiB = 1024.0 * 1024.0;
  const std::int64_t tokens = static_cast<std::int64_t>(surge.pages) * surge.options.page_size;
  base::log_info("model: {}, {:.0f} M parameters, {} layers, vocabulary {}, context {}", surge.name,
                 static_cast<double>(info.parameters) / 1e6, info.layers, info.vocab_size,
                 surge.context_max);
  base::log_info("weights: {}, {:.0f} MiB; {} on {} threads", info.weight_format,
                 static_cast<double>(info.weight_bytes) / kMiB, info.isa, info.threads);
  base::log_info(
      "KV cache: {} pages of {} tokens, {} tokens, {:.0f} MiB; {:.1f} requests of full "
      "length fit, {} run at once",
      surge.pages, surge.options.page_size, tokens,
      static_cast<double>(surge.pages) * static_cast<double>(surge.page_bytes) / kMiB,
      static_cast<double>(tokens) / surge.context_max, surge.options.max_concurrent_decodes);
}

base::Result<std::shared_ptr<vSurge::State>> build(const AutoModelForCausalLM& model,
                                                   const AutoTokenizer& processor,
                                                   const SurgeOptions& options) {
  VSURGE_TRY(facade::check_surge_options(options, model, processor));
  auto surge = std::make_shared<vSurge::State>(model, processor, options);
  AutoModelForCausalLM::State& loaded = *model.state();
  const model::ModelInfo& info = loaded.model->info();
  surge->name = options.vsurge_name.empty() ? default_name(info) : options.vsurge_name;
  surge->context_max = VSURGE_TRY(length_of("max_length", options.max_length, loaded.context_max));
  surge->prompt_max =
      VSURGE_TRY(length_of("max_prefill_length", options.max_prefill_length, surge->context_max));
  surge->page_bytes = loaded.model->page_bytes(options.page_size, loaded.plan.kv_dtype);
  engine::EngineOptions engine_opts = facade::engine_options(options, info, surge->context_max);
  engine_opts.name = surge->name;
  if (processor.eos_token_id) facade::add_eos(engine_opts, *processor.eos_token_id);
  model::StepLimits limits = facade::step_limits(engine_opts, loaded.plan.kv_dtype);
  const std::int64_t step_bytes = loaded.model->step_bytes(limits);
  surge->pages = VSURGE_TRY(facade::plan_pages({
      .allowed_bytes = base::memory_allowed_bytes(),
      .utilization = options.hbm_utilization,
      .weight_bytes = info.weight_bytes,
      .step_bytes = step_bytes,
      .other_bytes = taken_by_all.load(),
      .page_bytes = surge->page_bytes,
      .page_size = options.page_size,
      .context_max = surge->context_max,
      .sequences_max = options.max_concurrent_decodes,
      .available_bytes = base::memory_available_bytes() - info.mapped_bytes,
      .kv_bytes = options.kv_cache_memory_bytes,
  }));
  engine_opts.pages = limits.pages = surge->pages;
  surge->limits = limits;
  surge->engine_options = engine_opts;
  VSURGE_TRY(engine::check_options(engine_opts));
  if (loaded.taken.exchange(true)) {
    return fail(ErrorCode::kUsage,
                "model: runs under another vSurge already; load it once more for a second one");
  }
  VSURGE_TRY(loaded.model->reserve(limits));
  surge->executor = std::make_unique<engine::Executor>(*loaded.model, *loaded.backend, limits);
  surge->taken_bytes = info.weight_bytes + step_bytes + surge->pages * surge->page_bytes;
  taken_by_all.fetch_add(surge->taken_bytes);
  engine::StepRunner* runner = surge->executor.get();
  if (!options.failpoint.empty()) {
    const auto failpoint = VSURGE_TRY(engine::parse_failpoint(options.failpoint));
    if (failpoint.engine.empty() || failpoint.engine == surge->name) {
      surge->failing = std::make_unique<engine::FailingRunner>(*runner, failpoint);
      runner = surge->failing.get();
    }
  }
  surge->turns = std::make_unique<facade::TurnRunner>(*runner, facade::ComputeTurns::of_process());
  surge->engine =
      std::make_unique<engine::Engine>(engine_opts, *surge->turns, surge->router, surge->clock);
  if (options.verbose) log_start(*surge);
  return surge;
}

}  // namespace

std::int64_t facade::taken_by_all_surges() {
  return taken_by_all.load();
}

base::Status facade::check_surge_options(const SurgeOptions& options,
                                         const AutoModelForCausalLM& model,
                                         const AutoTokenizer& processor) {
  if (model.state() == nullptr) {
    return fail(ErrorCode::kUsage, "model: expected one of from_pretrained(), found none");
  }
  if (!processor) {
    return fail(ErrorCode::kUsage, "processor: expected one of from_pretrained(), found none");
  }
  return check_options(options, processor, model.state()->model->info().vocabulary);
}

vSurge::State::~State() {
  taken_by_all.fetch_sub(taken_bytes);
}

base::Status vSurge::State::start() {
  const std::lock_guard lock(start_mutex);
  if (started) return {};
  if (failing != nullptr && !warm) failing->load();
  // The largest legal step touches every kernel and buffer that a request will.
  if (!std::exchange(warm, true)) {
    // By turns, too, but not of the runner that fails in tests, which counts its steps.
    facade::TurnRunner own(*executor, facade::ComputeTurns::of_process());
    engine::rehearse_largest_step(own, limits);
    // Steps are cut by time only where others decode.
    if (limits.sequences_max > 1) {
      engine_options.cost = engine::measure_step_cost(own, limits, facade::WorkClock(clock, own));
      engine->set_cost(engine_options.cost);
    }
  }
  VSURGE_TRY(engine->start());
  started = true;
  return {};
}

void vSurge::State::stop() {
  const std::lock_guard lock(start_mutex);
  engine->stop();
  started = false;
}

vSurge vSurge::from_model(const AutoModelForCausalLM& model, const AutoTokenizer& processor,
                          const SurgeOptions& options) {
  vSurge result;
  result.state_ = facade::unwrap(build(model, processor, options));
  return result;
}

vSurge::vSurge() = default;
vSurge::vSurge(vSurge&&) noexcept = default;
vSurge& vSurge::operator=(vSurge&&) noexcept = default;

vSurge::~vSurge() {
  if (state_ != nullptr) stop();
}

void vSurge::compile() {
  start();
}
void vSurge::start() {
  facade::unwrap(state_->start());
}

void vSurge::stop() {
  state_->stop();
}

void vSurge::pause() {
  state_->engine->pause();
}
void vSurge::resume() {
  state_->engine->resume();
}

std::vector<ReturnSample> vSurge::generate(const std::vector<std::string>& prompts,
                                           const SamplingParams& sampling_params,
                                           const OnSample& on_sample) {
  facade::unwrap(state_->start());
  return facade::unwrap(
      facade::generate(*state_, {prompts.begin(), prompts.end()}, sampling_params, on_sample));
}

std::vector<ReturnSample> vSurge::generate(const std::vector<std::vector<std::int32_t>>& prompts,
                                           const SamplingParams& sampling_params,
                                           const OnSample& on_sample) {
  facade::unwrap(state_->start());
  return facade::unwrap(
      facade::generate(*state_, {prompts.begin(), prompts.end()}, sampling_params, on_sample));
}

ReturnSample vSurge::generate(const std::string& prompt, const SamplingParams& sampling_params,
                              const OnSample& on_sample) {
  return std::move(generate(std::vector{prompt}, sampling_params, on_sample).front());
}

int vSurge::count_tokens(const std::string& text) const {
  return static_cast<int>(state_->processor.encode(text, true).size());
}

int vSurge::count_tokens(const std::vector<ChatMessage>& messages) const {
  const std::string text = state_->processor.apply_chat_template(messages, false);
  return static_cast<int>(state_->processor.encode(text, false).size());
}

SurgeMetrics vSurge::metrics() const {
  const engine::EngineMetrics from = state_->engine->metrics();
  SurgeMetrics to;
  to.requests_running = from.requests_running;
  to.requests_waiting = from.requests_waiting;
  to.pages_total = from.pages_total;
  to.pages_used = from.pages_used;
  to.requests_finished = from.requests_finished;
  to.requests_cancelled = from.requests_cancelled;
  to.requests_failed = from.requests_failed;
  to.requests_refused = from.requests_refused;
  to.prompt_tokens = from.prompt_tokens;
  to.generation_tokens = from.generation_tokens;
  to.preemptions = from.preemptions;
  to.steps = from.steps;
  to.step_seconds = from.step_seconds;
  const auto times = state_->model.state()->backend->op_times();
  for (std::size_t i = 0; i < times.size(); ++i) {
    to.op_seconds.emplace_back(tensor::op_name(static_cast<tensor::Op>(i)),
                               static_cast<double>(times[i]) * 1e-9);
  }
  return to;
}

const std::string& vSurge::vsurge_name() const {
  return state_->name;
}
const AutoTokenizer& vSurge::processor() const {
  return state_->processor;
}
AutoModelForCausalLM::Info vSurge::model_info() const {
  return state_->model.info();
}
int vSurge::max_length() const {
  return state_->context_max;
}
std::int64_t vSurge::kv_cache_bytes() const {
  return state_->pages * state_->page_bytes;
}

}  // namespace vsurge
