// Sampling of one row over 151,936 tokens, at each level this CPU has.
//   sample_bench
#include <benchmark/benchmark.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace vsurge::kernels {
namespace {

constexpr int kVocabulary = 151'936;

enum class Shape : uint8_t { kNormal, kPeaked, kFlat, kNearlyFlat };

std::vector<float> make_logits(Shape shape) {
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal(0.0F, 1.0F);
  std::vector<float> logits(kVocabulary);
  for (float& logit : logits) {
    switch (shape) {
      case Shape::kNormal:
        logit = 3.0F * normal(random);
        break;
      case Shape::kPeaked:  // some hundred likely tokens and a long tail
        logit = 2.0F * normal(random) + (random() % 500 == 0 ? 10.0F : 0.0F);
        break;
      case Shape::kFlat:
        logit = 1.5F;
        break;
      case Shape::kNearlyFlat:
        logit = 0.01F * normal(random);
        break;
    }
  }
  return logits;
}

struct Chain {
  const char* name;
  SampleRow row;
  int edits = 0;        // distinct tokens with penalties
  bool writes = false;  // changes logits all over the row
};

void sample_rows(benchmark::State& state, IsaLevel level, Shape shape, Chain chain) {
  const std::vector<float> fresh = make_logits(shape);
  std::vector<float> logits = fresh;
  std::vector<LogitEdit> edits;
  for (int i = 0; i < chain.edits; ++i) edits.push_back({i * 293 % kVocabulary, 0, 1.1F, 0.4F});
  chain.row.edits = edits.data();
  chain.row.edits_count = chain.edits;
  std::vector<TopLogprob> top(20);
  chain.row.top = top.data();
  std::vector<std::uint64_t> scratch(sample_scratch(kVocabulary));
  const SampleFunction sample = table(level).sample;
  for (auto _ : state) {
    ++chain.row.position;
    benchmark::DoNotOptimize(sample(logits.data(), kVocabulary, chain.row, scratch.data()));
    for (const LogitEdit& edit : edits) {
      const auto token = static_cast<std::size_t>(edit.token);
      logits[token] = fresh[token];
    }
    if (!chain.writes) continue;
    state.PauseTiming();
    logits = fresh;
    state.ResumeTiming();
  }
}

// What the machine needs at least: to read the row once.
void read_row(benchmark::State& state) {
  const std::vector<float> logits = make_logits(Shape::kNormal);
  for (auto _ : state) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < logits.size(); i += 2) {
      std::uint64_t pair;
      std::memcpy(&pair, logits.data() + i, sizeof pair);
      sum ^= pair;
    }
    benchmark::DoNotOptimize(sum);
  }
}

std::vector<Chain> chains() {
  const SampleRow one{1.0F, 1.0F, 0.0F, 0, 1, 0, nullptr};
  const auto with = [&](auto change) {
    SampleRow row = one;
    change(row);
    return row;
  };
  static const std::vector<std::uint32_t> half(kVocabulary / 32 + 1, 0x55555555U);
  const SampleRow greedy{0.0F, 1.0F, 0.0F, 0, 1, 0, nullptr};
  return {
      {"greedy", greedy},
      {"greedy_penalties", greedy, 500},
      {"temperature", one},
      {"full_chain", {0.7F, 0.95F, 0.05F, 50, 1, 0, nullptr}, 500},
      {"top_p_0.95", {1.0F, 0.95F, 0.0F, 0, 1, 0, nullptr}},
      {"top_p_0.9_min_p_0.01", {0.7F, 0.9F, 0.01F, 0, 1, 0, nullptr}},
      {"min_p_0.05", {1.0F, 1.0F, 0.05F, 0, 1, 0, nullptr}},
      {"logprobs_20", with([](SampleRow& row) { row.logprobs = 20; })},
      {"full_chain_logprobs_20", with([](SampleRow& row) {
         row = {0.7F, 0.95F, 0.05F, 50, 1, 0, nullptr};
         row.logprobs = 20;
       }),
       500},
      {"mask", with([](SampleRow& row) { row.allowed_tokens = half.data(); }), 0, true},
      {"typical_p_0.9", with([](SampleRow& row) { row.typical_p = 0.9F; })},
      {"top_n_sigma_1", with([](SampleRow& row) { row.top_n_sigma = 1; }), 0, true},
      {"xtc", with([](SampleRow& row) { row.xtc_probability = 1; })},
  };
}

void add_level(IsaLevel level) {
  const std::pair<const char*, Shape> shapes[] = {{"normal", Shape::kNormal},
                                                  {"peaked", Shape::kPeaked},
                                                  {"flat", Shape::kFlat},
                                                  {"nearly_flat", Shape::kNearlyFlat}};
  for (const Chain& chain : chains()) {
    for (const auto& [name, shape] : shapes) {
      const std::string title = std::string(table(level).name) + "/" + chain.name + "/" + name;
      benchmark::RegisterBenchmark(title.c_str(), sample_rows, level, shape, chain)
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

}  // namespace
}  // namespace vsurge::kernels

int main(int count, char** arguments) {
  using vsurge::kernels::IsaLevel;
  benchmark::RegisterBenchmark("read_row", vsurge::kernels::read_row)
      ->Unit(benchmark::kMicrosecond);
  for (const IsaLevel level : kIsaLevels) {
    if (vsurge::kernels::supported(level)) vsurge::kernels::add_level(level);
  }
  benchmark::Initialize(&count, arguments);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
