#include "model/load_rows.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "model/gguf_blocks.h"

namespace vsurge::model {
namespace {

using kernels::WeightFormat;
using kernels::WeightKind;

constexpr std::size_t kBlockMax = 256;       // values of the largest block
constexpr std::size_t kBlockGroupsMax = 16;  // and scales

// F32, F16 and BF16.
class PlainRows final : public tensor::RowSource {
 public:
  PlainRows(TensorType type, std::span<const std::byte> bytes, std::int64_t rows, std::int64_t cols)
      : type_(type), bytes_(bytes), rows_(rows), cols_(cols) {}
  std::int64_t rows() const override { return rows_; }
  std::int64_t cols() const override { return cols_; }
  WeightFormat native() const override { return type_info(type_).native; }
  void read_floats(std::int64_t row, float* out) const override {
    const auto count = static_cast<std::size_t>(cols_);
    const std::size_t width = type_info(type_).block_bytes;
    const std::byte* from = bytes_.data() + static_cast<std::size_t>(row) * count * width;
    if (type_ == TensorType::kF32) {
      std::memcpy(out, from, count * width);
      return;
    }
    const auto half = [from](std::size_t i) {  // at any alignment
      std::uint16_t bits = 0;
      std::memcpy(&bits, from + i * sizeof bits, sizeof bits);
      return bits;
    };
    if (type_ == TensorType::kF16) {
      for (std::size_t i = 0; i < count; ++i) out[i] = half_to_float(half(i));
      return;
    }
    for (std::size_t i = 0; i < count; ++i) {
      out[i] = std::bit_cast<float>(static_cast<std::uint32_t>(half(i)) << 16);
    }
  }
  void read_codes(std::int64_t, std::int16_t*, float*, float*) const override {
    CHECK(false, "{} has no codes", type_info(type_).name);
  }

 private:
  TensorType type_;
  std::span<const std::byte> bytes_;
  std::int64_t rows_;
  std::int64_t cols_;
};

// The block formats of GGUF.
class BlockRows final : public tensor::RowSource {
 public:
  BlockRows(TensorType type, std::span<const std::byte> bytes, std::int64_t rows, std::int64_t cols)
      : type_(type), info_(type_info(type)), bytes_(bytes), rows_(rows), cols_(cols) {}
  std::int64_t rows() const override { return rows_; }
  std::int64_t cols() const override { return cols_; }
  WeightFormat native() const override { return info_.native; }

  void read_floats(std::int64_t row, float* out) const override {
    std::array<std::int16_t, kBlockMax> codes{};
    std::array<float, kBlockGroupsMax> scales{}, minima{};
    const auto group = static_cast<std::size_t>(info_.native.group);
    const int zero = info_.native.kind == WeightKind::kI4 ? 8 : 0;
    for (std::size_t b = 0; b < blocks(); ++b) {
      decode_block(type_, block(row, b), codes.data(), scales.data(), minima.data());
      for (std::size_t i = 0; i < info_.block_values; ++i) {
        *out++ = scales[i / group] * static_cast<float>(codes[i] - zero) + minima[i / group];
      }
    }
  }

  void read_codes(std::int64_t row, std::int16_t* codes, float* scales,
                  float* minima) const override {
    const std::size_t groups = info_.block_values / static_cast<std::size_t>(info_.native.group);
    const bool has_minimum = kernels::has_minimum(info_.native.kind);
    for (std::size_t b = 0; b < blocks(); ++b) {
      decode_block(type_, block(row, b), codes + b * info_.block_values, scales + b * groups,
                   has_minimum ? minima + b * groups : nullptr);
    }
  }

 private:
  std::size_t blocks() const { return static_cast<std::size_t>(cols_) / info_.block_values; }
  const std::byte* block(std::int64_t row, std::size_t b) const {
    return bytes_.data() + (static_cast<std::size_t>(row) * blocks() + b) * info_.block_bytes;
  }

