#include "api/metrics.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <string>

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

// One scrape.
struct Scrape {
  const ServiceCore& core;
  const EngineMetrics engine = core.engine.metrics();
  const RequestCounts requests = core.metrics.counts();
  const double length_max = core.options.context_max;
  // vLLM has these on all it tells.
  const MetricLabels labels = {{"model_name", core.options.model_names.front()}, {"engine", "0"}};
  MetricText out = {};

  MetricLabels with(std::string_view name, std::string_view value) const {
    MetricLabels more = labels;
    more.emplace_back(name, value);
    return more;
  }
  void single(std::string_view name, MetricKind kind, std::string_view help, double value) {
    out.metric(name, kind, help);
    out.sample(labels, value);
  }
  void counter(std::string_view name, std::string_view help, std::uint64_t value) {
    single(name, kCounter, help, static_cast<double>(value));
  }
  void histogram(std::string_view name, std::string_view help, const engine::Histogram& values) {
    out.metric(name, kHistogram, help);
    out.histogram(labels, values);
  }
  // Of tokens: vLLM has no bounds above the context's length.
  void lengths(std::string_view name, std::string_view help, const engine::Histogram& values) {
    out.metric(name, kHistogram, help);
    out.histogram(labels, values, length_max);
  }
};

double share(int part, int whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / whole;
}

void append_gauges(Scrape& s) {
  const EngineMetrics& m = s.engine;
  s.single("vllm:num_requests_running", kGauge, "Choices that are being computed.",
           m.requests_running);
  s.single("vllm:num_requests_waiting", kGauge, "Requests that wait for the engine.",
           m.requests_waiting);
  s.out.metric("vllm:num_requests_waiting_by_reason", kGauge, "The same by what they wait for.");
  s.out.sample(s.with("reason", "capacity"), m.requests_waiting - m.requests_suspended);
  s.out.sample(s.with("reason", "deferred"), m.requests_suspended);
  s.single("vllm:kv_cache_usage_perc", kGauge, "Share of the KV pages in use; 1 is all.",
           share(m.pages_used, m.pages_total));
  const std::string page_size = std::to_string(m.page_size);
  const std::string pages = std::to_string(m.pages_total);
  const std::int64_t tokens = std::int64_t{m.page_size} * m.pages_total;
  const std::string size = std::to_string(tokens);
  const std::string concurrency =
      fmt::format("{:.2f}", static_cast<double>(tokens) / std::max(1.0, s.length_max));
  MetricLabels config = s.labels;
  config.insert(config.end(), {{"block_size", page_size},
                               {"num_gpu_blocks", pages},
                               {"kv_cache_size_tokens", size},
                               {"kv_cache_max_concurrency", concurrency}});
  s.out.metric("vllm:cache_config_info", kGauge, "How the KV cache is laid out.");
  s.out.sample(config, 1);
}

void append_counters(Scrape& s) {
  const EngineMetrics& m = s.engine;
  s.counter("vllm:prefix_cache_queries_total", "Tokens of prompts looked up in the prefix cache.",
            m.prefix_queries);
  s.counter("vllm:prefix_cache_hits_total", "Tokens of prompts found there.", m.prefix_hits);
  s.counter("vllm:num_preemptions_total", "Times a sequence gave its pages back.", m.preemptions);
  s.counter("vllm:prompt_tokens_total", "Tokens of prompts, cached ones too.", m.prompt_tokens);
  s.counter("vllm:prompt_tokens_cached_total",
            "Tokens of prompts that were not computed: they were cached.", m.prefix_hits);
  s.counter("vllm:generation_tokens_total", "Tokens that were generated.", m.generation_tokens);
  s.counter("vllm:spec_decode_num_drafts_total", "Guesses of speculation.", m.guesses);
  s.counter("vllm:spec_decode_num_draft_tokens_total", "Tokens guessed.", m.guessed_tokens);
  s.counter("vllm:spec_decode_num_accepted_tokens_total", "Of these, guessed right.",
            m.accepted_tokens);
  s.out.metric("vllm:request_success_total", kCounter, "Choices that ended, by how.");
  const std::array<std::pair<std::string_view, std::uint64_t>, 4> ends = {
      {{"stop", s.requests.stopped},
       {"length", s.requests.cut},
       {"abort", s.requests.aborted},
       {"error", s.requests.failed}}};
  for (const auto& [reason, count] : ends) {
    s.out.sample(s.with("finished_reason", reason), static_cast<double>(count));
  }
}

