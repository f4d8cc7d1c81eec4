// The head and greedy choice in one: the token that sample() finds among the logits of linear().
#include <limits>

#include "tests/op_testing.h"

namespace vsurge::tensor {
namespace {

using kernels::SampleStatus;
using kernels::WeightKind;

// Every `period` rows come again, so that each row of logits has its highest several times.
class Repeated final : public RowSource {
 public:
  Repeated(std::int64_t rows, std::int64_t cols, std::int64_t period, Random& random)
      : rows_(rows), cols_(cols), period_(period), values_(random.normals(period * cols)) {}
  std::int64_t rows() const override { return rows_; }
  std::int64_t cols() const override { return cols_; }
  kernels::WeightFormat native() const override { return {WeightKind::kF32, 0}; }
  void read_floats(std::int64_t row, float* out) const override {
    std::copy_n(values_.begin() + row % period_ * cols_, cols_, out);
  }
  void read_codes(std::int64_t, std::int16_t*, float*, float*) const override { FAIL(); }

 private:
  std::int64_t rows_, cols_, period_;
  std::vector<float> values_;
};

constexpr kernels::SampleRow kGreedy{0.0F, 1.0F, 0.0F, 0, 1, 0, nullptr};
constexpr std::int64_t kCols = 64;

// By a matrix of logits.
std::vector<kernels::SampleResult> in_two(Backend& backend, std::vector<float>& x, const Weight& w,
                                          const LinearSpec& spec) {
  const auto rows = x.size() / kCols;
  std::vector<float> logits(rows * static_cast<std::size_t>(w.rows));
  std::vector<kernels::SampleResult> results(rows);
  backend.linear(view(x, kCols), w, view(logits, w.rows), spec);
  backend.sample(view(logits, w.rows), std::vector<kernels::SampleRow>(rows, kGreedy), results);
  return results;
}

void expect_same(Backend& backend, std::vector<float>& x, const Weight& w, const LinearSpec& spec) {
  std::vector<kernels::SampleResult> got(x.size() / kCols);
  backend.linear_greatest(view(x, kCols), w, spec, got);
  const auto want = in_two(backend, x, w, spec);
  for (std::size_t row = 0; row < got.size(); ++row) {
    EXPECT_EQ(got[row].token, want[row].token) << row << " of " << got.size();
    EXPECT_EQ(got[row].status, want[row].status) << row;
  }
}

TEST(LinearGreatest, IsWhatSamplingFindsAmongAllLogits) {
  Random random(11);
  for (const kernels::IsaLevel level : levels()) {
    for (const int threads : {1, 3}) {
      CpuBackend backend(level, threads);
      SCOPED_TRACE(backend.name());
      for (const auto& format : {kernels::WeightFormat{WeightKind::kF32, 0},
                                 {WeightKind::kBF16, 0},
                                 {WeightKind::kI8, 32},
                                 {WeightKind::kI4, 32}}) {
        for (const std::int64_t n : {1, 7, 40, 256, 1003, 2048}) {
          auto w =
              backend.pack(Repeated(n, kCols, std::max<std::int64_t>(1, n / 3), random), format);
          ASSERT_TRUE(w.has_value());
          const std::vector<float> norm = random.normals(kCols), bias = random.normals(n);
          for (const std::int64_t rows : {1, 2, 9, 64, 65, 130}) {
            std::vector<float> x = random.normals(rows * kCols);
            expect_same(backend, x, *w, {});
            expect_same(backend, x, *w, {.precise = true, .norm = norm, .norm_eps = 1e-5F});
            expect_same(backend, x, *w, {.bias = bias.data()});
          }
        }
      }
    }
  }
}

TEST(LinearGreatest, OfEqualsTheLowest) {
  CpuBackend backend(kernels::best_level(), 3);
  Random random(12);
  auto w = backend.pack(Repeated(5000, kCols, 1, random), {WeightKind::kF32, 0});
  ASSERT_TRUE(w.has_value());
  std::vector<float> x = random.normals(3 * kCols);
  std::vector<kernels::SampleResult> results(3);
  backend.linear_greatest(view(x, kCols), *w, {}, results);
  for (const auto& result : results) EXPECT_EQ(result.token, 0);
}

TEST(LinearGreatest, TellsWhatIsNotFinite) {
  Random random(13);
  for (const kernels::IsaLevel level : levels()) {
    CpuBackend backend(level, 2);
    SCOPED_TRACE(backend.name());
    auto w = backend.pack(Repeated(1003, kCols, 1003, random), {WeightKind::kF32, 0});
    ASSERT_TRUE(w.has_value());
    std::vector<float> bias(1003, 0.0F);
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
          -std::numeric_limits<float>::infinity()}) {
      std::vector<float> x = random.normals(3 * kCols);
      x[kCols + 5] = bad;  // the second row
      std::vector<kernels::SampleResult> results(3);
      backend.linear_greatest(view(x, kCols), *w, {}, results);
      EXPECT_EQ(results[0].status, SampleStatus::kOk);
      EXPECT_EQ(results[1].status, SampleStatus::kNotFinite);
      EXPECT_EQ(results[1].token, -1);
      EXPECT_EQ(results[2].status, SampleStatus::kOk);
      for (const std::size_t column : {0U, 517U, 1002U}) {
        std::vector<float> one = bias;
        one[column] = bad;
        backend.linear_greatest(view(x, kCols), *w, {.bias = one.data()}, results);
        for (const auto& result : results) EXPECT_EQ(result.status, SampleStatus::kNotFinite);
      }
    }
  }
}

TEST(LinearGreatest, SaysWhatRowsItIsFor) {
  static const std::uint32_t kMask = 1;
  EXPECT_TRUE(kernels::wants_greatest(kGreedy));
  using Change = void (*)(kernels::SampleRow&);
  for (const Change change : std::initializer_list<Change>{
           [](auto& row) { row.temperature = 1; }, [](auto& row) { row.logprobs = 0; },
           [](auto& row) { row.scored_token = 3; }, [](auto& row) { row.edits_count = 1; },
           [](auto& row) { row.step_edits_count = 1; },
           [](auto& row) { row.allowed_tokens = &kMask; }}) {
    kernels::SampleRow row = kGreedy;
    change(row);
    EXPECT_FALSE(kernels::wants_greatest(row));
  }
  kernels::SampleRow first = kGreedy;
  first.temperature = 1;
  first.top_k = 1;
  EXPECT_TRUE(kernels::wants_greatest(first));
}

}  // namespace
}  // namespace vsurge::tensor
