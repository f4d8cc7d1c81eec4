// Every operation but attention, at every level: against a reference in double, against the scalar
// level byte by byte, and the same row alone, among others, and on any number of threads.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "tests/op_testing.h"

namespace vsurge::tensor {
namespace {

using kernels::IsaLevel;
using kernels::WeightFormat;
using kernels::WeightKind;

// A matrix of floats; or of codes in an integer format, with its exact values as floats.
class TestSource final : public RowSource {
 public:
  TestSource(std::int64_t rows, std::int64_t cols, WeightFormat native, Random& random)
      : rows_(rows), cols_(cols), native_(native), floats_(random.normals(rows * cols)) {
    // These are made from floats alone.
    if (native.rotated || native.kind == WeightKind::kNF4) native_ = {WeightKind::kF32, 0};
    if (!kernels::is_integer(native_.kind)) return;
    const std::int64_t groups = rows * cols / native.group;
    for (std::int64_t g = 0; g < groups; ++g) {
      // Powers of two times small numbers: exact in fp16.
      scales_.push_back(static_cast<float>(random.below(15) - 7) * 0.0078125F);
      minima_.push_back(static_cast<float>(random.below(31) - 15) * 0.0625F);
    }
    for (std::size_t i = 0; i < floats_.size(); ++i) {
      const std::size_t g = i / static_cast<std::size_t>(native.group);
      codes_.push_back(static_cast<std::int16_t>(random_code(random)));
      const int zero = native.kind == WeightKind::kI4 ? 8 : 0;
      floats_[i] = scales_[g] * static_cast<float>(codes_[i] - zero) +
                   (kernels::has_minimum(native.kind) ? minima_[g] : 0.0F);
    }
  }
  std::int64_t rows() const override { return rows_; }
  std::int64_t cols() const override { return cols_; }
  WeightFormat native() const override { return native_; }
  void read_floats(std::int64_t row, float* out) const override {
    std::copy_n(floats_.begin() + row * cols_, cols_, out);
  }
  void read_codes(std::int64_t row, std::int16_t* codes, float* scales,
                  float* minima) const override {
    const std::int64_t groups = cols_ / native_.group;
    std::copy_n(codes_.begin() + row * cols_, cols_, codes);
    std::copy_n(scales_.begin() + row * groups, groups, scales);
    std::copy_n(minima_.begin() + row * groups, groups, minima);
  }
  float value(std::int64_t row, std::int64_t col) const {
    return floats_[static_cast<std::size_t>(row * cols_ + col)];
  }

 private:
  int random_code(Random& random) const {
    if (native_.kind == WeightKind::kI8) return random.below(255) - 127;
    return random.below(native_.kind == WeightKind::kI8Min ? 256 : 16);
  }

