// attention_bench: attention alone, over as many layers of cache as the processor's own caches do
// not hold: decode against the bandwidth of reading the cache, measured in the same minute, and
// prompts in GFLOP/s (4 x heads x head_dim for each key that a query sees).
//
// usage: attention_bench [SHAPE[,SHAPE]] [DTYPE[,DTYPE]] [ISA] [THREADS] [CASE[,CASE]]
// A shape is heads/kv_heads/head_dim; a case is SEQUENCESxCONTEXT or pTOKENS@POSITION;
// "ragged" is one context of 32768 and 31 of 256.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tensor/cpu_backend.h"
#include "tensor/test_speed.h"

namespace vsurge::tensor {
namespace {

constexpr int kPageSize = 128;
constexpr std::size_t kCacheBytes = std::size_t{1} << 30;

// The sequences of one step: tokens computed in it and context after it.
struct Case {
  std::string name;
  int tokens = 1;
  std::vector<std::int32_t> contexts;
};

Case parse_case(const std::string& name) {
  Case out{name, 1, {}};
  if (name == "ragged") {
    out.contexts.assign(32, 256);
    out.contexts[5] = 32768;
  } else if (name[0] == 'p') {
    out.tokens = std::atoi(name.c_str() + 1);
    out.contexts = {out.tokens + std::atoi(name.c_str() + name.find('@') + 1)};
  } else {
    out.contexts.assign(static_cast<std::size_t>(std::atoi(name.c_str())),
                        std::atoi(name.c_str() + name.find('x') + 1));
  }
  return out;
}

struct Model {
  int heads = 0, kv_heads = 0, head_dim = 0;
};

// Values of the size of real ones, without a pattern.
void fill(KvCache& kv, base::ThreadPool& pool) {
  auto* bytes = reinterpret_cast<std::uint8_t*>(kv.storage.data());
  const auto words = static_cast<std::int64_t>(kv.storage.size() / 4);
  pool.parallel_for(words, 1 << 20, [&](std::int64_t begin, std::int64_t end, int) {
    auto state = static_cast<std::uint32_t>(begin) + 1U;
    for (std::int64_t i = begin; i < end; ++i) {
      state = state * 1664525U + 1013904223U;
      std::uint32_t word = state >> 8;
      // bfloat16 and float: about 2^-2 to 2^-1 of either sign
      if (kv.shape.dtype == DType::kBF16) word = (state & 0x807f807fU) | 0x3e803e80U;
      if (kv.shape.dtype == DType::kF32) word = (state & 0x807fffffU) | 0x3e800000U;
      std::memcpy(bytes + i * 4, &word, 4);
    }
  });
  if (kv.shape.dtype != DType::kI8) return;
  const std::size_t page = kv.shape.page_bytes() / static_cast<std::size_t>(kv.shape.layers);
  const std::size_t scales = page / (static_cast<std::size_t>(kv.shape.head_dim) + 4) * 4;
  for (std::size_t at = page; at <= kv.storage.size(); at += page) {
    auto* scale = reinterpret_cast<float*>(bytes + at - scales);
    std::fill(scale, scale + scales / 4, 0.01F);
  }
}

struct Step {
  std::vector<std::int32_t> offsets{0}, pages, page_offsets{0};
  double keys_seen = 0;  // by all queries of a head
  double slots = 0;      // that are read at least once
};

Step make_step(const Case& c) {
  Step step;
  std::int32_t page = 0;
  for (const std::int32_t context : c.contexts) {
    step.offsets.push_back(step.offsets.back() + c.tokens);
    for (int i = 0; i < (context + kPageSize - 1) / kPageSize; ++i) step.pages.push_back(page++);
    step.page_offsets.push_back(static_cast<std::int32_t>(step.pages.size()));
    step.keys_seen += c.tokens * (context - (c.tokens - 1) / 2.0);
    step.slots += context;
  }
  // Neighbours in a sequence are no neighbours in memory.
  for (std::size_t i = step.pages.size() - 1; i > 0; --i) {
    std::swap(step.pages[i], step.pages[i * 7919 % (i + 1)]);
  }
  return step;
}

void run_case(Backend& backend, const Model& m, DType dtype, const Case& c) {
  const Step step = make_step(c);
  KvShape shape{dtype, 1, m.kv_heads, m.head_dim, kPageSize, static_cast<int>(step.pages.size())};
  shape.layers = static_cast<int>(
      kCacheBytes / (shape.page_bytes() * static_cast<std::size_t>(shape.pages)) + 1);
  Backend::StepShape reserved{};
  reserved.tokens_max = step.offsets.back();
  reserved.sequences_max = static_cast<int>(c.contexts.size());
  reserved.context_max = *std::max_element(c.contexts.begin(), c.contexts.end());
  reserved.inputs_max = m.heads * m.head_dim;
  reserved.heads = m.heads;
  reserved.head_dim = m.head_dim;
  CHECK(backend.reserve(reserved).has_value());
  auto kv = backend.make_kv_cache(shape);
  CHECK(kv.has_value());
  fill(*kv, backend.pool());
  const std::int64_t width = m.heads * m.head_dim;
  std::vector<float> q(static_cast<std::size_t>(reserved.tokens_max * width));
  for (std::size_t i = 0; i < q.size(); ++i) q[i] = static_cast<float>(i * 37 % 97) / 48.0F - 1.0F;
  std::vector<float> out(q.size());
  const auto view = [&](std::vector<float>& x) {
    return Tensor::view(x.data(), DType::kF32, reserved.tokens_max, width);
  };
  double best = 1e9;
  const int layers = c.tokens > 1 ? std::min(shape.layers, 4) : shape.layers;
  const Buffer* const storage[] = {&kv->storage};
  const double roof = read_gb_s(storage, backend.pool());
  for (int round = 0; round < 3; ++round) {
    const double start = now_s();
    backend.plan_attention({step.offsets, c.contexts, step.pages, step.page_offsets}, shape,
                           m.heads);
    for (int layer = 0; layer < layers; ++layer) {
      backend.attention(view(q), *kv, {.layer = layer, .scale = 0.0883883F}, view(out));
    }
    best = std::min(best, (now_s() - start) / layers);
  }
  const double slot_bytes = static_cast<double>(shape.page_bytes()) / shape.layers / kPageSize;
  const double gb_s = step.slots * slot_bytes / best / 1e9;
  const double gflop_s = 4.0 * static_cast<double>(width) * step.keys_seen / best / 1e9;
  std::printf("%2d/%d/%-4d %-5s %-10s %9.3f ms %8.0f GFLOP/s %7.2f GB/s %5.2f of %.1f\n", m.heads,
              m.kv_heads, m.head_dim,
              dtype == DType::kI8    ? "int8"
              : dtype == DType::kF32 ? "f32"
                                     : "bf16",
              c.name.c_str(), best * 1e3, gflop_s, gb_s, gb_s / roof, roof);
  std::fflush(stdout);
}

int run(int argc, char** argv) {
  const auto argument = [&](int i, const char* other) {
    return std::string(argc > i ? argv[i] : other);
  };
  auto backend =
      make_cpu_backend({.threads = std::atoi(argument(4, "0").c_str()), .isa = argument(3, "")});
  CHECK(backend.has_value());
  std::printf("%s\n", (*backend)->name().c_str());
  for (const std::string& text : split(argument(1, "16/8/128,9/3/64,32/8/128"))) {
    Model m;
    CHECK(std::sscanf(text.c_str(), "%d/%d/%d", &m.heads, &m.kv_heads, &m.head_dim) == 3);
    for (const std::string& type : split(argument(2, "bf16,int8"))) {
      const DType dtype = type == "int8" ? DType::kI8 : type == "f32" ? DType::kF32 : DType::kBF16;
      for (const std::string& name : split(argument(
               5,
               "1x512,16x512,32x512,1x4096,4x4096,16x4096,1x32768,4x32768,ragged,p512@0,p512@4096,"
               "p512@32768"))) {
        run_case(**backend, m, dtype, parse_case(name));
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace vsurge::tensor

int main(int argc, char** argv) {
  return vsurge::tensor::run(argc, argv);
}
