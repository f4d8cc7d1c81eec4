#include "api/metrics.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "api/info.h"
#include "api/json.h"
#include "api/metric_text.h"
#include "api/request_metrics.h"
#include "base/log.h"
#include "base/process_stats.h"

namespace vsurge::api {
namespace {

using enum MetricKind;
using engine::EngineMetrics;

// One model of a scrape. vLLM has these labels on all it tells.
struct Model {
  const ServiceCore& core;
  std::string_view status;
  EngineMetrics engine = core.engine.metrics();
  RequestCounts requests = core.metrics->counts();
  double length_max = core.options.context_max;
  MetricLabels labels = {{"model_name", core.name()}, {"engine", "0"}};

  MetricLabels with(std::string_view name, std::string_view value) const {
    MetricLabels more = labels;
    more.emplace_back(name, value);
    return more;
  }
};

// One scrape: a metric has a sample, or some, of each model.
struct Scrape {
  const ServiceHub& hub;
  const std::shared_ptr<const ModelSet::List> list = hub.models.list();
  std::vector<Model> models = {};
  const RequestCounts requests = hub.metrics.counts();
  MetricText out = {};

  explicit Scrape(const ServiceHub& from) : hub(from) {
    for (const ModelEntry& entry : *list) {
      if (entry.core != nullptr) models.push_back({*entry.core, status_word(entry)});
    }
  }

