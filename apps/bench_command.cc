// vsurge bench: speed of one model in this process, beside what the machine allows.

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "bench_report.h"
#include "commands.h"
#include "model_options.h"

namespace vsurge::apps {
namespace {

struct BenchOptions {
  ModelOptions model;
  std::vector<int> streams = {1, 2, 4, 8, 16, 32, 64};
  std::vector<int> contexts = {128, 512, 2048, 8192, 32768};
  std::vector<int> prompts = {128, 512, 2048, 8192, 32768};
  int answer_tokens = 32;
  int rounds = 3;
  std::string json;
  std::string plot;
  bool profile = false;
};

constexpr int kShortPrompt = 16;
constexpr int kWarmTokens = 4;         // of each answer before the counted ones
constexpr int kRepeatedTokens = 4096;  // a longer prompt is read once: it is long enough

// What a step reads and computes. Zeros where it cannot be told from outside.
struct Work {
  double bytes = 0;           // of weights
  double row_operations = 0;  // of a token with its logits
  double layer_operations = 0;
  double bytes_per_kv_token = 0;
  double peak = 0;  // operations/s
};

// The number behind a word in the text of inspect_checkpoint(); 0 without it.
double number_after(const std::string& text, const std::string& word) {
  const std::size_t at = text.find(word);
  double value = 0;
  if (at != std::string::npos) {
    std::from_chars(text.data() + at + word.size(), text.data() + text.size(), value);
  }
  return value;
}

double peak_of(const Roofs& roofs, const ModelOptions& options, bool integer) {
  double best = roofs.fma_f32;
  if (integer) {
    best = std::max({best, roofs.vpdpbusd, roofs.amx_int8});
  } else if (options.dtype != "float32" && options.dtype != "fp32") {
    best = std::max({best, roofs.vdpbf16ps, roofs.amx_bf16});
  }
  return best * 1e9;
}

Work work_of(const vSurge& surge, const BenchOptions& options, const std::string& path,
             const Roofs& roofs) {
  const auto info = surge.model_info();
  const std::string text = inspect_checkpoint(path);
  const double hidden = number_after(text, "hidden ");
  const bool gguf = path.ends_with(".gguf");
  const bool tied = text.find("head tied") != std::string::npos;
  const bool experts = text.find("experts") != std::string::npos;  // how many a step reads varies
  const bool integer = info.weight_format != "bfloat16" && info.weight_format != "float32";
  Work work;
  const SurgeMetrics metrics = surge.metrics();
  work.bytes_per_kv_token =
      static_cast<double>(surge.kv_cache_bytes()) /
      (static_cast<double>(metrics.pages_total) * options.model.surge.page_size);
  if (hidden == 0 || experts || (gguf && !tied)) return work;
  const double table = hidden * info.vocab_size;
  const auto parameters = static_cast<double>(info.parameters);
  work.bytes = static_cast<double>(info.weight_bytes);
  // Rows of the embedding are read one at a time. Where the head is tied and quantised it is a
  // matrix of its own beside the embedding, which stays bfloat16.
  if (!gguf && (!tied || integer)) work.bytes -= 2 * table;
  work.row_operations = 2 * (tied ? parameters : parameters - table);
  work.layer_operations = work.row_operations - 2 * table;
  work.peak = peak_of(roofs, options.model, integer);
  return work;
}

// Ids of every vocabulary, of no pattern; another salt gives another first token, mostly.
std::vector<std::int32_t> prompt_of(int tokens, std::uint64_t salt) {
  std::uint64_t state = salt * 0x9e3779b97f4a7c15U + 1;
  std::vector<std::int32_t> ids;
  for (int i = 0; i < tokens; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    ids.push_back(static_cast<std::int32_t>(10 + (state >> 33) % 240));
  }
  return ids;
}

class Bench {
 public:
  Bench(vSurge& surge, const BenchOptions& options, const Work& work)
      : surge_(surge),
        options_(options),
        work_(work),
        probe_(surge.model_info().threads, std::min(surge.model_info().weight_bytes, kProbeMax)),
        before_(surge.metrics()) {}

  // The time of an answer less that of a shorter one to the same prompts: decode steps alone.
  BenchRow decode(BenchKind kind, int streams, int context) {
    std::vector<std::vector<std::int32_t>> prompts;
    for (int i = 0; i < streams; ++i) prompts.push_back(prompt_of(context, ++salt_));
    BenchRow row{.kind = kind, .streams = streams, .tokens = context};
    row.read_gb_s = probe_.gb_per_s();
    std::vector<double> speeds;
    for (int round = 0; round <= options_.rounds; ++round) {
      const double start_s = seconds_of(prompts, 1 + kWarmTokens);
      const double all_s = seconds_of(prompts, 1 + kWarmTokens + options_.answer_tokens);
      // The first round reads the prompts, those after find them in the prefix cache.
      if (round > 0) speeds.push_back(streams * options_.answer_tokens / (all_s - start_s));
    }
    finish(row, speeds);
    profile(fmt::format("{} streams, context {}", streams, context));
    if (work_.peak > 0) {
      const double reads = work_.bytes + work_.bytes_per_kv_token * streams *
                                             (context + kWarmTokens + options_.answer_tokens / 2);
      row.limit = streams / std::max(reads / (row.read_gb_s * 1e9),
                                     streams * work_.row_operations / work_.peak);
    }
    return row;
  }

