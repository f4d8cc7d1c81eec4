// How the attention of one step is divided into units of work for the threads.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/backend.h"

namespace vsurge::tensor {

// One call of the attend kernel: a tile of tokens, one KV head, a run of chunks.
struct AttentionUnit {
  std::int32_t sequence = 0;
  std::int32_t kv_head = 0;
  std::int32_t row = 0;  // first token of the tile, in the batch
  std::int32_t tokens = 0;
  std::int32_t position = 0;  // of that token in its sequence
  std::int32_t chunk_begin = 0;
  std::int32_t chunk_end = 0;
  std::int64_t partials = -1;  // where the tile's partials start, in floats; -1: the unit is whole
  std::int64_t cost = 0;       // lines x keys
};

// Owned by the engine's thread. The bytes of the result do not depend on the plan.
class AttentionPlan {
 public:
  // partials_max: floats of scratch that split tiles may use. A plan of a step within the shape,
  // for so many threads, allocates nothing.
  void reserve(const Backend::StepShape& shape, std::int64_t partials_max, int threads);
  void build(const AttentionBatch& batch, const KvShape& shape, int heads, int threads);

  const std::vector<AttentionUnit>& units() const { return units_; }  // most expensive first
  // Tiles whose partials must be merged after all units: chunks [0, chunk_end).
  const std::vector<AttentionUnit>& merges() const { return merges_; }
  const AttentionBatch& batch() const { return batch_; }
  int heads() const { return heads_; }

 private:
  void add_sequence(std::int32_t sequence, const KvShape& shape);
  void split_long_tiles(const KvShape& shape, int threads);

  AttentionBatch batch_;
  int heads_ = 0;
  int heads_per_kv_ = 0;
  std::int64_t partials_max_ = 0;
  std::vector<AttentionUnit> units_;
  std::vector<AttentionUnit> merges_;
};

}  // namespace vsurge::tensor