  template <class Tell>
  void metric(std::string_view name, MetricKind kind, std::string_view help, Tell tell) {
    out.metric(name, kind, help);
    for (const Model& model : models) tell(model);
  }
  // The value is a member of what the engine tells, or a function of the model.
  template <class Value>
  void single(std::string_view name, MetricKind kind, std::string_view help, Value value) {
    metric(name, kind, help, [&](const Model& model) {
      if constexpr (std::is_member_pointer_v<Value>) {
        out.sample(model.labels, static_cast<double>(model.engine.*value));
      } else {
        out.sample(model.labels, static_cast<double>(value(model)));
      }
    });
  }
  template <class Value>
  void counter(std::string_view name, std::string_view help, Value value) {
    single(name, kCounter, help, value);
  }
  void histogram(std::string_view name, std::string_view help,
                 engine::Histogram EngineMetrics::* values) {
    metric(name, kHistogram, help,
           [&](const Model& model) { out.histogram(model.labels, model.engine.*values); });
  }
  void histogram(std::string_view name, std::string_view help,
                 engine::Histogram RequestCounts::* values) {
    metric(name, kHistogram, help,
           [&](const Model& model) { out.histogram(model.labels, model.requests.*values); });
  }
  // Of tokens: vLLM has no bounds above the context's length.
  void lengths(std::string_view name, std::string_view help,
               engine::Histogram RequestCounts::* values) {
    metric(name, kHistogram, help, [&](const Model& model) {
      out.histogram(model.labels, model.requests.*values, model.length_max);
    });
  }
};

double share(int part, int whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / whole;
}

void append_cache_config(Scrape& s, const Model& model) {
  const EngineMetrics& m = model.engine;
  const std::string page_size = std::to_string(m.page_size);
  const std::string pages = std::to_string(m.pages_total);
  const std::int64_t tokens = std::int64_t{m.page_size} * m.pages_total;
  const std::string size = std::to_string(tokens);
  const std::string concurrency =
      fmt::format("{:.2f}", static_cast<double>(tokens) / std::max(1.0, model.length_max));
  MetricLabels config = model.labels;
  config.insert(config.end(), {{"block_size", page_size},
                               {"num_gpu_blocks", pages},
                               {"kv_cache_size_tokens", size},
                               {"kv_cache_max_concurrency", concurrency}});
  s.out.sample(config, 1);
}

void append_gauges(Scrape& s) {
  s.single("vllm:num_requests_running", kGauge, "Choices that are being computed.",
           &EngineMetrics::requests_running);
  s.single("vllm:num_requests_waiting", kGauge, "Requests that wait for the engine.",
           &EngineMetrics::requests_waiting);
  s.metric("vllm:num_requests_waiting_by_reason", kGauge, "The same by what they wait for.",
           [&](const Model& model) {
             const EngineMetrics& m = model.engine;
             s.out.sample(model.with("reason", "capacity"),
                          m.requests_waiting - m.requests_suspended);
             s.out.sample(model.with("reason", "deferred"), m.requests_suspended);
           });
  s.single("vllm:kv_cache_usage_perc", kGauge, "Share of the KV pages in use; 1 is all.",
           [](const Model& m) { return share(m.engine.pages_used, m.engine.pages_total); });
  s.metric("vllm:cache_config_info", kGauge, "How the KV cache is laid out.",
           [&](const Model& model) { append_cache_config(s, model); });
}

void append_counters(Scrape& s) {
  s.counter("vllm:prefix_cache_queries_total", "Tokens of prompts looked up in the prefix cache.",
            &EngineMetrics::prefix_queries);
  s.counter("vllm:prefix_cache_hits_total", "Tokens of prompts found there.",
            &EngineMetrics::prefix_hits);
  s.counter("vllm:num_preemptions_total", "Times a sequence gave its pages back.",
            &EngineMetrics::preemptions);
  s.counter("vllm:prompt_tokens_total", "Tokens of prompts, cached ones too.",
            &EngineMetrics::prompt_tokens);
  s.counter("vllm:prompt_tokens_cached_total",
            "Tokens of prompts that were not computed: they were cached.",
            &EngineMetrics::prefix_hits);
  s.counter("vllm:generation_tokens_total", "Tokens that were generated.",
            &EngineMetrics::generation_tokens);
  s.counter("vllm:spec_decode_num_drafts_total", "Guesses of speculation.",
            &EngineMetrics::guesses);
  s.counter("vllm:spec_decode_num_draft_tokens_total", "Tokens guessed.",
            &EngineMetrics::guessed_tokens);
  s.counter("vllm:spec_decode_num_accepted_tokens_total", "Of these, guessed right.",
            &EngineMetrics::accepted_tokens);
  s.metric(
      "vllm:request_success_total", kCounter, "Choices that ended, by how.",
      [&](const Model& model) {
        const RequestCounts& r = model.requests;
        const std::array<std::pair<std::string_view, std::uint64_t>, 4> ends = {
            {{"stop", r.stopped}, {"length", r.cut}, {"abort", r.aborted}, {"error", r.failed}}};
        for (const auto& [reason, count] : ends) {
          s.out.sample(model.with("finished_reason", reason), static_cast<double>(count));
        }
      });
}

void append_histograms(Scrape& s) {
  using R = RequestCounts;
  s.histogram("vllm:iteration_tokens_total", "Tokens of one step.", &EngineMetrics::step_tokens);
  s.histogram("vllm:time_to_first_token_seconds", "From arrival to the first token.",
              &EngineMetrics::first_token_time);
  s.histogram("vllm:inter_token_latency_seconds", "Between tokens of one choice.",
              &EngineMetrics::token_time);
  s.histogram("vllm:request_queue_time_seconds", "From arrival to start.",
              &EngineMetrics::queue_time);
  s.histogram("vllm:request_time_per_output_token_seconds",
              "Mean time between the tokens of a request.", &R::mean_token_seconds);
  s.histogram("vllm:e2e_request_latency_seconds", "From arrival to the end.", &R::seconds);
  s.histogram("vllm:request_prefill_time_seconds", "From start to the first token.",
              &R::prefill_seconds);
  s.histogram("vllm:request_decode_time_seconds", "From the first token to the last.",
              &R::decode_seconds);
  s.histogram("vllm:request_inference_time_seconds", "From start to the last token.",
              &R::run_seconds);
  s.lengths("vllm:request_prompt_tokens", "Tokens of a request's prompt.", &R::prompt_tokens);
  s.lengths("vllm:request_generation_tokens", "Tokens of a request's answer.",
            &R::completion_tokens);
  s.lengths("vllm:request_max_num_generation_tokens", "Tokens of a request's longest choice.",
            &R::longest_answer);
  s.lengths("vllm:request_params_max_tokens", "Tokens that a choice may have.", &R::max_tokens);
  s.histogram("vllm:request_params_n", "Choices that a request asks for.", &R::choices);
}

void append_http(Scrape& s) {
  const auto name_of = [](std::string_view text) { return text.empty() ? "none" : text; };
  s.out.metric("http_requests_total", kCounter, "HTTP requests, by route and class of status.");
  for (const auto& [key, http] : s.requests.http) {
    for (std::size_t i = 0; i < http.by_class.size(); ++i) {
      if (http.by_class[i] == 0) continue;
      const std::string status = fmt::format("{}xx", i);
      s.out.sample(
          {{"handler", name_of(key.first)}, {"method", name_of(key.second)}, {"status", status}},
          static_cast<double>(http.by_class[i]));
    }
  }
  s.out.metric("http_request_duration_seconds", kHistogram, "Until the answer was complete.");
  for (const auto& [key, http] : s.requests.http) {
    s.out.histogram({{"handler", name_of(key.first)}, {"method", name_of(key.second)}},
                    http.seconds);
  }
  s.out.metric("http_request_duration_highr_seconds", kHistogram, "The same of all routes.");
  s.out.histogram({}, s.requests.http_seconds);
  const auto sizes = [&](std::string_view name, std::string_view help,
                         double RequestCounts::Http::* bytes) {
    s.out.metric(name, kSummary, help);
    for (const auto& [key, http] : s.requests.http) {
      s.out.summary({{"handler", name_of(key.first)}, {"method", name_of(key.second)}},
                    http.seconds.count(), http.*bytes);
    }
  };
  sizes("http_request_size_bytes", "Bodies of requests.", &RequestCounts::Http::request_bytes);
  sizes("http_response_size_bytes", "Bodies of answers.", &RequestCounts::Http::response_bytes);
  s.out.metric("vsurge:http_responses_total", kCounter,
               "Answers by route and status; 499: the client left before the end.");
  for (const auto& [key, count] : s.requests.statuses) {
    const std::string status = std::to_string(key.second);
    s.out.sample({{"handler", name_of(key.first)}, {"status", status}}, static_cast<double>(count));
  }
  s.out.metric("vsurge:request_errors_total", kCounter, "Errors told to clients, by code.");
  for (const auto& [code, count] : s.requests.errors) {
    s.out.sample({{"code", code}}, static_cast<double>(count));
  }
}

void append_engine(Scrape& s) {
  s.single("vsurge:healthy", kGauge, "1 when /health of the model says 200.", [&s](const Model& m) {
    return m.status == "ready" && !s.hub.shutting_down.load(std::memory_order_relaxed) &&
           !s.hub.loading.load(std::memory_order_relaxed);
  });
  s.single("vsurge:engine_failed", kGauge, "1 when a fault has ended the engine.",
           &EngineMetrics::failed);
  s.single("vsurge:engine_stuck", kGauge, "1 when its step is older than the watchdog allows.",
           &EngineMetrics::stuck);
  s.single("vsurge:engine_step_age_seconds", kGauge, "Since the step in hand began; 0: none is.",
           &EngineMetrics::step_age_seconds);
  s.counter("vsurge:engine_stuck_steps_total", "Steps that were too old.",
            &EngineMetrics::stuck_steps);
  s.counter("vsurge:engine_steps_total", "Passes of the model.", &EngineMetrics::steps);
  s.metric("vsurge:engine_seconds_total", kCounter, "Time in steps, by part.",
           [&](const Model& model) {
             s.out.sample(model.with("part", "plan"), model.engine.plan_seconds);
             s.out.sample(model.with("part", "run"), model.engine.run_seconds);
             s.out.sample(model.with("part", "commit"), model.engine.commit_seconds);
           });
  s.counter("vsurge:requests_admitted_total", "Requests that the engine took.",
            &EngineMetrics::requests_admitted);
  s.counter("vsurge:requests_refused_total", "Requests that the engine did not take.",
            &EngineMetrics::requests_refused);
  s.metric("vsurge:kv_pages", kGauge, "KV pages, by state.", [&](const Model& model) {
    const EngineMetrics& m = model.engine;
    s.out.sample(model.with("state", "used"), m.pages_used);
    s.out.sample(model.with("state", "cached"), m.pages_cached);
    s.out.sample(model.with("state", "free"), m.pages_total - m.pages_used - m.pages_cached);
  });
  s.counter("vsurge:kv_pages_evicted_total", "Cached pages that gave way.",
            &EngineMetrics::pages_evicted);
  s.single("vsurge:requests_in_flight", kGauge,
           "Requests for answers or vectors that are open, once they are read.",
           [](const Model& m) { return m.core.active_requests.load(std::memory_order_relaxed); });
  s.metric("vsurge:build_info", kGauge, "Version and fingerprint; always 1.",
           [&](const Model& model) {
             MetricLabels build = model.with("version", s.hub.options.version);
             build.emplace_back("fingerprint", model.core.options.fingerprint);
             s.out.sample(build, 1);
           });
  s.out.metric("vsurge:text_queue_bytes", kGauge, "Bodies that wait for a text worker.");
  s.out.sample({}, static_cast<double>(s.hub.text_queue_bytes.load(std::memory_order_relaxed)));
}

// As Prometheus's own clients name them.
void append_process(Scrape& s) {
  const base::ProcessStats stats = base::process_stats();
  const auto tell = [&](std::string_view name, MetricKind kind, std::string_view help,
                        double value) {
    s.out.metric(name, kind, help);
    s.out.sample({}, value);
  };
  tell("process_cpu_seconds_total", kCounter, "User and system time.", stats.cpu_seconds);
  tell("process_resident_memory_bytes", kGauge, "Memory that is really there.",
       static_cast<double>(stats.resident_bytes));
  tell("process_virtual_memory_bytes", kGauge, "Address space.",
       static_cast<double>(stats.virtual_bytes));
  tell("process_start_time_seconds", kGauge, "When it began, since 1970.",
       stats.start_unix_seconds);
  tell("process_open_fds", kGauge, "Open files and sockets.", stats.open_files);
  tell("process_max_fds", kGauge, "How many there may be.",
       static_cast<double>(stats.open_files_max));
  tell("vsurge:log_lines_dropped_total", kCounter, "Lines that could not be written.",
       static_cast<double>(base::log_lines_dropped()));
  tell("vsurge:process_threads", kGauge, "Threads.", stats.threads);
}

double mean(const engine::Histogram& values) {
  return values.count() == 0 ? 0 : values.sum() / static_cast<double>(values.count());
}

}  // namespace

std::string metrics_text(const ServiceHub& hub) {
  Scrape scrape(hub);
  append_gauges(scrape);
  append_counters(scrape);
  append_histograms(scrape);
  append_http(scrape);
  append_engine(scrape);
  append_process(scrape);
  return scrape.out.take();
}

std::string metrics_json(const ServiceHub& hub) {
  const Scrape scrape(hub);
  const RequestCounts& all = scrape.requests;
  std::uint64_t generated = 0;
  for (const Model& model : scrape.models) generated += model.engine.generation_tokens;
  std::string out = fmt::format(
      R"({{"uptime_seconds":{:.3f},"total_requests":{},"successful_requests":{},)"
      R"("failed_requests":{},"total_tokens_generated":{},"average_tokens_per_second":{:.3f},)"
      R"("active_requests":{},"models_loaded":{},"status":"{}","driver_metrics":{{)",
      static_cast<double>(hub.clock.now() - hub.started) * 1e-9, all.requests, all.successes,
      all.requests - all.successes, generated, all.tokens_per_second,
      hub.active_requests.load(std::memory_order_relaxed), scrape.models.size(), status_word(hub));
  for (const Model& model : scrape.models) {
    const EngineMetrics& m = model.engine;
    if (&model != &scrape.models.front()) out += ',';
    append_json_string(out, model.core.name());
    out += fmt::format(
        R"(:{{"running":{},"waiting":{},"completed":{},"prompt_tokens":{},"preemptions":{},)"
        R"("pages_used":{},"pages_total":{},"ttft_ms_avg":{:.3f},"ttft_ms_count_total":{},)"
        R"("token_ms_avg":{:.3f},"token_ms_count_total":{}}})",
        m.requests_running, m.requests_waiting, model.requests.stopped + model.requests.cut,
        m.prompt_tokens, m.preemptions, m.pages_used, m.pages_total, mean(m.first_token_time) * 1e3,
        m.first_token_time.count(), mean(m.token_time) * 1e3, m.token_time.count());
  }
  return out + "}}";
}

bool wants_json(std::string_view accept) {
  const std::size_t json = accept.find("application/json");
  return json != std::string_view::npos && json < accept.find("text/plain") &&
         json < accept.find("application/openmetrics-text");
}

}  // namespace vsurge::api
