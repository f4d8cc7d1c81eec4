// Tensors as checkpoints describe them: element types, shapes, and where the bytes lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/types.h"

namespace vsurge::model {

// The plain types of safetensors and GGUF, and the block formats of GGUF (ggml's names).
enum class TensorType : std::uint8_t {
  kF32,
  kF16,
  kBF16,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ4_K,
  kQ5_K,
  kQ6_K,
};
inline constexpr std::size_t kTensorTypes = 11;

struct TensorTypeInfo {
  std::string_view name;     // "Q4_K"
  std::size_t block_values;  // consecutive values of a row; 1 for the plain types
  std::size_t block_bytes;
  // The kernels' format that holds its values; kF16 widens to kF32.
  kernels::WeightFormat native;
};
const TensorTypeInfo& type_info(TensorType type);

// Bytes of `elements` values, which must be whole blocks; nothing when they are not, and on
// overflow.
std::optional<std::size_t> tensor_bytes(TensorType type, std::uint64_t elements);

// Its reader has checked: the shape's product fits 62 bits, a row is whole blocks, `size` is what
// type and shape need, and [offset, offset + size) lies in the file.
struct TensorInfo {
  std::string name;
  TensorType type = TensorType::kF32;
  std::vector<std::int64_t> shape;  // outermost dimension first
  std::size_t file = 0;             // of the checkpoint's files
  std::size_t offset = 0;           // from the start of the file
  std::size_t size = 0;             // bytes

  std::int64_t elements() const;
};

// "[49152, 576]"
std::string shape_text(const std::vector<std::int64_t>& shape);

}  // namespace vsurge::model