  TensorType type_;
  const TensorTypeInfo& info_;
  std::span<const std::byte> bytes_;
  std::int64_t rows_;
  std::int64_t cols_;
};

// What is added to a code of `from`, so that `scale * code` plus a minimum means the same in `to`.
int code_shift(WeightKind from, WeightKind to) {
  const int zero_from = from == WeightKind::kI4 ? 8 : 0;
  const int zero_to = to == WeightKind::kI4 ? 8 : 0;
  if (from == WeightKind::kI8 && to == WeightKind::kI8Min) return 128;
  if (kernels::has_minimum(to)) return 0;
  return zero_to - zero_from;
}

class WidenedRows final : public tensor::RowSource {
 public:
  WidenedRows(RowSourcePtr source, WeightFormat format)
      : source_(std::move(source)), from_(source_->native()), to_(format) {}
  std::int64_t rows() const override { return source_->rows(); }
  std::int64_t cols() const override { return source_->cols(); }
  WeightFormat native() const override { return to_; }
  void read_floats(std::int64_t row, float* out) const override { source_->read_floats(row, out); }

  void read_codes(std::int64_t row, std::int16_t* codes, float* scales,
                  float* minima) const override {
    source_->read_codes(row, codes, scales, minima);
    const auto values = static_cast<std::size_t>(cols());
    const int shift = code_shift(from_.kind, to_.kind);
    for (std::size_t i = 0; i < values; ++i) codes[i] = static_cast<std::int16_t>(codes[i] + shift);
    const std::size_t groups = values / static_cast<std::size_t>(from_.group);
    if (kernels::has_minimum(to_.kind) && !kernels::has_minimum(from_.kind)) {
      // The value of code 0 after the shift: a power of two times the scale, so it is exact.
      const float zero = from_.kind == WeightKind::kI4 ? -8.0f : -128.0f;
      for (std::size_t g = 0; g < groups; ++g) minima[g] = zero * scales[g];
    }
    // Smaller groups repeat what they share; backwards, so that nothing is overwritten too early.
    const auto repeat = static_cast<std::size_t>(from_.group / to_.group);
    for (std::size_t g = groups * repeat; repeat > 1 && g-- > 0;) {
      scales[g] = scales[g / repeat];
      if (kernels::has_minimum(to_.kind)) minima[g] = minima[g / repeat];
    }
  }

 private:
  RowSourcePtr source_;
  WeightFormat from_;
  WeightFormat to_;
};

class StackedRows final : public tensor::RowSource {
 public:
  explicit StackedRows(std::vector<RowSourcePtr> sources) : sources_(std::move(sources)) {
    for (const RowSourcePtr& source : sources_) rows_ += source->rows();
  }
  std::int64_t rows() const override { return rows_; }
  std::int64_t cols() const override { return sources_[0]->cols(); }
  WeightFormat native() const override { return sources_[0]->native(); }
  void read_floats(std::int64_t row, float* out) const override {
    const auto [source, inner] = place(row);
    source->read_floats(inner, out);
  }
  void read_codes(std::int64_t row, std::int16_t* codes, float* scales,
                  float* minima) const override {
    const auto [source, inner] = place(row);
    source->read_codes(inner, codes, scales, minima);
  }

 private:
  std::pair<const tensor::RowSource*, std::int64_t> place(std::int64_t row) const {
    for (const RowSourcePtr& source : sources_) {
      if (row < source->rows()) return {source.get(), row};
      row -= source->rows();
    }
    CHECK(false, "row beyond the last");
    return {};
  }

  std::vector<RowSourcePtr> sources_;
  std::int64_t rows_ = 0;
};

// Floats of mixed sources: native says what is common to them all.
class FloatRows final : public tensor::RowSource {
 public:
  FloatRows(RowSourcePtr source, WeightFormat format)
      : source_(std::move(source)), format_(format) {}
  std::int64_t rows() const override { return source_->rows(); }
  std::int64_t cols() const override { return source_->cols(); }
  WeightFormat native() const override { return format_; }
  void read_floats(std::int64_t row, float* out) const override { source_->read_floats(row, out); }
  void read_codes(std::int64_t, std::int16_t*, float*, float*) const override {
    CHECK(false, "a float format has no codes");
  }

 private:
  RowSourcePtr source_;
  WeightFormat format_;
};

class ScaledRows final : public tensor::RowSource {
 public:
  ScaledRows(RowSourcePtr source, std::vector<float> columns, std::vector<float> rows)
      : source_(std::move(source)), columns_(std::move(columns)), rows_(std::move(rows)) {}
  std::int64_t rows() const override { return source_->rows(); }
  std::int64_t cols() const override { return source_->cols(); }
  WeightFormat native() const override { return {WeightKind::kF32, 0}; }
  void read_floats(std::int64_t row, float* out) const override {
    source_->read_floats(row, out);
    for (std::size_t k = 0; k < columns_.size(); ++k) out[k] *= columns_[k];
    if (rows_.empty()) return;
    const float factor = rows_[static_cast<std::size_t>(row)];
    for (std::int64_t k = 0; k < cols(); ++k) out[k] *= factor;
  }
  void read_codes(std::int64_t, std::int16_t*, float*, float*) const override {
    CHECK(false, "a float format has no codes");
  }

