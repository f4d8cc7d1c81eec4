#include "model/balance.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "model/decoder.h"

namespace vsurge::model {
namespace {

using tensor::Tensor;

constexpr int kTokens = 128;
constexpr int kPageSize = 128;
constexpr std::int64_t kRowsSeen = 1024;
constexpr int kOctavesMax = 12;

// Sums of squares by column become root means.
std::vector<float> root_means(const std::vector<double>& sums, std::int64_t count) {
  std::vector<float> roots(sums.size());
  for (std::size_t i = 0; i < sums.size(); ++i) {
    roots[i] = static_cast<float>(std::sqrt(sums[i] / static_cast<double>(count)));
  }
  return roots;
}

// Sizes of the channels of x, each row divided by its own rms.
std::vector<float> sizes_of_residual(const Tensor& x, float eps) {
  const auto width = static_cast<std::size_t>(x.cols);
  std::vector<double> sums(width);
  for (std::int64_t row = 0; row < x.rows; ++row) {
    const std::span<const float> values(x.row<float>(row), width);
    double squares = 0;
    for (const float v : values) squares += double{v} * v;
    const double inverse = 1 / (squares / static_cast<double>(width) + eps);
    for (std::size_t i = 0; i < width; ++i) sums[i] += double{values[i]} * values[i] * inverse;
  }
  return root_means(sums, x.rows);
}

double activated(kernels::Activation activation, double x) {
  switch (activation) {
    case kernels::Activation::kSilu:
      return x / (1 + std::exp(-x));
    case kernels::Activation::kGelu:
      return 0.5 * x * (1 + std::erf(x * 0.70710678118654752));
    case kernels::Activation::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
  }
  return x;
}

// Sizes of act(gate) * up; x is [gate, up].
std::vector<float> sizes_of_gated(const Tensor& x, kernels::Activation activation,
                                  base::ThreadPool& pool) {
  constexpr std::int64_t kGrain = 64;
  const std::int64_t width = x.cols / 2;
  std::vector<double> sums(static_cast<std::size_t>(width));
  pool.parallel_for(width, kGrain, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t row = 0; row < x.rows; ++row) {
      const float* gate = x.row<float>(row);
      for (std::int64_t i = begin; i < end; ++i) {
        const double value = activated(activation, gate[i]) * gate[width + i];
        sums[static_cast<std::size_t>(i)] += value * value;
      }
    }
  });
  return root_means(sums, x.rows);
}

// The plain arrays of a step of one sequence from position 0 on.
struct OneSequence {
  OneSequence(int count, int vocabulary) : offsets{0, count}, lengths{count} {
    std::uint32_t state = 1;
    for (int i = 0; i < count; ++i) {
      state = state * 1664525U + 1013904223U;
      tokens.push_back(static_cast<std::int32_t>((state >> 8) % static_cast<unsigned>(vocabulary)));
      positions.push_back(i);
    }
  }
  Batch batch() const {
    return {.tokens = tokens,
            .positions = positions,
            .slots = positions,  // of page 0
            .sequence_offsets = offsets,
            .context_lengths = lengths,
            .pages = pages,
            .page_offsets = page_offsets,
            .logit_rows = {}};
  }

  std::vector<std::int32_t> tokens, positions, offsets, lengths;
  std::vector<std::int32_t> pages{0}, page_offsets{0, 1};
};

// Next to the square root of a ratio on a grid of quarters of octaves: so small differences between
// two CPUs' floating point are hardly ever seen in the weights.
float grid_root(double ratio) {
  if (!(ratio > 0) || !std::isfinite(ratio)) return 1;
  const double octaves = std::round(std::log2(ratio) / 2 * 4) / 4;
  return static_cast<float>(std::exp2(std::clamp<double>(octaves, -kOctavesMax, kOctavesMax)));
}

}  // namespace

base::Result<InputSizes> measure_inputs(const DecoderSpec& spec, DecoderWeights weights,
                                        tensor::Backend& backend) {
  const int count = std::min(kTokens, spec.context_max);
  Decoder decoder(spec, std::move(weights), backend);
  VSURGE_TRY(decoder.reserve({.tokens_max = count,
                              .sequences_max = 1,
                              .logit_rows_max = 1,
                              .context_max = count,
                              .page_size = kPageSize,
                              .pages = 1}));
  InputSizes sizes;
  sizes.layers.resize(spec.layers.size());
  decoder.observe(OneSequence(count, spec.vocabulary).batch(),
                  [&](Decoder::Input input, int layer, const Tensor& x) {
                    if (input == Decoder::Input::kHead) {
                      sizes.head = sizes_of_residual(x, spec.norm_eps);
                      return;
                    }
                    auto& of_layer = sizes.layers[static_cast<std::size_t>(layer)];
                    if (input == Decoder::Input::kAttention) {
                      of_layer.attention = sizes_of_residual(x, spec.norm_eps);
                    } else if (input == Decoder::Input::kMlp) {
                      of_layer.mlp = sizes_of_residual(x, spec.norm_eps);
                    } else {
                      of_layer.down = sizes_of_gated(x, spec.activation, backend.pool());
                    }
                  });
  return sizes;
}

std::vector<float> balance(std::span<const float> sizes, const tensor::RowSource& rows) {
  const auto width = static_cast<std::size_t>(rows.cols());
  CHECK(sizes.size() == width);
  const std::int64_t step = std::max<std::int64_t>(1, rows.rows() / kRowsSeen);
  std::vector<double> sums(width);
  std::vector<float> row(width);
  std::int64_t seen = 0;
  for (std::int64_t i = 0; i < rows.rows(); i += step, ++seen) {
    rows.read_floats(i, row.data());
    for (std::size_t k = 0; k < width; ++k) sums[k] += double{row[k]} * row[k];
  }
  std::vector<float> factors(width);
  for (std::size_t k = 0; k < width; ++k) {
    const double column = std::sqrt(sums[k] / static_cast<double>(seen));
    factors[k] = grid_root(column / double{sizes[k]});
  }
  return factors;
}

}  // namespace vsurge::model
