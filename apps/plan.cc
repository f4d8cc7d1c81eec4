// vsurge plan: how many replicas a load needs, by the real scheduler in simulated time.

#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "commands.h"
#include "model_options.h"
#include "vsurge/capacity_plan.h"

namespace vsurge::apps {
namespace {

struct PlanOptions {
  ModelOptions model;
  CapacityOptions capacity;
  std::string slo;
  std::string routing = "prefix";
  std::string long_prompts = "refuse";
  std::string machine;
  std::string measure;
  bool json = false;
};

// "500ms", "2s" or "500" (milliseconds).
double milliseconds_of(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (error != std::errc() || !(value >= 0) || (unit != "ms" && unit != "s" && !unit.empty())) {
    usage(fmt::format("--slo: expected a time such as 500ms or 2s, found '{}'", text));
  }
  return unit == "s" ? 1000 * value : value;
}

// "ttft=500ms,itl=50ms"
void read_slo(std::string_view text, CapacityOptions& options) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (part.starts_with("ttft=")) {
      options.ttft_ms = milliseconds_of(part.substr(5));
    } else if (part.starts_with("itl=")) {
      options.itl_ms = milliseconds_of(part.substr(4));
    } else {
      usage(fmt::format("--slo: expected ttft=TIME and itl=TIME, found '{}'", part));
    }
  }
}

void add_plan_options(OptionSet& set, CLI::App& command, PlanOptions& options) {
  options.model.surge.max_concurrent_prefill = 8;  // as serve has it
  options.model.log_level = "warning";
  CapacityOptions& capacity = options.capacity;
  set.add("--trace", capacity.trace,
          "requests to serve: CSV (TIMESTAMP,ContextTokens,GeneratedTokens) or JSON lines "
          "(timestamp, input_length, output_length, hash_ids)");
  set.add("--slo", options.slo,
          "what a request must have: ttft=500ms,itl=50ms (first token; mean between tokens)");
  set.add("--attain", capacity.attain, "share of the requests that must have it")
      ->capture_default_str();
  set.add("--replicas", capacity.replicas, "numbers of replicas to try: 1,2,4")
      ->delimiter(',')
      ->capture_default_str();
  set.add("--rate", capacity.rate, "requests per second; 0 = the trace's")->capture_default_str();
  set.add("--limit", capacity.requests_max, "only so many requests of the trace; 0 = all")
      ->capture_default_str();
  set.add("--routing", options.routing, "prefix, least-loaded or round-robin")
      ->capture_default_str();
  set.add("--long", options.long_prompts,
          "prompts that do not fit the context: refuse (and count) or clip")
      ->capture_default_str();
  set.add("--machine", options.machine,
          "file that describes the machine; nothing = this one, measured");
  set.add("--measure", options.measure, "write such a file of this machine, - = standard output");
  command.add_flag("--json", options.json, "one JSON object instead of the table");
}

void read_words(PlanOptions& options) {
  read_slo(options.slo, options.capacity);
  if (options.routing == "prefix") {
    options.capacity.routing = CapacityRouting::PREFIX;
  } else if (options.routing == "least-loaded") {
    options.capacity.routing = CapacityRouting::LEAST_LOADED;
  } else if (options.routing == "round-robin") {
    options.capacity.routing = CapacityRouting::ROUND_ROBIN;
  } else {
    usage(fmt::format("--routing: expected prefix, least-loaded or round-robin, found '{}'",
                      options.routing));
  }
  if (options.long_prompts != "refuse" && options.long_prompts != "clip") {
    usage(fmt::format("--long: expected refuse or clip, found '{}'", options.long_prompts));
  }
  options.capacity.clip_long = options.long_prompts == "clip";
  if (options.capacity.trace.empty() && options.measure.empty()) {
    usage("--trace: expected a file (or --measure), found none");
  }
  if (!options.measure.empty() && !options.machine.empty()) {
    usage("--measure: writes what this machine is; it does not go with --machine");
  }
}

void write_measured(const std::string& path, const std::string& text) {
  if (path == "-") {
    std::fputs(text.c_str(), stdout);
    return;
  }
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw Error(ErrorKind::kEnvironment, "environment", path + ": cannot be written");
}

std::string milliseconds(double seconds) {
  return seconds < 10 ? fmt::format("{:.0f}ms", seconds * 1e3) : fmt::format("{:.0f}s", seconds);
}

