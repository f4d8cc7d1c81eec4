#include "tensor/pack.h"

#include <vector>

#include "kernels/pack.h"

namespace vsurge::tensor {
namespace {

// One row of the source, as floats or as codes.
struct RowMemory {
  std::vector<float> floats;
  std::vector<std::int16_t> codes;
  std::vector<float> scales;
  std::vector<float> minima;
};

constexpr std::int64_t kSideMax = std::int64_t{1} << 31;
constexpr std::size_t kBytesMax = std::size_t{1} << 62;

}  // namespace

std::optional<WeightBytes> weight_bytes(kernels::WeightFormat format, std::int64_t rows,
                                        std::int64_t cols) {
  if (rows < 1 || cols < 1 || rows > kSideMax || cols > kSideMax) return std::nullopt;
  const auto panels =
      static_cast<std::size_t>((rows + kernels::kPanelRows - 1) / kernels::kPanelRows);
  WeightBytes bytes;
  const auto panel = static_cast<std::size_t>(kernels::panel_bytes(format.kind, cols));
  if (__builtin_mul_overflow(panels, panel, &bytes.values) || bytes.values > kBytesMax) {
    return std::nullopt;
  }
  if (!kernels::is_integer(format.kind)) {
    const bool odd = format.kind == kernels::WeightKind::kBF16 && cols % 2 != 0;
    if (odd || format.group != 0 || format.rotated) return std::nullopt;
    return bytes;
  }
  if (!kernels::known_group(format.group) || cols % format.group != 0) return std::nullopt;
  // At most as many as values.
  bytes.scales = panels * static_cast<std::size_t>(cols / format.group) * kernels::kPanelRows *
                 sizeof(std::uint16_t);
  return bytes;
}

base::Result<Weight> pack_weight(base::ThreadPool& pool, const RowSource& source,
                                 kernels::WeightFormat format) {
  Weight weight;
  weight.format = format;
  weight.rows = source.rows();
  weight.cols = source.cols();
  const std::int64_t panels = (weight.rows + kernels::kPanelRows - 1) / kernels::kPanelRows;
  const std::int64_t panel_bytes = kernels::panel_bytes(format.kind, weight.cols);
  weight.values = VSURGE_TRY(Buffer::allocate(static_cast<std::size_t>(panels * panel_bytes)));
  const bool integer = kernels::is_integer(format.kind);
  const std::int64_t groups = integer ? weight.cols / format.group : 0;
  const auto group_bytes =
      static_cast<std::size_t>(panels * groups) * kernels::kPanelRows * sizeof(std::uint16_t);
  weight.scales = VSURGE_TRY(Buffer::allocate(group_bytes));
  if (kernels::has_minimum(format.kind)) {
    weight.minima = VSURGE_TRY(Buffer::allocate(group_bytes));
  }
  const bool exact = integer && format == source.native();
  weight.one_plane = !exact && kernels::has_nibbles(format.kind);
  std::vector<RowMemory> memory(static_cast<std::size_t>(pool.size()));
  for (RowMemory& m : memory) {
    if (exact) {
      m.codes.resize(static_cast<std::size_t>(weight.cols));
      m.scales.resize(static_cast<std::size_t>(groups));
      m.minima.resize(static_cast<std::size_t>(groups));
    } else {
      m.floats.resize(static_cast<std::size_t>(weight.cols));
    }
  }
  pool.parallel_for(panels, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
    RowMemory& m = memory[static_cast<std::size_t>(worker)];
    for (std::int64_t row = begin * 16; row < std::min(weight.rows, end * 16); ++row) {
      const std::int64_t panel = row / 16;
      kernels::PanelRow to{};
      to.kind = format.kind;
      to.group = format.group;
      to.rotated = format.rotated;
      to.cols = weight.cols;
      to.lane = static_cast<std::int32_t>(row % 16);
      to.panel = reinterpret_cast<std::uint8_t*>(weight.values.data()) + panel * panel_bytes;
      if (integer) {
        to.scales = reinterpret_cast<std::uint16_t*>(weight.scales.data()) + panel * groups * 16;
      }
      if (weight.minima.data() != nullptr) {
        to.minima = reinterpret_cast<std::uint16_t*>(weight.minima.data()) + panel * groups * 16;
      }
      if (exact) {
        source.read_codes(row, m.codes.data(), m.scales.data(), m.minima.data());
        kernels::pack_codes(to, m.codes.data(), m.scales.data(), m.minima.data());
      } else {
        source.read_floats(row, m.floats.data());
        kernels::pack_floats(to, m.floats.data());
      }
    }
  });
  return weight;
}

}  // namespace vsurge::tensor