  std::int64_t rows_, cols_;
  WeightFormat native_;
  std::vector<float> floats_;
  std::vector<std::int16_t> codes_;
  std::vector<float> scales_, minima_;
};

struct Case {
  WeightFormat format;
  std::int64_t n, k;
};

std::string name_of(WeightFormat f) {
  static const char* const names[] = {"F32", "BF16", "I8", "I8Min", "I4", "I4Min", "NF4"};
  return fmt::format("{}g{}{}", names[static_cast<int>(f.kind)], f.group,
                     f.rotated ? " rotated" : "");
}

std::vector<Case> cases() {
  std::vector<Case> out;
  for (const auto& [n, k] : {std::pair{5, 64}, {16, 8}, {40, 172}, {33, 2}, {96, 1030}}) {
    out.push_back({{WeightKind::kF32, 0}, n, k});
    out.push_back({{WeightKind::kBF16, 0}, n, k});
  }
  for (const int group : {16, 32, 64, 128, 256}) {
    for (const auto kind : {WeightKind::kI8, WeightKind::kI8Min, WeightKind::kI4,
                            WeightKind::kI4Min, WeightKind::kNF4}) {
      out.push_back({{kind, group}, 5, group});
      out.push_back({{kind, group, true}, 18, 2 * group});
      out.push_back({{kind, group}, 33, 3 * group});
      out.push_back({{kind, group}, 80, group == 256 ? 1280 : 1152});
      if (group == 32) out.push_back({{kind, group}, 112, 4096});
    }
  }
  return out;
}

Weight packed(Backend& backend, const RowSource& source, WeightFormat format) {
  auto weight = backend.pack(source, format);
  EXPECT_TRUE(weight.has_value());
  return std::move(*weight);
}

// Rows with an outlier column now and then, a group of zeros, and rows of very small values.
std::vector<float> activations(Random& random, std::int64_t rows, std::int64_t k) {
  std::vector<float> x = random.normals(rows * k);
  for (std::int64_t i = 0; i < rows * k; i += 97) x[static_cast<std::size_t>(i)] *= 20;
  if (rows > 3) {
    std::fill_n(x.begin() + 3 * k, std::min<std::int64_t>(k, 32), 0.0F);
  }
  return x;
}

constexpr std::int64_t kRowsMax = 70;

float as_bf16(float x) {
  return std::bit_cast<float>(
      (std::bit_cast<std::uint32_t>(x) + 0x7fffU + (std::bit_cast<std::uint32_t>(x) >> 16 & 1U)) &
      0xffff0000U);
}

// x [rows, k] times w [n, k], both rounded to bfloat16, as tdpbf16ps has it (Intel SDM, volume 2B):
// of each 32 columns the even and the odd ones add up apart.
std::vector<float> amx_products(const std::vector<float>& x, const std::vector<float>& w,
                                std::int64_t k) {
  std::vector<float> out;
  const auto value = [k](const std::vector<float>& m, std::int64_t row, std::int64_t col) {
    return as_bf16(m[static_cast<std::size_t>(row * k + col)]);
  };
  for (std::int64_t r = 0; r < std::ssize(x) / k; ++r) {
    for (std::int64_t n = 0; n < std::ssize(w) / k; ++n) {
      float y = 0;
      for (std::int64_t block = 0; block < k; block += 32) {
        float even = 0, odd = 0;
        for (std::int64_t i = block; i < std::min(k, block + 32); i += 2) {
          even = std::fma(value(x, r, i), value(w, n, i), even);
          odd = std::fma(value(x, r, i + 1), value(w, n, i + 1), odd);
        }
        y += even + odd;
      }
      out.push_back(y);
    }
  }
  return out;
}

// The matrix as it was packed.
std::vector<float> unpacked(Backend& backend, const Weight& weight) {
  std::vector<std::int32_t> all(static_cast<std::size_t>(weight.rows));
  std::iota(all.begin(), all.end(), 0);
  std::vector<float> w(static_cast<std::size_t>(weight.rows * weight.cols));
  backend.embed(weight, all, view(w, weight.cols));
  return w;
}

TEST(Linear, EveryLevelAndBatchGivesTheBytesOfScalar) {
  Random random(1);
  CpuBackend scalar(IsaLevel::kScalar, 1);
  for (const Case& c : cases()) {
    const TestSource source(c.n, c.k, c.format, random);
    const Weight weight = packed(scalar, source, c.format);
    std::vector<float> x = activations(random, kRowsMax, c.k);
    std::vector<float> want(static_cast<std::size_t>(kRowsMax * c.n));
    const LinearSpec spec{.precise = c.k % 3 == 0};  // some of them in 16 bits
    for (const IsaLevel level : levels()) {
      if (level == IsaLevel::kAmx && c.format.kind == WeightKind::kBF16) {
        want = amx_products(x, unpacked(scalar, weight), c.k);
      } else {
        scalar.linear(view(x, c.k), weight, view(want, c.n), spec);
      }
      CpuBackend one(level, 1), three(level, 3);
      for (std::int64_t rows = 1; rows <= kRowsMax; rows += rows < 18 ? 1 : 13) {
        // The batch starts at another row each time: place does not matter.
        const std::int64_t first = rows * 7 % (kRowsMax - rows + 1);
        const Tensor part = Tensor::view(x.data() + first * c.k, DType::kF32, rows, c.k);
        std::vector<float> got(static_cast<std::size_t>(rows * c.n), -1.0F);
        (rows % 2 == 0 ? one : three).linear(part, weight, view(got, c.n), spec);
        ASSERT_EQ(difference(got.data(), want.data() + first * c.n, rows * c.n), "")
            << name_of(c.format) << " n " << c.n << " k " << c.k << " rows " << rows << " level "
            << static_cast<int>(level);
      }
    }
  }
}

TEST(Linear, IsCloseToDoubleOnTheSameWeights) {
  Random random(2);
  for (const Case& c : cases()) {
    if (c.k < 64 || c.format.rotated) continue;
    CpuBackend backend(kernels::best_level(), 2);
    const TestSource source(c.n, c.k, c.format, random);
    const Weight weight = packed(backend, source, c.format);
    const std::int64_t rows = 9;
    std::vector<float> x = random.normals(rows * c.k);
    std::vector<float> got(static_cast<std::size_t>(rows * c.n));
    backend.linear(view(x, c.k), weight, view(got, c.n));
    const std::vector<float> w = unpacked(backend, weight);
    std::vector<double> want(got.size());
    for (std::size_t i = 0; i < want.size(); ++i) {
      const std::int64_t r = static_cast<std::int64_t>(i) / c.n;
      const std::int64_t n = static_cast<std::int64_t>(i) % c.n;
      for (std::int64_t k = 0; k < c.k; ++k) {
        want[i] += static_cast<double>(x[static_cast<std::size_t>(r * c.k + k)]) *
                   static_cast<double>(w[static_cast<std::size_t>(n * c.k + k)]);
      }
    }
    const double bound = c.format.kind == WeightKind::kF32    ? 1e-12
                         : c.format.kind == WeightKind::kBF16 ? 5e-6
                         : c.format.group >= 128              ? 2e-4
                                                              : 1e-4;
    EXPECT_LE(nmse(got, want), bound) << name_of(c.format) << " n " << c.n << " k " << c.k;
    if (!kernels::is_integer(c.format.kind) || weight.one_plane) continue;
    backend.linear(view(x, c.k), weight, view(got, c.n), {.precise = true});
    EXPECT_LE(nmse(got, want), 5e-9) << name_of(c.format) << " n " << c.n << " k " << c.k;
  }
}

// A rotated matrix is near the floats that it was made of, and nearer than one that is not where
// columns of x and w stand out.
TEST(Linear, RotationSparesWhatLiesBesideOutliers) {
  Random random(7);
  CpuBackend backend(kernels::best_level(), 2);
  for (const int group : {16, 32, 64, 128, 256}) {
    const std::int64_t n = 48, k = 1280, rows = 21;
    std::vector<float> x = random.normals(rows * k);
    for (std::int64_t i = 5; i < rows * k; i += k / 3) x[static_cast<std::size_t>(i)] *= 40;
    const TestSource source(n, k, {WeightKind::kF32, 0}, random);
    std::vector<double> want(static_cast<std::size_t>(rows * n));
    for (std::int64_t i = 0; i < rows * n; ++i) {
      for (std::int64_t c = 0; c < k; ++c) {
        want[static_cast<std::size_t>(i)] +=
            static_cast<double>(x[static_cast<std::size_t>(i / n * k + c)]) *
            static_cast<double>(source.value(i % n, c));
      }
    }
    const auto error = [&](WeightFormat format) {
      const Weight weight = packed(backend, source, format);
      std::vector<float> got(want.size());
      backend.linear(view(x, k), weight, view(got, n));
      return nmse(got, want);
    };
    const double rotated = error({WeightKind::kI8, group, true});
    EXPECT_LE(rotated, group > 128 ? 2e-4 : 1e-4) << group;
    EXPECT_LE(rotated, error({WeightKind::kI8, group}) / 2) << group;
  }
}

TEST(Linear, AddsBiasAndWhatWasThere) {
  Random random(3);
  for (const WeightFormat format : {WeightFormat{WeightKind::kF32, 0},
                                    {WeightKind::kBF16, 0},
                                    {WeightKind::kI8, 32},
                                    {WeightKind::kI4Min, 32}}) {
    const std::int64_t n = 37, k = 96;
    const TestSource source(n, k, format, random);
    for (const IsaLevel level : levels()) {
      CpuBackend backend(level, 2);
      const Weight weight = packed(backend, source, format);
      for (const std::int64_t rows : {1, 2, 11}) {
        std::vector<float> x = random.normals(rows * k), bias = random.normals(n);
        const std::vector<float> before = random.normals(rows * n);
        std::vector<float> plain(before.size()), got = before;
        backend.linear(view(x, k), weight, view(plain, n));
        backend.linear(view(x, k), weight, view(got, n), {.bias = bias.data(), .accumulate = true});
        for (std::size_t i = 0; i < plain.size(); ++i) {
          plain[i] = (plain[i] + bias[i % static_cast<std::size_t>(n)]) + before[i];
        }
        EXPECT_EQ(difference(got.data(), plain.data(), rows * n), "");
      }
    }
  }
}

// The float matrix that changes nothing: shows what becomes of x before it is multiplied.
Weight identity(CpuBackend& backend, std::int64_t cols) {
  class Identity final : public RowSource {
   public:
    explicit Identity(std::int64_t cols) : cols_(cols) {}
    std::int64_t rows() const override { return cols_; }
    std::int64_t cols() const override { return cols_; }
    WeightFormat native() const override { return {WeightKind::kF32, 0}; }
    void read_floats(std::int64_t row, float* out) const override {
      std::fill_n(out, cols_, 0.0F);
      out[row] = 1;
    }
    void read_codes(std::int64_t, std::int16_t*, float*, float*) const override {}

   private:
    std::int64_t cols_;
  };
  return packed(backend, Identity(cols), {WeightKind::kF32, 0});
}

// A norm or a gate in front gives the bytes of two operations.
TEST(Linear, TakesItsNormOrGateAlong) {
  Random random(8);
  for (const WeightFormat format : {WeightFormat{WeightKind::kF32, 0},
                                    {WeightKind::kBF16, 0},
                                    {WeightKind::kI8Min, 128, true},
                                    {WeightKind::kI4Min, 32}}) {
    const std::int64_t n = 37, k = 640;
    const TestSource source(n, k, format, random);
    for (const IsaLevel level : levels()) {
      CpuBackend backend(level, 3);
      const Weight weight = packed(backend, source, format);
      const Weight same = identity(backend, k);
      for (const std::int64_t rows : {1, 2, 5}) {
        std::vector<float> x = random.normals(rows * k), gate_up = random.normals(rows * 2 * k);
        const std::vector<float> norm = random.normals(k);
        std::vector<float> made(x.size()), want(static_cast<std::size_t>(rows * n)), got = want;
        backend.linear(view(x, k), same, view(made, k), {.norm = norm, .norm_eps = 1e-5F});
        backend.linear(view(made, k), weight, view(want, n));
        backend.linear(view(x, k), weight, view(got, n), {.norm = norm, .norm_eps = 1e-5F});
        EXPECT_EQ(difference(got.data(), want.data(), rows * n), "") << name_of(format);
        backend.linear(view(gate_up, 2 * k), same, view(made, k),
                       {.gate = kernels::Activation::kSilu});
        backend.linear(view(made, k), weight, view(want, n));
        backend.linear(view(gate_up, 2 * k), weight, view(got, n),
                       {.gate = kernels::Activation::kSilu});
        EXPECT_EQ(difference(got.data(), want.data(), rows * n), "") << name_of(format);
      }
    }
  }
}

// Values whose inverse overflows, among others and alone, give finite results near the true ones.
TEST(Linear, RoundsTinyValuesToZero) {
  Random random(12);
  const std::int64_t n = 32, k = 256;
  for (const WeightFormat format : {WeightFormat{WeightKind::kI8, 32},
                                    {WeightKind::kI8Min, 128, true},
                                    {WeightKind::kI4Min, 32}}) {
    const TestSource source(n, k, format, random);
    for (const IsaLevel level : levels()) {
      CpuBackend backend(level, 1);
      const Weight weight = packed(backend, source, format);
      for (const float size : {1e-45F, 1e-38F, 1e-36F, 1e-32F}) {
        std::vector<float> x(static_cast<std::size_t>(2 * k), size);
        x[k] = 1;  // its row has one group that is not tiny
        std::vector<float> y(static_cast<std::size_t>(2 * n));
        backend.linear(view(x, k), weight, view(y, n), {.precise = true});
        for (std::int64_t i = 0; i < n; ++i) {
          ASSERT_LE(std::fabs(y[static_cast<std::size_t>(i)]), 1e-25F) << name_of(format);
          ASSERT_NEAR(y[static_cast<std::size_t>(n + i)], source.value(i, 0), 0.1F);
        }
      }
    }
  }
}

// The largest codes times the largest activations: sums of the widest group fit 32 bits.
TEST(Linear, HoldsTheLargestSums) {
  class Largest final : public RowSource {
   public:
    std::int64_t rows() const override { return 32; }
    std::int64_t cols() const override { return 512; }
    WeightFormat native() const override { return {WeightKind::kI8Min, 256}; }
    void read_floats(std::int64_t, float* out) const override { std::fill_n(out, 512, 255.0F); }
    void read_codes(std::int64_t, std::int16_t* codes, float* scales,
                    float* minima) const override {
      std::fill_n(codes, 512, std::int16_t{255});
      std::fill_n(scales, 2, 1.0F);
      std::fill_n(minima, 2, 0.0F);
    }
  };
  for (const IsaLevel level : levels()) {
    CpuBackend backend(level, 1);
    const Weight weight = packed(backend, Largest(), {WeightKind::kI8Min, 256});
    for (const std::int64_t rows : {1, 9}) {
      for (const float sign : {1.0F, -1.0F}) {
        std::vector<float> x(static_cast<std::size_t>(rows * 512), sign);
        std::vector<float> y(static_cast<std::size_t>(rows * 32));
        backend.linear(view(x, 512), weight, view(y, 32), {.precise = true});
        for (const float v : y) ASSERT_NEAR(v, sign * 255 * 512, 0.1F);
      }
    }
  }
}

TEST(Linear, ReadsAndWritesRowsThatAreApart) {
  Random random(4);
  const WeightFormat format{WeightKind::kI4, 32};
  const std::int64_t n = 21, k = 64, rows = 10, wide = 100;
  const TestSource source(n, k, format, random);
  CpuBackend backend(kernels::best_level(), 2);
  const Weight weight = packed(backend, source, format);
  std::vector<float> x = random.normals(rows * wide),
                     y(static_cast<std::size_t>(rows * wide), 7.0F);
  backend.linear(view(x, wide).columns(11, k), weight, view(y, wide).columns(13, n));
  std::vector<float> dense, want(static_cast<std::size_t>(rows * n));
  for (std::int64_t r = 0; r < rows; ++r) {
    dense.insert(dense.end(), x.begin() + r * wide + 11, x.begin() + r * wide + 11 + k);
  }
  backend.linear(view(dense, k), weight, view(want, n));
  for (std::int64_t r = 0; r < rows; ++r) {
    EXPECT_EQ(difference(y.data() + r * wide + 13, want.data() + r * n, n), "");
    EXPECT_EQ(y[static_cast<std::size_t>(r * wide + 12)], 7.0F);
    EXPECT_EQ(y[static_cast<std::size_t>(r * wide + 13 + n)], 7.0F);
  }
}

TEST(Pack, KeepsCodesExactly) {
  Random random(5);
  CpuBackend backend(kernels::best_level(), 2);
  for (const Case& c : cases()) {
    if (c.format.rotated || c.format.kind == WeightKind::kNF4) continue;  // made by rounding
    const TestSource source(c.n, c.k, c.format, random);
    const Weight weight = packed(backend, source, c.format);
    for (std::int32_t row = 0; row < c.n; row += 3) {
      std::vector<float> got(static_cast<std::size_t>(c.k));
      backend.embed(weight, {&row, 1}, view(got, c.k));
      for (std::int64_t k = 0; k < c.k; ++k) {
        float want = source.value(row, k);
        if (c.format.kind == WeightKind::kBF16) want = got[static_cast<std::size_t>(k)];
        ASSERT_EQ(got[static_cast<std::size_t>(k)], want) << name_of(c.format);
        ASSERT_NEAR(source.value(row, k), want, std::fabs(want) * 0x1p-8);
      }
    }
  }
}

TEST(Pack, RoundsFloatsWithinHalfAStep) {
  Random random(6);
  CpuBackend backend(kernels::best_level(), 2);
  const std::int64_t n = 19, k = 256;
  const TestSource source(n, k, {WeightKind::kF32, 0}, random);
  for (const auto& [kind, steps] : {std::pair{WeightKind::kI8, 127.0},
                                    {WeightKind::kI8Min, 127.5},
                                    {WeightKind::kI4, 7.0},
                                    {WeightKind::kI4Min, 7.5}}) {
    const Weight weight = packed(backend, source, {kind, 64});
    for (std::int32_t row = 0; row < n; ++row) {
      std::vector<float> got(static_cast<std::size_t>(k));
      backend.embed(weight, {&row, 1}, view(got, k));
      for (std::int64_t i = 0; i < k; ++i) {
        // A group's values lie within +-6, so a step is at most 6 / steps, and a little for fp16.
        ASSERT_NEAR(got[static_cast<std::size_t>(i)], source.value(row, i), 6.0 / steps * 0.6);
      }
    }
  }
}

TEST(Pack, RefusesWidthsThatDoNotFit) {
  Random random(7);
  CpuBackend backend(kernels::best_level(), 1);
  const TestSource odd(4, 33, {WeightKind::kF32, 0}, random);
  EXPECT_EQ(backend.pack(odd, {WeightKind::kBF16, 0}).error().code, base::ErrorCode::kBadModel);
  EXPECT_EQ(backend.pack(odd, {WeightKind::kI8, 32}).error().code, base::ErrorCode::kBadModel);
  EXPECT_TRUE(backend.pack(odd, {WeightKind::kF32, 0}).has_value());
}

TEST(Norm, MatchesDoubleAndScalarBytes) {
  Random random(8);
  CpuBackend scalar(IsaLevel::kScalar, 1);
  for (const std::int64_t cols : {8, 16, 40, 64, 172, 576, 1536}) {
    const std::int64_t rows = 13;
    const Weight same = identity(scalar, cols);
    std::vector<float> x = random.normals(rows * cols), weight = random.normals(cols);
    std::vector<float> first(x.size());
    const LinearSpec norm{.norm = weight, .norm_eps = 1e-5F};
    scalar.linear(view(x, cols), same, view(first, cols), norm);
    std::vector<double> want(x.size());
    for (std::int64_t r = 0; r < rows; ++r) {
      double sum = 0;
      for (std::int64_t i = 0; i < cols; ++i) {
        const double v = x[static_cast<std::size_t>(r * cols + i)];
        sum += v * v;
      }
      const double scale = 1 / std::sqrt(sum / static_cast<double>(cols) + 1e-5);
      for (std::int64_t i = 0; i < cols; ++i) {
        const auto at = static_cast<std::size_t>(r * cols + i);
        want[at] = static_cast<double>(x[at]) * scale *
                   static_cast<double>(weight[static_cast<std::size_t>(i)]);
      }
    }
    EXPECT_LE(nmse(first, want), 1e-12) << cols;
    for (const IsaLevel level : levels()) {
      CpuBackend backend(level, 3);
      std::vector<float> got(x.size());
      backend.linear(view(x, cols), same, view(got, cols), norm);
      EXPECT_EQ(difference(got.data(), first.data(), rows * cols), "") << cols;
    }
  }
}

double gate_of(kernels::Activation act, double x) {
  switch (act) {
    case kernels::Activation::kSilu:
      return x / (1 + std::exp(-x));
    case kernels::Activation::kGelu:
      return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
    case kernels::Activation::kGeluTanh:
      return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  }
  return 0;
}

TEST(Gate, MatchesDoubleAndScalarBytes) {
  Random random(9);
  CpuBackend scalar(IsaLevel::kScalar, 1);
  for (const auto act :
       {kernels::Activation::kSilu, kernels::Activation::kGelu, kernels::Activation::kGeluTanh}) {
    for (const std::int64_t width : {8, 16, 172, 1536}) {
      const std::int64_t rows = 5;
      const Weight same = identity(scalar, width);
      std::vector<float> x = random.normals(rows * 2 * width);
      for (std::size_t i = 0; i < x.size(); i += 7) x[i] *= 30;  // the flat ends too
      std::vector<float> first(static_cast<std::size_t>(rows * width));
      scalar.linear(view(x, 2 * width), same, view(first, width), {.gate = act});
      for (std::size_t i = 0; i < first.size(); ++i) {
        const std::size_t r = i / static_cast<std::size_t>(width);
        const double g = x[i + r * static_cast<std::size_t>(width)];
        const double u = x[i + (r + 1) * static_cast<std::size_t>(width)];
        const double want = gate_of(act, g) * u;
        ASSERT_NEAR(first[i], want, 1e-6 * (std::fabs(g * u) + 1)) << g;
      }
      for (const IsaLevel level : levels()) {
        CpuBackend backend(level, 2);
        std::vector<float> got(first.size());
        backend.linear(view(x, 2 * width), same, view(got, width), {.gate = act});
        EXPECT_EQ(difference(got.data(), first.data(), rows * width), "") << width;
      }
    }
  }
}

// Of more than a MiB, aligned or not, and each row alone.
TEST(Linear, LargeOutputsHaveTheBytesOfSmallOnes) {
  constexpr std::int64_t kRows = 130, kWidth = 4112;  // the last panel is whole, 4,099 is not
  Random random(14);
  for (const kernels::IsaLevel level : levels()) {
    CpuBackend backend(level, 3);
    SCOPED_TRACE(backend.name());
    for (const auto kind : {kernels::WeightKind::kF32, kernels::WeightKind::kBF16}) {
      for (const std::int64_t width : {kWidth, kWidth - 13}) {
        const auto w = backend.pack(TestSource(width, 64, {kind, 0}, random), {kind, 0});
        ASSERT_TRUE(w.has_value());
        std::vector<float> x = random.normals(kRows * 64);
        auto aligned = Buffer::allocate(kRows * kWidth * sizeof(float));
        ASSERT_TRUE(aligned.has_value());
        const Tensor whole = Tensor::view(aligned->data(), DType::kF32, kRows, kWidth);
        std::vector<float> off(kRows * kWidth + 1);
        const Tensor shifted = Tensor::view(off.data() + 1, DType::kF32, kRows, kWidth);
        backend.linear(view(x, 64), *w, whole.columns(0, width));
        backend.linear(view(x, 64), *w, shifted.columns(0, width));
        std::vector<float> row(static_cast<std::size_t>(width));
        for (std::int64_t r = 0; r < kRows; ++r) {
          backend.linear(Tensor::view(x.data() + r * 64, DType::kF32, 1, 64), *w, view(row, width));
          EXPECT_EQ(difference(whole.row<float>(r), row.data(), width), "") << r;
          EXPECT_EQ(difference(shifted.row<float>(r), row.data(), width), "") << r;
        }
      }
    }
  }
}

TEST(GatherRows, CopiesRows) {
  Random random(10);
  CpuBackend backend(kernels::best_level(), 2);
  std::vector<float> x = random.normals(6 * 20), got(60);
  backend.gather_rows(view(x, 20), std::vector<std::int32_t>{4, 0, 4}, view(got, 20));
  EXPECT_EQ(difference(got.data(), x.data() + 80, 20), "");
  EXPECT_EQ(difference(got.data() + 20, x.data(), 20), "");
  EXPECT_EQ(difference(got.data() + 40, x.data() + 80, 20), "");
}

TEST(Sample, TakesTheLargestOfEachRow) {
  CpuBackend backend(kernels::best_level(), 2);
  std::vector<float> logits(3 * 50, 0.0F);
  logits[7] = 3;
  logits[50 + 49] = 2;
  logits[100] = std::numeric_limits<float>::quiet_NaN();
  const kernels::SampleRow greedy{0.0F, 1.0F, 0.0F, 0, 1, 0, nullptr};
  std::vector<kernels::SampleResult> results(3);
  backend.sample(view(logits, 50), std::vector<kernels::SampleRow>(3, greedy), results);
  EXPECT_EQ(results[0].token, 7);
  EXPECT_EQ(results[1].token, 49);
  EXPECT_EQ(results[2].status, kernels::SampleStatus::kNotFinite);
}

TEST(CpuBackend, SaysWhichLevelsItKnows) {
  EXPECT_EQ(make_cpu_backend({1, "mmx"}).error().code, base::ErrorCode::kUsage);
  EXPECT_EQ(make_cpu_backend({-1, ""}).error().code, base::ErrorCode::kUsage);
  const auto backend = make_cpu_backend({2, "scalar"});
  ASSERT_TRUE(backend.has_value());
  EXPECT_EQ((*backend)->name(), "cpu/scalar, 2 threads");
}

}  // namespace
}  // namespace vsurge::tensor
