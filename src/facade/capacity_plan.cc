#include "vsurge/capacity_plan.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <utility>

#include "base/memory.h"
#include "capacity/cluster.h"
#include "capacity/machine.h"
#include "facade/engine_plan.h"
#include "facade/errors.h"
#include "facade/load_plan.h"
#include "facade/memory_plan.h"
#include "facade/surge_state.h"
#include "model/inspect.h"
#include "model/weights.h"

namespace vsurge {
namespace {

using base::ErrorCode;
using base::fail;

constexpr int kReplicasMax = 4096;

base::Status check(const CapacityOptions& options) {
  const auto bad = [](const char* name, const char* expected, double found) {
    return fail(ErrorCode::kUsage, "{}: expected {}, found {}", name, expected, found);
  };
  if (!(options.ttft_ms >= 0 && options.ttft_ms <= 1e9)) {
    return bad("slo: ttft", "0 to 1e9 milliseconds", options.ttft_ms);
  }
  if (!(options.itl_ms >= 0 && options.itl_ms <= 1e9)) {
    return bad("slo: itl", "0 to 1e9 milliseconds", options.itl_ms);
  }
  if (!(options.attain > 0 && options.attain <= 1)) {
    return bad("attain", "more than 0 and at most 1", options.attain);
  }
  if (!(options.rate >= 0 && options.rate <= 1e6)) {
    return bad("rate", "0 to 1000000 requests per second", options.rate);
  }
  if (options.requests_max < 0) {
    return bad("limit", "0 or more", static_cast<double>(options.requests_max));
  }
  if (options.replicas.empty()) return fail(ErrorCode::kUsage, "replicas: expected at least one");
  for (const int replicas : options.replicas) {
    if (replicas < 1 || replicas > kReplicasMax) return bad("replicas", "1 to 4096", replicas);
  }
  return {};
}

capacity::Routing routing_of(CapacityRouting routing) {
  switch (routing) {
    case CapacityRouting::PREFIX:
      return capacity::Routing::kPrefix;
    case CapacityRouting::LEAST_LOADED:
      return capacity::Routing::kLeastLoaded;
    case CapacityRouting::ROUND_ROBIN:
      return capacity::Routing::kRoundRobin;
  }
  return capacity::Routing::kPrefix;
}

CapacityPercentiles percentiles_of(const capacity::Percentiles& from) {
  return {from.p50, from.p90, from.p99};
}

CapacityRow row_of(int replicas, const capacity::Outcome& outcome) {
  const auto count = [](std::size_t value) { return static_cast<std::int64_t>(value); };
  CapacityRow row;
  row.replicas = replicas;
  row.requests = count(outcome.requests);
  row.finished = count(outcome.finished);
  row.refused = count(outcome.refused);
  row.too_long = count(outcome.too_long);
  row.attained = outcome.attainment();
  row.goodput = outcome.goodput();
  row.requests_per_second =
      outcome.duration > 0 ? static_cast<double>(outcome.finished) / outcome.duration : 0;
  row.answer_tokens_per_second = outcome.answer_tokens_per_second();
  row.duration_s = outcome.duration;
  row.cache_hits = outcome.cache_hits;
  row.preemptions = static_cast<std::int64_t>(outcome.preemptions);
  row.ttft = percentiles_of(outcome.first_token);
  row.itl = percentiles_of(outcome.token);
  row.e2e = percentiles_of(outcome.request);
  return row;
}

// Runs each number of replicas once.
class Planner {
 public:
  Planner(capacity::Trace trace, const engine::EngineOptions& engine,
          const CapacityOptions& options)
      : trace_(std::move(trace)), options_(options) {
    const auto requests = static_cast<double>(trace_.requests.size());
    cluster_.engine = engine;
    cluster_.routing = routing_of(options.routing);
    cluster_.clip_long = options.clip_long;
    cluster_.objective = {options.ttft_ms * 1e-3, options.itl_ms * 1e-3};
    if (options.rate > 0 && trace_.duration() > 0) {
      cluster_.time_scale = requests / options.rate / trace_.duration();
    }
  }

  CapacityPlan plan() {
    int fewest_that_hold = 0;
    for (const int replicas : options_.replicas) {
      if (!attains(replicas)) continue;
      if (fewest_that_hold == 0 || replicas < fewest_that_hold) fewest_that_hold = replicas;
    }
    // More are taken to serve better: the fewest lie above the last that fail before these.
    const auto holding = rows_.lower_bound(fewest_that_hold);
    int low = holding == rows_.begin() ? 0 : std::prev(holding)->first;
    while (fewest_that_hold - low > 1) {
      const int middle = low + (fewest_that_hold - low) / 2;
      (attains(middle) ? fewest_that_hold : low) = middle;
    }
    CapacityPlan plan;
    plan.replicas_needed = fewest_that_hold;
    for (const auto& [replicas, row] : rows_) plan.rows.push_back(row);
    return plan;
  }