void append_histograms(Scrape& s) {
  const EngineMetrics& m = s.engine;
  const RequestCounts& r = s.requests;
  s.histogram("vllm:iteration_tokens_total", "Tokens of one step.", m.step_tokens);
  s.histogram("vllm:time_to_first_token_seconds", "From arrival to the first token.",
              m.first_token_time);
  s.histogram("vllm:inter_token_latency_seconds", "Between tokens of one choice.", m.token_time);
  s.histogram("vllm:request_queue_time_seconds", "From arrival to start.", m.queue_time);
  s.histogram("vllm:request_time_per_output_token_seconds",
              "Mean time between the tokens of a request.", r.mean_token_seconds);
  s.histogram("vllm:e2e_request_latency_seconds", "From arrival to the end.", r.seconds);
  s.histogram("vllm:request_prefill_time_seconds", "From start to the first token.",
              r.prefill_seconds);
  s.histogram("vllm:request_decode_time_seconds", "From the first token to the last.",
              r.decode_seconds);
  s.histogram("vllm:request_inference_time_seconds", "From start to the last token.",
              r.run_seconds);
  s.lengths("vllm:request_prompt_tokens", "Tokens of a request's prompt.", r.prompt_tokens);
  s.lengths("vllm:request_generation_tokens", "Tokens of a request's answer.", r.completion_tokens);
  s.lengths("vllm:request_max_num_generation_tokens", "Tokens of a request's longest choice.",
            r.longest_answer);
  s.lengths("vllm:request_params_max_tokens", "Tokens that a choice may have.", r.max_tokens);
  s.histogram("vllm:request_params_n", "Choices that a request asks for.", r.choices);
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
  const EngineMetrics& m = s.engine;
  s.single("vsurge:healthy", kGauge, "1 when /health says 200.", is_healthy(s.core) ? 1 : 0);
  s.single("vsurge:engine_failed", kGauge, "1 when a fault has ended the engine.", m.failed);
  s.single("vsurge:engine_stuck", kGauge, "1 when its step is older than the watchdog allows.",
           m.stuck);
  s.single("vsurge:engine_step_age_seconds", kGauge, "Since the step in hand began; 0: none is.",
           m.step_age_seconds);
  s.counter("vsurge:engine_stuck_steps_total", "Steps that were too old.", m.stuck_steps);
  s.counter("vsurge:engine_steps_total", "Passes of the model.", m.steps);
  s.out.metric("vsurge:engine_seconds_total", kCounter, "Time in steps, by part.");
  s.out.sample(s.with("part", "plan"), m.plan_seconds);
  s.out.sample(s.with("part", "run"), m.run_seconds);
  s.out.sample(s.with("part", "commit"), m.commit_seconds);
  s.counter("vsurge:requests_admitted_total", "Requests that the engine took.",
            m.requests_admitted);
  s.counter("vsurge:requests_refused_total", "Requests that the engine did not take.",
            m.requests_refused);
  s.out.metric("vsurge:kv_pages", kGauge, "KV pages, by state.");
  s.out.sample(s.with("state", "used"), m.pages_used);
  s.out.sample(s.with("state", "cached"), m.pages_cached);
  s.out.sample(s.with("state", "free"), m.pages_total - m.pages_used - m.pages_cached);
  s.counter("vsurge:kv_pages_evicted_total", "Cached pages that gave way.", m.pages_evicted);
  s.single("vsurge:requests_in_flight", kGauge, "Requests for answers or vectors that are open.",
           s.core.active_requests.load(std::memory_order_relaxed));
  s.single("vsurge:text_queue_bytes", kGauge, "Bodies that wait for a text worker.",
           static_cast<double>(s.core.text_queue_bytes.load(std::memory_order_relaxed)));
  s.out.metric("vsurge:build_info", kGauge, "Version and fingerprint; always 1.");
  MetricLabels build = s.with("version", s.core.options.version);
  build.emplace_back("fingerprint", s.core.options.fingerprint);
  s.out.sample(build, 1);
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

std::string metrics_text(const ServiceCore& core) {
  Scrape scrape{.core = core};
  append_gauges(scrape);
  append_counters(scrape);
  append_histograms(scrape);
  append_http(scrape);
  append_engine(scrape);
  append_process(scrape);
  return scrape.out.take();
}

std::string metrics_json(const ServiceCore& core) {
  const EngineMetrics m = core.engine.metrics();
  const RequestCounts r = core.metrics.counts();
  std::string out = fmt::format(
      R"({{"uptime_seconds":{:.3f},"total_requests":{},"successful_requests":{},)"
      R"("failed_requests":{},"total_tokens_generated":{},"average_tokens_per_second":{:.3f},)"
      R"("active_requests":{},"models_loaded":1,"status":"{}","driver_metrics":{{)",
      static_cast<double>(core.clock.now() - core.started) * 1e-9, r.requests, r.successes,
      r.requests - r.successes, m.generation_tokens, r.tokens_per_second,
      core.active_requests.load(std::memory_order_relaxed), status_word(core));
  append_json_string(out, core.options.model_names.front());
  out += fmt::format(
      R"(:{{"running":{},"waiting":{},"completed":{},"prompt_tokens":{},"preemptions":{},)"
      R"("pages_used":{},"pages_total":{},"ttft_ms_avg":{:.3f},"ttft_ms_count_total":{},)"
      R"("token_ms_avg":{:.3f},"token_ms_count_total":{}}}}}}})",
      m.requests_running, m.requests_waiting, r.stopped + r.cut, m.prompt_tokens, m.preemptions,
      m.pages_used, m.pages_total, mean(m.first_token_time) * 1e3, m.first_token_time.count(),
      mean(m.token_time) * 1e3, m.token_time.count());
  return out;
}

bool wants_json(std::string_view accept) {
  const std::size_t json = accept.find("application/json");
  return json != std::string_view::npos && json < accept.find("text/plain") &&
         json < accept.find("application/openmetrics-text");
}

}  // namespace vsurge::api
