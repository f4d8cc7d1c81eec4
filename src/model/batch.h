// Batch: what one step asks of the model, as plain arrays. Owned by the caller, read only.
#pragma once

#include <cstdint>
#include <span>

namespace vsurge::model {

struct Batch {
  // one per token
  std::span<const std::int32_t> tokens;
  std::span<const std::int32_t> positions;  // place in the sequence, from 0
  std::span<const std::int32_t> slots;      // page * page_size + place in the page
  // one per sequence
  std::span<const std::int32_t> sequence_offsets;  // [sequences + 1] first token of each
  std::span<const std::int32_t> context_lengths;   // tokens in the cache after this step
  // page numbers, one sequence after another; -1 where all keys have left every window
  std::span<const std::int32_t> pages;
  std::span<const std::int32_t> page_offsets;  // [sequences + 1] into `pages`
  // tokens whose logits are wanted (indices into tokens), ascending
  std::span<const std::int32_t> logit_rows;
};

}  // namespace vsurge::model
