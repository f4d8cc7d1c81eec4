// vsurge_bench: speed of one model in this process, as JSON; tools/bench compares it with others.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/log.h"
#include "model_options.h"
#include "roofs.h"

namespace vsurge::apps {
namespace {

struct BenchOptions {
  ModelOptions model;
  int prompt_tokens = 512;
  int answer_tokens = 128;
  std::vector<int> streams = {1};
};

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Ids that are in every vocabulary of more than 300 and hit different rows of the embedding.
std::vector<std::int32_t> prompt_of(int tokens, int salt) {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < tokens; ++i) ids.push_back((i * 37 + salt * 101) % 256 + 10);
  return ids;
}

struct Speed {
  double prefill = 0;  // prompt tokens/s
  double decode = 0;   // tokens/s of all streams together
};

double seconds_of(vSurge& surge, const std::vector<std::vector<std::int32_t>>& prompts,
                  int max_tokens) {
  SamplingParams sampling;
  sampling.temperature = 0;
  sampling.ignore_eos = true;
  sampling.max_tokens = max_tokens;
  const double start = now_s();
  (void)surge.generate(prompts, sampling);
  return now_s() - start;
}

// Decoding is the difference of a long and a short answer to the same prompts.
// `salt`: another one each time, or the prompt is found in the prefix cache.
Speed measure(vSurge& surge, const BenchOptions& options, int streams, int salt) {
  Speed speed;
  speed.prefill =
      options.prompt_tokens / seconds_of(surge, {prompt_of(options.prompt_tokens, salt)}, 1);
  std::vector<std::vector<std::int32_t>> prompts;
  for (int i = 0; i < streams; ++i) prompts.push_back(prompt_of(16, i));
  const double short_s = seconds_of(surge, prompts, 1);
  const double long_s = seconds_of(surge, prompts, 1 + options.answer_tokens);
  speed.decode = options.answer_tokens * streams / (long_s - short_s);
  return speed;
}

int run(int argc, char** argv) {
  CLI::App program("Speed of one model, one JSON line per number of streams.", "vsurge_bench");
  BenchOptions options;
  options.model.log_level = "warning";
  OptionSet set(program);
  program.add_option("-p,--prompt-tokens", options.prompt_tokens, "tokens to prefill")
      ->capture_default_str();
  program.add_option("-n,--answer-tokens", options.answer_tokens, "tokens to decode a stream")
      ->capture_default_str();
  program.add_option("-s,--streams", options.streams, "numbers of streams")
      ->delimiter(',')
      ->capture_default_str();
  add_model_options(set, program, options.model);
  CLI11_PARSE(program, argc, argv);
  const Environment environment = [](const char* name) { return std::getenv(name); };
  fill_options(set, options.model, environment);
  vSurge surge = load_surge(options.model, environment);
  surge.start();
  const auto info = surge.model_info();
  int salt = 0;
  for (const int streams : options.streams) {
    const double bandwidth = ReadProbe(info.threads, info.weight_bytes).gb_per_s();
    const Speed speed = measure(surge, options, streams, ++salt);
    std::printf(
        "{\"streams\":%d,\"prefill\":%.2f,\"decode\":%.2f,\"read_gb_s\":%.2f,"
        "\"weight_bytes\":%lld,\"threads\":%d,\"isa\":\"%s\"}\n",
        streams, speed.prefill, speed.decode, bandwidth, static_cast<long long>(info.weight_bytes),
        info.threads, info.isa.c_str());
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace vsurge::apps

int main(int argc, char** argv) {
  try {
    return vsurge::apps::run(argc, argv);
  } catch (const vsurge::Error& error) {
    std::fprintf(stderr, "vsurge_bench: %s\n", error.what());
    return static_cast<int>(error.kind());
  }
}