  BenchRow prefill(int tokens) {
    BenchRow row{.kind = BenchKind::kPrefill, .tokens = tokens};
    row.read_gb_s = probe_.gb_per_s();
    std::vector<double> speeds;
    const int rounds = tokens > kRepeatedTokens ? 1 : options_.rounds;
    for (int round = 0; round < rounds; ++round) {
      speeds.push_back(tokens / seconds_of({prompt_of(tokens, ++salt_)}, 1));
    }
    finish(row, speeds);
    profile(fmt::format("prefill {}", tokens));
    if (work_.peak > 0) row.limit = work_.peak / work_.layer_operations;
    return row;
  }

 private:
  static constexpr std::int64_t kProbeMax = std::int64_t{2} << 30;

  double seconds_of(const std::vector<std::vector<std::int32_t>>& prompts, int answer) {
    SamplingParams sampling;
    sampling.temperature = 0;
    sampling.ignore_eos = true;
    sampling.max_tokens = answer;
    const auto start = std::chrono::steady_clock::now();
    (void)surge_.generate(prompts, sampling);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  // Shares of the time in steps since the last point, of all its rounds.
  void profile(const std::string& point) {
    if (!options_.profile) return;
    const SurgeMetrics now = surge_.metrics();
    const double steps = now.step_seconds - before_.step_seconds;
    double rest = steps;
    std::string line;
    for (std::size_t i = 0; i < now.op_seconds.size(); ++i) {
      const double before = before_.op_seconds.empty() ? 0 : before_.op_seconds[i].second;
      const double time = now.op_seconds[i].second - before;
      rest -= time;
      line += fmt::format("  {} {:.1f} %", now.op_seconds[i].first, 100 * time / steps);
    }
    std::printf("%s:%s  beside them %.1f %%\n", point.c_str(), line.c_str(), 100 * rest / steps);
    before_ = now;
  }

  static void finish(BenchRow& row, std::vector<double>& speeds) {
    std::sort(speeds.begin(), speeds.end());
    row.median = (speeds[(speeds.size() - 1) / 2] + speeds[speeds.size() / 2]) / 2;
    row.least = speeds.front();
    row.most = speeds.back();
  }

  vSurge& surge_;
  const BenchOptions& options_;
  const Work work_;
  ReadProbe probe_;
  std::uint64_t salt_ = 0;
  SurgeMetrics before_;
};

void write_file(const std::string& path, const std::string& text) {
  if (path.empty()) return;
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw Error(ErrorKind::kEnvironment, "environment", path + ": cannot be written");
}

void check(const BenchOptions& options) {
  const auto within = [](const char* name, const std::vector<int>& values, int most) {
    for (const int value : values) {
      if (value < 1 || value > most) {
        usage(fmt::format("--{}: expected 1 to {}, found {}", name, most, value));
      }
    }
  };
  within("streams", options.streams, options.model.surge.max_concurrent_decodes);
  within("contexts", options.contexts, 1 << 20);
  within("prompts", options.prompts, 1 << 20);
  within("answer-tokens", {options.answer_tokens}, 4096);
  within("rounds", {options.rounds}, 100);
}

int run_bench(BenchOptions& options, const Environment& environment) {
  check(options);
  const std::string path = model_path(options.model.model, environment);
  vSurge surge = load_surge(options.model, environment);
  surge.start();
  const auto info = surge.model_info();
  BenchReport report{.model = surge.vsurge_name(),
                     .weights = info.weight_format,
                     .isa = info.isa,
                     .threads = info.threads,
                     .weight_bytes = info.weight_bytes,
                     .roofs = measure_roofs(info.threads, info.isa),
                     .rows = {}};
  Bench bench(surge, options, work_of(surge, options, path, report.roofs));
  const int room = surge.max_length() - kWarmTokens - options.answer_tokens - 1;
  const auto fits = [room](int tokens) {
    if (tokens > room) std::fprintf(stderr, "%d tokens do not fit the context: left out\n", tokens);
    return tokens <= room;
  };
  for (const int streams : options.streams) {
    if (fits(kShortPrompt)) {
      report.rows.push_back(bench.decode(BenchKind::kDecode, streams, kShortPrompt));
    }
  }
  for (const int context : options.contexts) {
    if (fits(context)) report.rows.push_back(bench.decode(BenchKind::kContext, 1, context));
  }
  for (const int prompt : options.prompts) {
    if (fits(prompt)) report.rows.push_back(bench.prefill(prompt));
  }
  std::fputs(table_of(report).c_str(), stdout);
  write_file(options.json, json_of(report));
  write_file(options.plot, svg_of(report));
  return 0;
}

}  // namespace

Run add_bench(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("bench", "measure how fast a model is, beside the machine's limits");
  const auto options = std::make_shared<BenchOptions>();
  options->model.surge.max_concurrent_prefill = 64;  // so that all streams start at once
  options->model.log_level = "warning";
  const auto set = std::make_shared<OptionSet>(*command);
  set->add("--streams", options->streams, "numbers of streams to decode: 1,2,4")
      ->delimiter(',')
      ->capture_default_str();
  set->add("--contexts", options->contexts, "lengths of context to decode one stream at")
      ->delimiter(',')
      ->capture_default_str();
  set->add("--prompts", options->prompts, "lengths of prompts to read")
      ->delimiter(',')
      ->capture_default_str();
  set->add("--answer-tokens", options->answer_tokens, "tokens that each stream decodes")
      ->capture_default_str();
  set->add("--rounds", options->rounds, "the median of so many")->capture_default_str();
  set->add("--json", options->json, "file for the same figures as JSON");
  set->add("--plot", options->plot, "file for a picture of them, SVG");
  command->add_flag("--profile", options->profile, "shares of the time by operation, too");
  add_model_options(*set, *command, options->model);
  return [options, set](const Environment& environment) {
    fill_options(*set, options->model, environment);
    return run_bench(*options, environment);
  };
}

}  // namespace vsurge::apps