void print_table(const CapacityPlan& plan, const PlanOptions& options) {
  const CapacityRow& first = plan.rows.front();
  std::printf("%s: %lld requests, %lld do not fit the context\n", options.capacity.trace.c_str(),
              static_cast<long long>(first.requests), static_cast<long long>(first.too_long));
  std::printf("%8s %8s %9s %9s %10s %8s %7s %23s %23s %23s\n", "replicas", "attained", "goodput/s",
              "served/s", "tokens/s", "refused", "cached", "TTFT p50 p90 p99", "ITL p50 p90 p99",
              "request p50 p90 p99");
  const auto three = [](const CapacityPercentiles& p) {
    return fmt::format("{} {} {}", milliseconds(p.p50), milliseconds(p.p90), milliseconds(p.p99));
  };
  for (const CapacityRow& row : plan.rows) {
    fmt::print("{:8} {:7.1f}% {:9.2f} {:9.2f} {:10.1f} {:8} {:6.1f}% {:>23} {:>23} {:>23}\n",
               row.replicas, 100 * row.attained, row.goodput, row.requests_per_second,
               row.answer_tokens_per_second, row.refused, 100 * row.cache_hits, three(row.ttft),
               three(row.itl), three(row.e2e));
  }
  if (plan.replicas_needed > 0) {
    fmt::print("{} replica{} needed for {:g} % of the requests\n", plan.replicas_needed,
               plan.replicas_needed == 1 ? " is" : "s are", 100 * options.capacity.attain);
  } else {
    fmt::print("none of these is enough for {:g} % of the requests\n",
               100 * options.capacity.attain);
  }
}

std::string json_of(const CapacityPercentiles& p) {
  return fmt::format(R"({{"p50":{},"p90":{},"p99":{}}})", p.p50, p.p90, p.p99);
}

void print_json(const CapacityPlan& plan) {
  std::string out = fmt::format(R"({{"replicas_needed":{},"rows":[)", plan.replicas_needed);
  for (const CapacityRow& row : plan.rows) {
    if (&row != &plan.rows.front()) out += ",\n  ";
    out += fmt::format(
        R"({{"replicas":{},"requests":{},"finished":{},"refused":{},"too_long":{},"attained":{},)"
        R"("goodput":{},"requests_per_second":{},"answer_tokens_per_second":{},"duration_s":{},)"
        R"("cache_hits":{},"preemptions":{},"ttft_s":{},"itl_s":{},"e2e_s":{}}})",
        row.replicas, row.requests, row.finished, row.refused, row.too_long, row.attained,
        row.goodput, row.requests_per_second, row.answer_tokens_per_second, row.duration_s,
        row.cache_hits, row.preemptions, json_of(row.ttft), json_of(row.itl), json_of(row.e2e));
  }
  std::printf("%s]}\n", out.c_str());
}

int run_plan(PlanOptions& options, const Environment& environment) {
  read_words(options);
  const bool shows = isatty(STDERR_FILENO) != 0;
  if (shows) {
    options.capacity.progress = [](int replicas, std::size_t requests) {
      std::fprintf(stderr, "\r%d replicas, %zu requests\x1b[K", replicas, requests);
    };
  }
  CapacityPlan plan;
  if (!options.machine.empty()) {
    plan = plan_capacity(model_path(options.model.model, environment), options.machine,
                         pretrained_options(options.model), surge_options(options.model),
                         options.capacity);
  } else {
    vSurge surge = load_surge(options.model, environment);
    if (!options.measure.empty()) write_measured(options.measure, measure_machine(surge));
    if (options.capacity.trace.empty()) return 0;
    plan = plan_capacity(surge, options.capacity);
  }
  if (shows) std::fputs("\r\x1b[K", stderr);
  if (options.json) {
    print_json(plan);
  } else {
    print_table(plan, options);
  }
  return 0;
}

}  // namespace

Run add_plan(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("plan", "tell how many replicas a load needs, without running it");
  const auto options = std::make_shared<PlanOptions>();
  const auto set = std::make_shared<OptionSet>(*command);
  add_plan_options(*set, *command, *options);
  add_model_options(*set, *command, options->model);
  return [options, set](const Environment& environment) {
    fill_options(*set, options->model, environment);
    return run_plan(*options, environment);
  };
}

}  // namespace vsurge::apps