 private:
  bool attains(int replicas) {
    const auto found = rows_.find(replicas);
    if (found != rows_.end()) return found->second.attained >= options_.attain;
    cluster_.replicas = replicas;
    if (options_.progress) {
      cluster_.progress = [this, replicas](std::size_t requests) {
        options_.progress(replicas, requests);
      };
    }
    const CapacityRow row = row_of(replicas, capacity::simulate(trace_, cluster_));
    return rows_.emplace(replicas, row).first->second.attained >= options_.attain;
  }

  const capacity::Trace trace_;
  const CapacityOptions& options_;
  capacity::ClusterOptions cluster_;
  std::map<int, CapacityRow> rows_;
};

base::Result<CapacityPlan> plan_with(const engine::EngineOptions& engine,
                                     const CapacityOptions& options) {
  capacity::Trace trace = VSURGE_TRY(capacity::read_trace(options.trace));
  const auto most = static_cast<std::size_t>(options.requests_max);
  if (most > 0 && most < trace.requests.size()) trace.requests.resize(most);
  const auto requests = static_cast<double>(trace.requests.size());
  const double longest = capacity::TraceLimits{}.seconds;
  if (options.rate > 0 && requests / options.rate > longest) {
    return fail(ErrorCode::kUsage,
                "rate: expected at least {:.3g} ({} requests in ten years), found {}",
                requests / longest, requests, options.rate);
  }
  return Planner(std::move(trace), engine, options).plan();
}

// What the engine was built with, its steps measured.
base::Result<engine::EngineOptions> measured(vSurge& surge) {
  vSurge::State& state = *surge.state();
  VSURGE_TRY(state.start());
  state.stop();
  if (!state.engine_options.cost.known()) {
    return fail(ErrorCode::kUsage,
                "max_concurrent_decodes: expected 2 or more (steps of one sequence alone are not "
                "measured), found 1");
  }
  return state.engine_options;
}

base::Result<CapacityPlan> plan_here(vSurge& surge, const CapacityOptions& options) {
  VSURGE_TRY(check(options));
  const engine::EngineOptions engine = VSURGE_TRY(measured(surge));
  return plan_with(engine, options);
}

// Of the checkpoint, by its headers.
struct Shape {
  model::ModelInfo info;
  capacity::ModelWork work;  // weight_bytes: what a step reads, all but the embedding
  double weight_bytes = 0;   // in memory
};

// Bytes of `values` weights that `packed` bytes would hold as they are.
double bytes_of(model::WeightChoice choice, double values, double packed) {
  constexpr double kInt8Bytes = 1.0 + 2.0 / 256;  // a scale of half precision for 256
  constexpr double kInt4Bytes = 0.5 + 2.0 / 64;   // for 64
  switch (choice) {
    case model::WeightChoice::kI8:
      return std::min(packed, values * kInt8Bytes);
    case model::WeightChoice::kI4:
    case model::WeightChoice::kNF4:
      return std::min(packed, values * kInt4Bytes);
    case model::WeightChoice::kF32:
      return 4 * values;
    default:
      return packed;
  }
}

// The layers' matrices as asked for, the embedding as it is, the head as load_weights() has it.
void add_weights(const model::Checkpoint& checkpoint, const model::DecoderSpec& spec,
                 const facade::LoadPlan& plan, Shape& shape) {
  using model::WeightChoice;
  const bool quantised = plan.weights != WeightChoice::kAuto &&
                         plan.weights != WeightChoice::kF32 && plan.weights != WeightChoice::kBF16;
  const WeightChoice head = plan.head ? *plan.head : quantised ? WeightChoice::kI8 : plan.weights;
  for (const model::TensorInfo& tensor : checkpoint.tensors()) {
    const auto values = static_cast<double>(tensor.elements());
    const double packed = model::packed_bytes(tensor);
    if (tensor.name == spec.names.embedding + ".weight") {
      const double table = bytes_of(quantised ? WeightChoice::kAuto : plan.weights, values, packed);
      shape.weight_bytes += table;
      if (!spec.tied_head) continue;
      const double own = bytes_of(head, values, packed);
      shape.work.weight_bytes += own;
      if (own != table) shape.weight_bytes += own;
      continue;
    }
    const bool of_head = !spec.tied_head && tensor.name == spec.names.head + ".weight";
    const double bytes = bytes_of(of_head ? head : plan.weights, values, packed);
    shape.weight_bytes += bytes;
    shape.work.weight_bytes += bytes;
  }
}

base::Result<Shape> shape_of(const std::string& path, const facade::LoadPlan& plan) {
  const auto checkpoint = VSURGE_TRY(model::open_checkpoint(path));
  const model::DecoderSpec spec = VSURGE_TRY(model::read_spec(*checkpoint));
  Shape shape;
  double parameters = 0;
  if (const model::PackedFile* packed = checkpoint->packed(); packed != nullptr) {
    parameters = static_cast<double>(packed->info().parameters);
    shape.weight_bytes = shape.work.weight_bytes = static_cast<double>(packed->weight_bytes());
    const auto table = packed->matrix("embedding", spec.vocabulary, spec.hidden);
    if (table && packed->has("head")) {
      shape.work.weight_bytes -= static_cast<double>(table->bytes());
    }
  } else {
    for (const auto& tensor : checkpoint->tensors()) {
      parameters += static_cast<double>(tensor.elements());
    }
    add_weights(*checkpoint, spec, plan, shape);
  }
  const double layers = static_cast<double>(spec.layers.size());
  const double head = 1.0 * spec.vocabulary * spec.hidden;
  shape.info.vocabulary = spec.vocabulary;
  shape.info.context_max = spec.context_max;
  shape.info.eos_tokens = spec.generation.eos_tokens;
  const double key_values = 2 * layers * spec.kv_heads * spec.head_dim;
  shape.work.layer_ops = 2 * (parameters - (spec.tied_head ? 1 : 2) * head);
  shape.work.head_ops = 2 * head;
  shape.work.key_bytes = key_values * static_cast<double>(kernels::dtype_bytes(plan.kv_dtype));
  shape.work.prompt_key_ops = 4 * layers * spec.heads * spec.head_dim;
  return shape;
}

base::Result<CapacityPlan> plan_there(const std::string& path, const std::string& machine_file,
                                      const PretrainedOptions& pretrained,
                                      const SurgeOptions& surge, const CapacityOptions& options) {
  VSURGE_TRY(check(options));
  const facade::LoadPlan plan = VSURGE_TRY(facade::plan_load(pretrained));
  const capacity::Machine machine = VSURGE_TRY(capacity::read_machine(machine_file));
  const Shape shape = VSURGE_TRY(shape_of(path, plan));
  const int context = surge.max_length.value_or(plan.context_max.value_or(shape.info.context_max));
  if (context < 2 || context > shape.info.context_max) {
    return fail(ErrorCode::kUsage, "max_length: expected 2 to {}, found {}", shape.info.context_max,
                context);
  }
  engine::EngineOptions engine = facade::engine_options(surge, shape.info, context);
  engine.cost = machine.cost_of(shape.work);
  const double memory = machine.memory_bytes > 0
                            ? machine.memory_bytes
                            : static_cast<double>(base::memory_allowed_bytes());
  engine.pages = VSURGE_TRY(facade::plan_pages(
      {.allowed_bytes = static_cast<std::int64_t>(memory),
       .utilization = surge.hbm_utilization,
       .weight_bytes = static_cast<std::int64_t>(shape.weight_bytes),
       .step_bytes = 0,
       .page_bytes = static_cast<std::int64_t>(shape.work.key_bytes) * surge.page_size,
       .page_size = surge.page_size,
       .context_max = context,
       .sequences_max = surge.max_concurrent_decodes,
       .available_bytes = static_cast<std::int64_t>(memory - shape.weight_bytes),
       .kv_bytes = surge.kv_cache_memory_bytes}));
  VSURGE_TRY(engine::check_options(engine));
  return plan_with(engine, options);
}

}  // namespace

CapacityPlan plan_capacity(vSurge& surge, const CapacityOptions& options) {
  return facade::unwrap(plan_here(surge, options));
}

CapacityPlan plan_capacity(const std::string& pretrained_model_name_or_path,
                           const std::string& machine_file, const PretrainedOptions& pretrained,
                           const SurgeOptions& surge, const CapacityOptions& options) {
  return facade::unwrap(
      plan_there(pretrained_model_name_or_path, machine_file, pretrained, surge, options));
}

std::string measure_machine(vSurge& surge) {
  const engine::EngineOptions engine = facade::unwrap(measured(surge));
  return capacity::machine_json(engine.cost, static_cast<double>(base::memory_allowed_bytes()));
}

}  // namespace vsurge
