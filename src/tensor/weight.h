// A weight matrix packed for the kernels, and where its rows come from.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "kernels/types.h"
#include "tensor/tensor.h"

namespace vsurge::tensor {

// Where a checkpoint's matrix is read from while it is packed: [rows, cols]. Called from several
// threads at once for disjoint rows.
class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual std::int64_t rows() const = 0;
  virtual std::int64_t cols() const = 0;
  // The format that holds these values without loss, if the kernels have one; else kF32 (or kBF16
  // for bfloat16 checkpoints).
  virtual kernels::WeightFormat native() const = 0;
  // Row `row` as cols() floats.
  virtual void read_floats(std::int64_t row, float* out) const = 0;
  // Row `row` in native(), which must be an integer format: cols() codes q (as stored bytes mean
  // them in kernels/types.h: kI8 gives int8 values, the others 0..255 or 0..15), cols() / group
  // scales and, in the *Min kinds, as many minima.
  virtual void read_codes(std::int64_t row, std::int16_t* codes, float* scales,
                          float* minima) const = 0;
};

// An owner. Rows beyond `rows` up to the next multiple of 16 are zero.
struct Weight {
  kernels::WeightFormat format;
  std::int64_t rows = 0;  // N, outputs
  std::int64_t cols = 0;  // K, inputs
  Buffer values;          // layout: kernels/types.h
  Buffer scales;          // fp16 [N/16][K/group][16]; empty for float kinds
  Buffer minima;          // the same, for *Min kinds
  // Activations of 8 bits lose nothing beside it, so LinearSpec::precise has no effect: it was
  // rounded to four bits while it was packed, or its columns are balanced (model/balance.h).
  bool one_plane = false;

  std::size_t bytes() const { return values.size() + scales.size() + minima.size(); }
};

// Bytes of a packed matrix's parts.
struct WeightBytes {
  std::size_t values = 0;
  std::size_t scales = 0;  // and as many for minima, where the kind has them
};
// Nothing when there is no such matrix: a side below 1 or above 2^31, a group that the kernels do
// not have or that does not divide the columns, odd columns in bfloat16, more bytes than 2^62.
std::optional<WeightBytes> weight_bytes(kernels::WeightFormat format, std::int64_t rows,
                                        std::int64_t cols);

}  // namespace vsurge::tensor
