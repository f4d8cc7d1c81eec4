// Attention over the paged cache at every level: against a reference in double, against the scalar
// level byte by byte, and one token at a time against whole prompts, on any pages and threads.
#include <algorithm>
#include <limits>
#include <numeric>

#include "tests/op_testing.h"

namespace vsurge::tensor {
namespace {

using kernels::IsaLevel;

struct Shape {
  int heads, kv_heads, head_dim, page_size;
  DType dtype;
  int window;
  float softcap;
};

// Tokens of one sequence and the angles of their positions.
struct Prompt {
  int tokens;
  std::vector<float> qkv;  // before norm and rotation
  std::vector<float> cosines, sines;
};

Prompt random_prompt(const Shape& s, int tokens, Random& random) {
  Prompt p;
  p.tokens = tokens;
  p.qkv =
      random.normals(static_cast<std::int64_t>(tokens) * (s.heads + 2 * s.kv_heads) * s.head_dim);
  for (int t = 0; t < tokens; ++t) {
    for (int i = 0; i < s.head_dim / 2; ++i) {
      const double angle = t * std::pow(10000.0, -2.0 * i / s.head_dim);
      p.cosines.push_back(static_cast<float>(std::cos(angle)));
      p.sines.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  return p;
}

// Some sequences in one cache. step() computes their next tokens together.
class Runner {
 public:
  Runner(const Shape& s, IsaLevel level, int threads, std::uint64_t page_seed)
      : s_(s), backend_(level, threads), random_(page_seed) {
    Backend::StepShape step{};
    step.tokens_max = 700;
    step.sequences_max = 4;
    step.context_max = 2048;
    step.inputs_max = s.heads * s.head_dim;
    step.heads = s.heads;
    step.head_dim = s.head_dim;
    EXPECT_TRUE(backend_.reserve(step).has_value());
    KvShape kv{s.dtype, 2, s.kv_heads, s.head_dim, s.page_size, 300};
    kv_ = std::move(*backend_.make_kv_cache(kv));
    // What nothing has been stored in is NaN in every type.
    std::memset(kv_.storage.data(), 0xff, kv_.storage.size());
    free_.resize(300);
    std::iota(free_.begin(), free_.end(), 0);
    for (std::size_t i = 299; i > 0; --i) {
      std::swap(free_[i], free_[static_cast<std::size_t>(random_.below(static_cast<int>(i) + 1))]);
    }
  }

  struct Part {
    const Prompt* prompt;
    int begin, end;  // tokens of this step
    std::vector<int>* pages;
    float* out;  // [prompt tokens, heads * head_dim]
  };

  void step(const std::vector<Part>& parts, int layer = 1) {
    const std::int64_t width = (s_.heads + 2 * s_.kv_heads) * s_.head_dim;
    const std::int64_t half = s_.head_dim / 2, q_width = s_.heads * s_.head_dim;
    std::vector<float> qkv, cosines, sines;
    std::vector<std::int32_t> offsets{0}, lengths, pages, page_offsets{0}, slots;
    for (const Part& part : parts) {
      while (static_cast<int>(part.pages->size()) * s_.page_size < part.end) {
        part.pages->push_back(free_.back());
        free_.pop_back();
      }
      const Prompt& p = *part.prompt;
      qkv.insert(qkv.end(), p.qkv.begin() + part.begin * width, p.qkv.begin() + part.end * width);
      cosines.insert(cosines.end(), p.cosines.begin() + part.begin * half,
                     p.cosines.begin() + part.end * half);
      sines.insert(sines.end(), p.sines.begin() + part.begin * half,
                   p.sines.begin() + part.end * half);
      for (int t = part.begin; t < part.end; ++t) {
        slots.push_back((*part.pages)[static_cast<std::size_t>(t / s_.page_size)] * s_.page_size +
                        t % s_.page_size);
      }
      offsets.push_back(offsets.back() + part.end - part.begin);
      lengths.push_back(part.end);
      pages.insert(pages.end(), part.pages->begin(), part.pages->end());
      page_offsets.push_back(static_cast<std::int32_t>(pages.size()));
    }
    RopeSpec rope{};
    rope.rotary_dim = s_.head_dim;
    backend_.rope_and_store_kv(view(qkv, width), view(cosines, half), view(sines, half), rope,
                               slots, kv_, layer);
    backend_.plan_attention({offsets, lengths, pages, page_offsets}, kv_.shape, s_.heads);
    AttentionSpec spec{layer, 1.0F / std::sqrt(static_cast<float>(s_.head_dim)), s_.window,
                       s_.softcap};
    std::vector<float> out(static_cast<std::size_t>(offsets.back() * q_width));
    backend_.attention(view(qkv, width).columns(0, q_width), kv_, spec, view(out, q_width));
    for (std::size_t i = 0; i < parts.size(); ++i) {
      std::copy(out.begin() + offsets[i] * q_width, out.begin() + offsets[i + 1] * q_width,
                parts[i].out + parts[i].begin * q_width);
    }
  }

  // A prompt alone, in chunks of `chunk` tokens.
  std::vector<float> run(const Prompt& prompt, int chunk) {
    std::vector<float> out(static_cast<std::size_t>(prompt.tokens * s_.heads * s_.head_dim));
    std::vector<int> pages;
    for (int t = 0; t < prompt.tokens; t += chunk) {
      step({{&prompt, t, std::min(prompt.tokens, t + chunk), &pages, out.data()}});
    }
    return out;
  }

 private:
  Shape s_;
  CpuBackend backend_;
  Random random_;
  KvCache kv_;
  std::vector<int> free_;
};

float as_bf16(float x) {
  std::uint32_t u;
  std::memcpy(&u, &x, 4);
  u = (u + 0x7fffU + ((u >> 16) & 1U)) & 0xffff0000U;
  std::memcpy(&x, &u, 4);
  return x;
}
// A head's key or value as the cache keeps it.
std::vector<double> as_stored(const float* x, int n, DType dtype) {
  float most = 0;
  for (int i = 0; i < n; ++i) most = std::max(most, std::abs(x[i]));
  const float scale = most * (1.0F / 127), factor = most > 0 ? 127.0F / most : 0.0F;
  std::vector<double> out;
  for (int i = 0; i < n; ++i) {
    switch (dtype) {
      case DType::kI8:
        out.push_back(std::nearbyint(x[i] * factor) * static_cast<double>(scale));
        break;
      case DType::kBF16:
        out.push_back(static_cast<double>(as_bf16(x[i])));
        break;
      default:
        out.push_back(static_cast<double>(x[i]));
    }
  }
  return out;
}

// Rotation in float (as the kernel rounds it), everything else in double, over keys and values as
// `stored` keeps them.
std::vector<double> reference(const Shape& s, const Prompt& p, DType stored) {
  const int width = (s.heads + 2 * s.kv_heads) * s.head_dim, half = s.head_dim / 2;
  std::vector<float> x = p.qkv;
  for (int t = 0; t < p.tokens; ++t) {
    for (int h = 0; h < s.heads + s.kv_heads; ++h) {
      float* v = x.data() + t * width + h * s.head_dim;
      for (int i = 0; i < half; ++i) {
        const float c = p.cosines.data()[t * half + i];
        const float n = p.sines.data()[t * half + i];
        const float a = v[i], b = v[i + half];
        v[i] = a * c - b * n;
        v[i + half] = b * c + a * n;
      }
    }
  }
  std::vector<std::vector<double>> cache;  // of token * 2 kv_heads + head, keys first
  for (int t = 0; t < p.tokens; ++t) {
    for (int h = s.heads; h < s.heads + 2 * s.kv_heads; ++h) {
      cache.push_back(as_stored(x.data() + t * width + h * s.head_dim, s.head_dim, stored));
    }
  }
  std::vector<double> out(static_cast<std::size_t>(p.tokens * s.heads * s.head_dim));
  for (int t = 0; t < p.tokens; ++t) {
    for (int h = 0; h < s.heads; ++h) {
      const int kv = h / (s.heads / s.kv_heads);
      const int first = s.window > 0 ? std::max(0, t - s.window + 1) : 0;
      const float* q = x.data() + t * width + h * s.head_dim;
      std::vector<double> score;
      for (int key = first; key <= t; ++key) {
        const double* k = cache.data()[key * 2 * s.kv_heads + kv].data();
        double dot = 0;
        for (int d = 0; d < s.head_dim; ++d) {
          dot += static_cast<double>(q[d]) * k[d];
        }
        dot /= std::sqrt(static_cast<double>(s.head_dim));
        if (s.softcap > 0) dot = s.softcap * std::tanh(dot / static_cast<double>(s.softcap));
        score.push_back(dot);
      }
      const double top = *std::max_element(score.begin(), score.end());
      double sum = 0;
      for (double& v : score) sum += v = std::exp(v - top);
      double* to = out.data() + (t * s.heads + h) * s.head_dim;
      for (int key = first; key <= t; ++key) {
        const double* v = cache.data()[(key * 2 + 1) * s.kv_heads + kv].data();
        for (int d = 0; d < s.head_dim; ++d) {
          to[d] += score[static_cast<std::size_t>(key - first)] / sum * v[d];
        }
      }
    }
  }
  return out;
}

std::vector<Shape> shapes() {
  std::vector<Shape> out;
  int i = 0;
  for (const int dim : {8, 16, 24, 64, 80, 96, 128, 256}) {
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kI8}) {
      const int page = 16 << (i % 4);
      const int kv_heads = 1 + i % 3;
      const int group = std::array{1, 3, 2, 7}[static_cast<std::size_t>(i) % 4];
      out.push_back({kv_heads * group, kv_heads, dim, page, dtype, i % 3 == 1 ? 37 : 0,
                     i % 4 == 2 ? 3.0F : 0.0F});
      ++i;
    }
  }
  out.push_back({9, 3, 64, 16, DType::kBF16, 300, 0.0F});
  out.push_back({9, 3, 64, 128, DType::kI8, 300, 0.0F});
  return out;
}

// Levels with dot products round queries and probabilities: to bfloat16, of which each is off by
// 2^-9 at most, or to sixteen bits.
bool rounds(IsaLevel level, DType dtype) {
  return level >= IsaLevel::kAvx512Vnni && dtype != DType::kF32;
}

TEST(Attention, MatchesDoubleAndScalarBytes) {
  Random random(1);
  for (const Shape& s : shapes()) {
    const Prompt p = random_prompt(s, s.window == 300 ? 620 : 75, random);
    const std::vector<double> want = reference(s, p, s.dtype);
    const std::vector<float> scalar = Runner(s, IsaLevel::kScalar, 1, 1).run(p, p.tokens);
    EXPECT_LE(nmse(scalar, want), 1e-11) << s.head_dim;
    std::vector<float> whole;  // of the level before, where its sums are whole numbers
    for (const IsaLevel level : levels()) {
      const std::vector<float> got = Runner(s, level, 2, 2).run(p, p.tokens);
      const auto n = static_cast<std::int64_t>(got.size());
      SCOPED_TRACE(fmt::format("head_dim {} level {} type {}", s.head_dim, static_cast<int>(level),
                               static_cast<int>(s.dtype)));
      if (!rounds(level, s.dtype)) {
        EXPECT_EQ(difference(got.data(), scalar.data(), n), "");
        continue;
      }
      EXPECT_LE(nmse(got, want), s.dtype == DType::kI8 ? 1e-8 : 1e-5);
      if (s.dtype != DType::kI8) continue;
      if (!whole.empty()) {
        EXPECT_EQ(difference(got.data(), whole.data(), n), "");
      }
      whole = got;
    }
  }
}

// How far int8 keeps normal values from floats: a code is off by half a step at most, max |x| /
// 254, and max |x| is about 3 of 64 to 128 normal values. Bounds are mean squared errors over mean
// squares.
TEST(Attention, Int8IsNearFloat) {
  Random random(6);
  for (const int page_size : {16, 32, 64, 128}) {
    for (const int dim : {64, 128}) {
      const Shape s{6, 2, dim, page_size, DType::kI8, 0, 0.0F};
      const Prompt p = random_prompt(s, 300, random);
      const std::vector<double> want = reference(s, p, DType::kF32);
      const double error = nmse(Runner(s, kernels::best_level(), 2, 9).run(p, p.tokens), want);
      EXPECT_LE(error, 2.5e-4) << "page_size " << page_size << " head_dim " << dim;
      EXPECT_GE(error, 1e-6);  // it is not float
    }
  }
}

TEST(Attention, ChunksPagesAndThreadsDoNotMatter) {
  Random random(2);
  for (const Shape& s : shapes()) {
    const Prompt p = random_prompt(s, s.head_dim <= 64 ? 600 : 280, random);
    for (const IsaLevel level : levels()) {
      if (level == IsaLevel::kScalar) continue;  // the chain of the next, and slow
      const std::vector<float> whole = Runner(s, level, 1, 3).run(p, p.tokens);
      for (const auto& [chunk, threads] : {std::pair{1, 1}, {1, 3}, {17, 2}, {256, 3}}) {
        const std::vector<float> got =
            Runner(s, level, threads, static_cast<std::uint64_t>(chunk)).run(p, chunk);
        EXPECT_EQ(difference(got.data(), whole.data(), static_cast<std::int64_t>(got.size())), "")
            << "head_dim " << s.head_dim << " chunk " << chunk << " threads " << threads
            << " level " << static_cast<int>(level) << " type " << static_cast<int>(s.dtype);
      }
    }
  }
}

TEST(Attention, OtherSequencesDoNotMatter) {
  Random random(3);
  for (const Shape& s : shapes()) {
    if (s.head_dim > 96) continue;
    const Prompt a = random_prompt(s, 530, random), b = random_prompt(s, 90, random);
    const IsaLevel level = kernels::best_level();
    const std::vector<float> a_alone = Runner(s, level, 2, 5).run(a, 530);
    const std::vector<float> b_alone = Runner(s, level, 2, 6).run(b, 90);
    std::vector<float> a_out(a_alone.size()), b_out(b_alone.size());
    std::vector<int> a_pages, b_pages;
    Runner both(s, level, 2, 7);
    // a is decoding far ahead while b's prompt comes in pieces
    both.step({{&a, 0, 500, &a_pages, a_out.data()}});
    for (int i = 0; i < 30; ++i) {
      both.step({{&b, 3 * i, 3 * i + 3, &b_pages, b_out.data()},
                 {&a, 500 + i, 501 + i, &a_pages, a_out.data()}});
    }
    EXPECT_EQ(difference(a_out.data(), a_alone.data(), static_cast<std::int64_t>(a_out.size())),
              "");
    EXPECT_EQ(difference(b_out.data(), b_alone.data(), static_cast<std::int64_t>(b_out.size())),
              "");
  }
}

// A row without a finite score must not answer with what an earlier row left in the scratch.
TEST(Attention, BadQueriesGiveNoAnswer) {
  Random random(4);
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kI8}) {
    const Shape s{4, 2, 64, 16, dtype, 0, 0.0F};
    const Prompt good = random_prompt(s, 40, random);
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), 1e30F}) {
      Prompt p = random_prompt(s, 1, random);
      std::fill_n(p.qkv.begin(), s.head_dim, bad);                            // of query head 0
      std::fill_n(p.qkv.begin() + s.heads * s.head_dim, s.head_dim, -1e30F);  // of key head 0
      for (const IsaLevel level : levels()) {
        Runner runner(s, level, 1, 8);
        runner.run(good, good.tokens);
        const std::vector<float> got = runner.run(p, 1);
        for (int i = 0; i < s.head_dim; ++i) {
          EXPECT_FALSE(std::isfinite(got[static_cast<std::size_t>(i)])) << bad << " " << i;
        }
      }
    }
  }
}

