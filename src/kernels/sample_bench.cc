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

void sample_rows(benchmark::State& state, IsaLevel level, Shape shape, SampleRow row) {
  std::vector<float> logits = make_logits(shape);  // unchanged, as there is no mask
  std::vector<std::uint64_t> scratch(sample_scratch(kVocabulary));
  const SampleFunction sample = table(level).sample;
  while (state.KeepRunning()) {
    ++row.position;
    benchmark::DoNotOptimize(sample(logits.data(), kVocabulary, row, scratch.data()));
  }
}

void add_level(IsaLevel level) {
  struct Chain {
    const char* name;
    SampleRow row;
  };
  const Chain chains[] = {
      {"greedy", {0.0F, 1.0F, 0.0F, 0, 1, 0, nullptr}},
      {"temperature", {1.0F, 1.0F, 0.0F, 0, 1, 0, nullptr}},
      {"top_k_40_top_p_0.95_min_p_0.05", {0.7F, 0.95F, 0.05F, 40, 1, 0, nullptr}},
      {"top_p_0.9", {1.0F, 0.9F, 0.0F, 0, 1, 0, nullptr}},
      {"top_p_0.9_min_p_0.01", {0.7F, 0.9F, 0.01F, 0, 1, 0, nullptr}},
  };
  const std::pair<const char*, Shape> shapes[] = {{"normal", Shape::kNormal},
                                                  {"peaked", Shape::kPeaked},
                                                  {"flat", Shape::kFlat},
                                                  {"nearly_flat", Shape::kNearlyFlat}};
  for (const Chain& chain : chains) {
    for (const auto& [name, shape] : shapes) {
      const std::string title = std::string(table(level).name) + "/" + chain.name + "/" + name;
      benchmark::RegisterBenchmark(title.c_str(), sample_rows, level, shape, chain.row)
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

}  // namespace
}  // namespace vsurge::kernels

int main(int count, char** arguments) {
  using vsurge::kernels::IsaLevel;
  for (const IsaLevel level : {IsaLevel::kScalar, IsaLevel::kAvx2, IsaLevel::kAvx512}) {
    if (vsurge::kernels::supported(level)) vsurge::kernels::add_level(level);
  }
  benchmark::Initialize(&count, arguments);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
