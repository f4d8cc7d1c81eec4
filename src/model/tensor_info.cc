#include "model/tensor_info.h"

#include <fmt/ranges.h>
#include <array>

#include <limits>

namespace vsurge::model {
namespace {

using kernels::WeightKind;

constexpr std::array<TensorTypeInfo, kTensorTypes> kTypes = {{
    {"F32", 1, 4, {WeightKind::kF32, 0}},
    {"F16", 1, 2, {WeightKind::kF32, 0}},
    {"BF16", 1, 2, {WeightKind::kBF16, 0}},
    {"Q4_0", 32, 18, {WeightKind::kI4, 32}},
    {"Q4_1", 32, 20, {WeightKind::kI4Min, 32}},
    {"Q5_0", 32, 22, {WeightKind::kI8, 32}},
    {"Q5_1", 32, 24, {WeightKind::kI8Min, 32}},
    {"Q8_0", 32, 34, {WeightKind::kI8, 32}},
    {"Q4_K", 256, 144, {WeightKind::kI4Min, 32}},
    {"Q5_K", 256, 176, {WeightKind::kI8Min, 32}},
    {"Q6_K", 256, 210, {WeightKind::kI8, 16}},
}};

}  // namespace

const TensorTypeInfo& type_info(TensorType type) {
  return kTypes[static_cast<std::size_t>(type)];
}

std::optional<std::size_t> tensor_bytes(TensorType type, std::uint64_t elements) {
  const TensorTypeInfo& info = type_info(type);
  if (elements % info.block_values != 0) return std::nullopt;
  const std::uint64_t blocks = elements / info.block_values;
  if (blocks > std::numeric_limits<std::int64_t>::max() / info.block_bytes) return std::nullopt;
  return blocks * info.block_bytes;
}

std::int64_t TensorInfo::elements() const {
  std::int64_t product = 1;
  for (const std::int64_t side : shape) product *= side;
  return product;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

}  // namespace vsurge::model