// A value that is not finite reaches the answers of later tokens, in int8 too.
TEST(Attention, BadValuesGiveNoAnswer) {
  Random random(7);
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kI8}) {
    const Shape s{4, 2, 64, 16, dtype, 0, 0.0F};
    Prompt p = random_prompt(s, 20, random);
    // token 10, value head 0, dimension 5
    p.qkv[(10 * 8 + 6) * 64 + 5] = std::numeric_limits<float>::infinity();
    for (const IsaLevel level : levels()) {
      const std::vector<float> got = Runner(s, level, 1, 8).run(p, 1);
      EXPECT_FALSE(std::isfinite(got[19 * 256 + 5])) << static_cast<int>(dtype);
      EXPECT_TRUE(std::isfinite(got[9 * 256 + 5])) << static_cast<int>(dtype);
    }
  }
}

TEST(Rope, NormsHeadsAndRotatesBothWays) {
  Random random(4);
  const int heads = 3, kv_heads = 1, dim = 24;
  const std::int64_t width = (heads + 2 * kv_heads) * dim, tokens = 5;
  for (const bool interleaved : {false, true}) {
    for (const int rotary : {24, 8}) {
      const std::vector<float> before = random.normals(tokens * width);
      const std::vector<float> q_norm = random.normals(dim), k_norm = random.normals(dim);
      std::vector<float> cosines = random.normals(tokens * rotary / 2);
      std::vector<float> sines = random.normals(tokens * rotary / 2);
      std::vector<std::int32_t> slots{0, 5, 17, 31, 2};
      std::vector<float> first;
      for (const IsaLevel level : levels()) {
        CpuBackend backend(level, 2);
        KvCache kv = std::move(*backend.make_kv_cache({DType::kF32, 1, kv_heads, dim, 16, 2}));
        std::vector<float> x = before;
        const RopeSpec spec{q_norm.data(), k_norm.data(), 1e-6F, interleaved, rotary};
        backend.rope_and_store_kv(view(x, width), view(cosines, rotary / 2),
                                  view(sines, rotary / 2), spec, slots, kv, 0);
        if (first.empty()) first = x;
        EXPECT_EQ(difference(x.data(), first.data(), tokens * width), "");
      }
      for (std::int64_t i = 0; i < tokens * (heads + 2 * kv_heads); ++i) {
        const int head = static_cast<int>(i) % (heads + 2 * kv_heads);
        const std::int64_t token = i / (heads + 2 * kv_heads);
        const float* from = before.data() + i * dim;
        const float* got = first.data() + i * dim;
        if (head >= heads + kv_heads) {
          EXPECT_EQ(difference(got, from, dim), "");
          continue;
        }
        const std::vector<float>& norm = head < heads ? q_norm : k_norm;
        double sum = 0;
        for (int d = 0; d < dim; ++d) sum += static_cast<double>(from[d] * from[d]);
        std::vector<double> v;
        v.reserve(dim);
        for (int d = 0; d < dim; ++d) {
          v.push_back(static_cast<double>(from[d]) / std::sqrt(sum / dim + 1e-6) *
                      static_cast<double>(norm[static_cast<std::size_t>(d)]));
        }
        std::vector<double> want = v;
        for (int j = 0; j < rotary / 2; ++j) {
          const auto a = static_cast<std::size_t>(interleaved ? 2 * j : j);
          const auto b = static_cast<std::size_t>(interleaved ? 2 * j + 1 : j + rotary / 2);
          const double c = cosines[static_cast<std::size_t>(token * rotary / 2 + j)];
          const double n = sines[static_cast<std::size_t>(token * rotary / 2 + j)];
          want[a] = v[a] * c - v[b] * n;
          want[b] = v[b] * c + v[a] * n;
        }
        for (int d = 0; d < dim; ++d) {
          EXPECT_NEAR(got[d], want[static_cast<std::size_t>(d)], 1e-5);
        }
      }
    }
  }
}

}  // namespace
}  // namespace vsurge::tensor
