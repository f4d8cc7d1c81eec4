#include "tensor/attention_plan.h"

#include <algorithm>
#include <tuple>

#include "kernels/args.h"

namespace vsurge::tensor {
namespace {

// Units per thread that make dynamic division even.
constexpr int kUnitsPerThread = 8;

}  // namespace

void AttentionPlan::reserve(const Backend::StepShape& shape, std::int64_t partials_max,
                            int threads) {
  partials_max_ = partials_max;
  const auto heads = static_cast<std::size_t>(shape.heads);
  const auto rows =
      static_cast<std::size_t>(shape.tokens_max) + static_cast<std::size_t>(shape.sequences_max);
  // Splitting cuts the whole cost, rounded down at worst to half its share, into pieces, and each
  // split tile has one more for what is left.
  const std::size_t pieces = 2 * kUnitsPerThread * static_cast<std::size_t>(threads);
  units_.reserve(2 * heads * rows + pieces);
  merges_.reserve(heads * rows);
}

void AttentionPlan::build(const AttentionBatch& batch, const KvShape& shape, int heads,
                          int threads) {
  batch_ = batch;
  heads_ = heads;
  heads_per_kv_ = heads / shape.kv_heads;
  units_.clear();
  merges_.clear();
  for (std::size_t i = 0; i < batch.context_lengths.size(); ++i) {
    add_sequence(static_cast<std::int32_t>(i), shape);
  }
  split_long_tiles(shape, threads);
  std::sort(units_.begin(), units_.end(), [](const AttentionUnit& a, const AttentionUnit& b) {
    return std::tie(b.cost, a.row, a.kv_head) < std::tie(a.cost, b.row, b.kv_head);
  });
}

void AttentionPlan::add_sequence(std::int32_t sequence, const KvShape& shape) {
  const auto i = static_cast<std::size_t>(sequence);
  const std::int32_t begin = batch_.sequence_offsets[i], end = batch_.sequence_offsets[i + 1];
  const std::int32_t first_position = batch_.context_lengths[i] - (end - begin);
  const std::int32_t tile = std::max(1, kernels::kAttentionLinesMax / heads_per_kv_);
  for (std::int32_t row = begin; row < end; row += tile) {
    AttentionUnit unit;
    unit.sequence = sequence;
    unit.row = row;
    unit.tokens = std::min(tile, end - row);
    unit.position = first_position + (row - begin);
    const std::int32_t keys = unit.position + unit.tokens;
    unit.chunk_end = (keys + kernels::kAttentionChunk - 1) / kernels::kAttentionChunk;
    unit.cost = static_cast<std::int64_t>(unit.tokens) * heads_per_kv_ * keys;
    for (std::int32_t head = 0; head < shape.kv_heads; ++head) {
      unit.kv_head = head;
      units_.push_back(unit);
    }
  }
}

void AttentionPlan::split_long_tiles(const KvShape& shape, int threads) {
  if (threads == 1) return;
  std::int64_t total = 0;
  for (const AttentionUnit& unit : units_) total += unit.cost;
  const std::int64_t target = total / (static_cast<std::int64_t>(threads) * kUnitsPerThread);
  std::int64_t used = 0;
  const std::size_t tiles = units_.size();
  for (std::size_t i = 0; i < tiles; ++i) {
    const AttentionUnit tile = units_[i];
    if (tile.cost <= 2 * target || tile.chunk_end < 2) continue;
    const std::int64_t lines = static_cast<std::int64_t>(tile.tokens) * heads_per_kv_;
    const std::int64_t floats = lines * tile.chunk_end * kernels::partial_floats(shape.head_dim);
    if (used + floats > partials_max_) continue;
    const std::int64_t pieces =
        std::min<std::int64_t>(tile.chunk_end, (tile.cost + std::max<std::int64_t>(target, 1) - 1) /
                                                   std::max<std::int64_t>(target, 1));
    for (std::int64_t piece = 0; piece < pieces; ++piece) {
      AttentionUnit part = tile;
      part.partials = used;
      part.chunk_begin = static_cast<std::int32_t>(tile.chunk_end * piece / pieces);
      part.chunk_end = static_cast<std::int32_t>(tile.chunk_end * (piece + 1) / pieces);
      part.cost = tile.cost / pieces;
      if (piece == 0) {
        units_[i] = part;
      } else {
        units_.push_back(part);
      }
    }
    merges_.push_back(tile);
    merges_.back().partials = used;
    used += floats;
  }
}

}  // namespace vsurge::tensor