 private:
  RowSourcePtr source_;
  std::vector<float> columns_;  // [cols] or none
  std::vector<float> rows_;     // [rows] or none
};

class HalvesApart final : public tensor::RowSource {
 public:
  HalvesApart(RowSourcePtr source, std::int64_t head_dim)
      : source_(std::move(source)), head_dim_(head_dim) {}
  std::int64_t rows() const override { return source_->rows(); }
  std::int64_t cols() const override { return source_->cols(); }
  WeightFormat native() const override { return source_->native(); }
  void read_floats(std::int64_t row, float* out) const override {
    source_->read_floats(interleaved_row(row, head_dim_), out);
  }
  void read_codes(std::int64_t row, std::int16_t* codes, float* scales,
                  float* minima) const override {
    source_->read_codes(interleaved_row(row, head_dim_), codes, scales, minima);
  }

 private:
  RowSourcePtr source_;
  std::int64_t head_dim_;
};

}  // namespace

RowSourcePtr tensor_rows(TensorType type, std::span<const std::byte> bytes, std::int64_t rows,
                         std::int64_t cols) {
  CHECK(tensor_bytes(type, static_cast<std::uint64_t>(rows * cols)) == bytes.size());
  CHECK(cols % static_cast<std::int64_t>(type_info(type).block_values) == 0);
  if (type_info(type).block_values == 1) {
    return std::make_unique<PlainRows>(type, bytes, rows, cols);
  }
  return std::make_unique<BlockRows>(type, bytes, rows, cols);
}

WeightFormat common_format(WeightFormat a, WeightFormat b) {
  if (a == b) return a;
  if (!kernels::is_integer(a.kind) || !kernels::is_integer(b.kind)) return {WeightKind::kF32, 0};
  const auto wide = [](WeightKind kind) {
    return kind == WeightKind::kI8 || kind == WeightKind::kI8Min;
  };
  const bool minimum = kernels::has_minimum(a.kind) || kernels::has_minimum(b.kind);
  const int group = std::min(a.group, b.group);
  if (wide(a.kind) || wide(b.kind)) {
    return {minimum ? WeightKind::kI8Min : WeightKind::kI8, group};
  }
  return {minimum ? WeightKind::kI4Min : WeightKind::kI4, group};
}

RowSourcePtr widened(RowSourcePtr source, WeightFormat format) {
  if (source->native() == format) return source;
  CHECK(common_format(source->native(), format) == format);
  if (!kernels::is_integer(format.kind)) {
    return std::make_unique<FloatRows>(std::move(source), format);
  }
  return std::make_unique<WidenedRows>(std::move(source), format);
}

RowSourcePtr stacked(std::vector<RowSourcePtr> sources) {
  CHECK(!sources.empty());
  if (sources.size() == 1) return std::move(sources[0]);
  WeightFormat format = sources[0]->native();
  for (const RowSourcePtr& source : sources) {
    CHECK(source->cols() == sources[0]->cols());
    format = common_format(format, source->native());
  }
  for (RowSourcePtr& source : sources) source = widened(std::move(source), format);
  return std::make_unique<StackedRows>(std::move(sources));
}

RowSourcePtr scaled(RowSourcePtr source, std::vector<float> columns, std::vector<float> rows) {
  CHECK(columns.empty() || std::cmp_equal(columns.size(), source->cols()));
  CHECK(rows.empty() || std::cmp_equal(rows.size(), source->rows()));
  return std::make_unique<ScaledRows>(std::move(source), std::move(columns), std::move(rows));
}

std::int64_t interleaved_row(std::int64_t row, std::int64_t head_dim) {
  const std::int64_t half = head_dim / 2, within = row % head_dim;
  return row - within + within % half * 2 + within / half;
}

RowSourcePtr halves_apart(RowSourcePtr source, std::int64_t head_dim) {
  CHECK(head_dim > 0 && head_dim % 2 == 0 && source->rows() % head_dim == 0);
  return std::make_unique<HalvesApart>(std::move(source), head_dim);
}

}  // namespace vsurge::model
