// Rows of a checkpoint's matrices as the packer wants them: of one tensor, of several stacked,
// widened to a common format, or put into another order.
//
// All of them are tensor::RowSource: read from several threads at once, views of the checkpoint.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/tensor_info.h"
#include "tensor/weight.h"

namespace vsurge::model {

using RowSourcePtr = std::unique_ptr<tensor::RowSource>;

// [rows, cols] of `bytes`, which must be exactly those of the type; cols is whole blocks.
RowSourcePtr tensor_rows(TensorType type, std::span<const std::byte> bytes, std::int64_t rows,
                         std::int64_t cols);

// The narrowest format that holds the values of both without loss. Among integer formats: the
// wider codes, the smaller groups, and a minimum when one has it, or when 4-bit codes with minimum
// meet signed 8-bit ones. An integer and a float format give kF32.
kernels::WeightFormat common_format(kernels::WeightFormat a, kernels::WeightFormat b);

// `source` with its native format widened; `format` must be common_format(source's, any).
RowSourcePtr widened(RowSourcePtr source, kernels::WeightFormat format);

// The rows of all, one source after the other; at least one, all of the same width. Native is the
// common format.
RowSourcePtr stacked(std::vector<RowSourcePtr> sources);

// Undoes the order in which llama.cpp's converter writes q and k of family llama: within each head
// it interleaves the two halves (row 2i + s of the file is row s * head_dim / 2 + i). Rows are
// whole heads.
RowSourcePtr halves_apart(RowSourcePtr source, std::int64_t head_dim);

// Floats of `source`, column k times columns[k] and row i times rows[i], where there are any.
RowSourcePtr scaled(RowSourcePtr source, std::vector<float> columns, std::vector<float> rows);

// Where such a file has row `row`.
std::int64_t interleaved_row(std::int64_t row, std::int64_t head_dim);

}  // namespace vsurge::model
