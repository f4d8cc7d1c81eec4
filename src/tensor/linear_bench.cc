// linear_bench: all linear layers of a decoder as one step runs them, without attention: rows/s,
// and the share of what the machine's memory allows, measured in the same minute.
//
// usage: linear_bench [FORMAT[,FORMAT]] [ROWS[,ROWS]] [ISA] [THREADS]   e.g. i8256r 1,8,32
// A format is kind and group, then r when it is rotated and 2 for activations in two planes.
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "tensor/cpu_backend.h"
#include "tensor/test_speed.h"

namespace vsurge::tensor {
namespace {

using kernels::WeightFormat;
using kernels::WeightKind;

// Qwen3-0.6B: hidden 1024, 28 layers.
struct Shape {
  std::int64_t n, k;
};
constexpr Shape kLayer[] = {{4096, 1024}, {1024, 2048}, {6144, 1024}, {1024, 3072}};
constexpr Shape kHead = {151936, 1024};
constexpr int kLayers = 28;

// Values without a pattern, cheap to make.
class NoiseRows final : public RowSource {
 public:
  explicit NoiseRows(Shape shape) : shape_(shape) {}
  std::int64_t rows() const override { return shape_.n; }
  std::int64_t cols() const override { return shape_.k; }
  WeightFormat native() const override { return {WeightKind::kF32, 0}; }
  void read_floats(std::int64_t row, float* out) const override {
    auto state = static_cast<std::uint32_t>(row) * 2654435761U + 1U;
    for (std::int64_t i = 0; i < shape_.k; ++i) {
      state = state * 1664525U + 1013904223U;
      out[i] = static_cast<float>(static_cast<std::int32_t>(state)) * 0x1p-31F;
    }
  }
  void read_codes(std::int64_t, std::int16_t*, float*, float*) const override {}

 private:
  Shape shape_;
};

struct Model {
  std::vector<Weight> layers;
  Weight head;
  double bytes = 0;
  double operations = 0;  // a row
};

Model make_model(Backend& backend, WeightFormat format) {
  Model model;
  const auto add = [&](Shape shape) {
    auto weight = backend.pack(NoiseRows(shape), format);
    CHECK(weight.has_value());
    model.bytes += static_cast<double>(weight->bytes());
    model.operations += 2.0 * static_cast<double>(shape.n) * static_cast<double>(shape.k);
    return std::move(*weight);
  };
  for (int i = 0; i < kLayers; ++i) {
    for (const Shape& shape : kLayer) model.layers.push_back(add(shape));
  }
  model.head = add(kHead);
  return model;
}

// Seconds of one step of `rows` rows; the head on every row up to 64.
double step_s(Backend& backend, const Model& model, std::int64_t rows, const LinearSpec& spec) {
  std::vector<float> x(static_cast<std::size_t>(rows * 3072), 0.5F);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 97) - 48.0F;
  const std::int64_t head_rows = rows > 64 ? 1 : rows;
  // Of the alignment that a model's have.
  auto out = Buffer::allocate(static_cast<std::size_t>(rows * 6144) * sizeof(float));
  auto logits = Buffer::allocate(static_cast<std::size_t>(head_rows * kHead.n) * sizeof(float));
  CHECK(out.has_value() && logits.has_value());
  double best = 1e9;
  for (int round = 0; round < 3; ++round) {
    const double start = now_s();
    for (const Weight& w : model.layers) {
      backend.linear(Tensor::view(x.data(), DType::kF32, rows, w.cols), w,
                     Tensor::view(out->data(), DType::kF32, rows, w.rows), spec);
    }
    backend.linear(Tensor::view(x.data(), DType::kF32, head_rows, kHead.k), model.head,
                   Tensor::view(logits->data(), DType::kF32, head_rows, kHead.n), spec);
    best = std::min(best, now_s() - start);
  }
  return best;
}

WeightFormat format_of(const std::string& text) {
  struct Name {
    const char* name;
    WeightKind kind;
  };
  constexpr Name kNames[] = {{"f32", WeightKind::kF32},     {"bf16", WeightKind::kBF16},
                             {"i8min", WeightKind::kI8Min}, {"i8", WeightKind::kI8},
                             {"i4min", WeightKind::kI4Min}, {"i4", WeightKind::kI4},
                             {"nf4", WeightKind::kNF4}};
  for (const Name& name : kNames) {
    if (!text.starts_with(name.name)) continue;
    const char* rest = text.c_str() + std::strlen(name.name);
    return {name.kind, std::atoi(rest), std::strchr(rest, 'r') != nullptr};
  }
  std::fprintf(stderr, "linear_bench: unknown format %s\n", text.c_str());
  std::exit(2);
}

int run(int argc, char** argv) {
  const std::string formats = argc > 1 ? argv[1] : "bf16,i8256r,i8256r2,i464r";
  const std::string rows = argc > 2 ? argv[2] : "1,2,4,8,16,32,64,512";
  auto backend = make_cpu_backend(
      {.threads = argc > 4 ? std::atoi(argv[4]) : 0, .isa = argc > 3 ? argv[3] : ""});
  CHECK(backend.has_value());
  std::printf("%s\n%-12s %5s %9s %9s %9s %7s\n", (*backend)->name().c_str(), "format", "rows",
              "rows/s", "GOP/s", "GB/s", "of read");
  for (const std::string& name : split(formats)) {
    const WeightFormat format = format_of(name);
    const Model model = make_model(**backend, format);
    std::vector<const Buffer*> buffers;
    for (const Weight& w : model.layers) buffers.push_back(&w.values);
    LinearSpec spec;
    spec.precise = name.ends_with("2") && name.find('r') != std::string::npos;
    for (const std::string& count : split(rows)) {
      const std::int64_t n = std::atoi(count.c_str());
      const double roof = read_gb_s(buffers, (*backend)->pool());
      const double s = step_s(**backend, model, n, spec);
      const double gb_s = model.bytes / s / 1e9;
      const double head = n > 64 ? 2.0 * static_cast<double>(kHead.n * kHead.k) : 0;
      std::printf("%-12s %5lld %9.1f %9.0f %9.2f %7.2f\n", name.c_str(), static_cast<long long>(n),
                  static_cast<double>(n) / s,
                  (model.operations - head) * static_cast<double>(n) / s / 1e9, gb_s, gb_s / roof);
      std::fflush(stdout);
    }
  }
  return 0;
}

}  // namespace
}  // namespace vsurge::tensor

int main(int argc, char** argv) {
  return vsurge::tensor::run(argc, argv);
}
