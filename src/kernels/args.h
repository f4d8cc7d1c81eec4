// Parameters of the kernels, one struct each, with shapes. Kernels take raw pointers, own nothing,
// allocate nothing and run on the calling thread, over the range they are given.
#pragma once

#include "kernels/types.h"

namespace vsurge::kernels {

// A packed weight matrix (types.h).
struct PackedMatrix {
  WeightKind kind;
  int32_t group;
  bool rotated;
  int64_t rows;  // N; panels = ceil(N / 16)
  int64_t cols;  // K; even for kBF16, a multiple of `group` for the integer kinds
  const uint8_t* values;
  const uint16_t* scales;  // fp16 [N/16][K/group][16]
  const uint16_t* minima;
};
static constexpr int64_t panel_bytes(WeightKind kind, int64_t cols) {
  switch (kind) {
    case WeightKind::kF32:
      return cols * 64;
    case WeightKind::kBF16:
      return cols * 32;
    case WeightKind::kI8:
    case WeightKind::kI8Min:
      return cols * 16;
    case WeightKind::kI4:
    case WeightKind::kI4Min:
    case WeightKind::kNF4:
      return cols * 8;
  }
  return 0;
}
static constexpr int64_t activation_bytes(WeightKind kind) {
  return kind == WeightKind::kF32 ? 4 : kind == WeightKind::kBF16 ? 2 : 1;
}
// What weight codes are stored above their value: w = scale * (code - offset).
static constexpr int32_t code_offset(WeightKind kind) {
  switch (kind) {
    case WeightKind::kI8:
    case WeightKind::kNF4:
      return 128;
    case WeightKind::kI4:
      return 8;
    default:
      return 0;
  }
}
// Sixteen quantiles of the normal distribution (bitsandbytes' NF4, arXiv 2305.14314, appendix E)
// times 127, rounded, plus 128: what a code of kNF4 stands for.
constexpr uint8_t kNf4Codes[16] = {1,   40,  61,  78,  92,  105, 116, 128,
                                   138, 148, 159, 171, 184, 199, 220, 255};

// Activations as linear() reads them, row after row:
//   values  [rows][planes][stride bytes]: kF32 float; kBF16 bfloat16; else int8
//   starts  [rows][cols / group]  -code_offset * sum of the group's q: where integer sums begin
//   sums    [rows][cols / group]  sum of the group's q
//   scales  [rows][cols / group]  of x = scale * q
// With one plane, int8: q is that value and the scale max |x| / 127. With two, int16 in effect:
// q = 256 * first + second and the scale is max |x| / 32512; integer sums of both fit 32 bits
// (256 columns of 255 * 32512 do, just).
struct Activations {
  int64_t rows;
  int32_t planes;  // 1, or 2 (integer kinds only)
  int64_t cols;
  int32_t group;
  int64_t stride;  // of a plane, bytes, a multiple of 64; what is behind the columns is not read
  uint8_t* values;
  int32_t* starts;
  float* sums;
  float* scales;
};
// Rows a multiple of 1 KB apart would share few sets of the first cache.
static constexpr int64_t activation_stride(WeightKind kind, int64_t cols) {
  const int64_t lines = (cols * activation_bytes(kind) + 63) / 64;
  return (lines % 16 == 0 ? lines + 1 : lines) * 64;
}

// What becomes of a row before it is rounded, in this order:
//   gate: x is [2 cols], the row is act(first half) * second half; or
//   norm: x / rms(x) * norm
//   rotation: each group g becomes H g, H the Hadamard matrix of ones and minus ones
struct PrepareArgs {
  const float* x;  // [rows, cols], or [rows, 2 cols] with a gate; rows x_stride apart
  int64_t x_stride;
  bool gated;
  Activation gate;
  const float* norm;  // [cols] or nullptr
  float norm_eps;
  float* scratch;  // [cols], with a norm or a gate
  WeightKind kind;
  bool rotated;
  Activations to;
  int64_t row_begin, row_end;
  int64_t col_begin, col_end;  // whole groups or pairs
};

struct LinearArgs {
  PackedMatrix weights;
  Activations x;
  float* out;  // [rows, N], rows out_stride apart
  int64_t out_stride;
  int64_t out_panel;  // whose results come first in a row of `out`; 0 but for a part of N
  const float* bias;  // [N] or nullptr
  bool accumulate;    // out += instead of out =
  // More than caches keep until it is read: written past them where the CPU can, and seen by other
  // threads after store_fence(). `out` and out_stride are multiples of 64 bytes then.
  bool past_caches;
  int64_t panel_begin, panel_end;
  int64_t panel_limit;  // one behind the last that the caller may take next: worth fetching
};

// The highest logit of a row so far.
struct Greatest {
  float value = -__builtin_inff();
  int32_t token = INT32_MAX;  // the lowest of equals
  bool finite = true;         // all that were seen
};

constexpr bool comes_before(const Greatest& a, const Greatest& b) {
  return a.value > b.value || (a.value == b.value && a.token < b.token);
}

struct GreatestArgs {
  const float* logits;  // [rows, count], rows stride apart
  int64_t stride;
  int64_t rows, count;
  int32_t first;   // token of the first column
  Greatest* best;  // [rows] of other columns; these come to it
};

struct EmbedArgs {
  PackedMatrix table;     // [vocabulary, K]
  const int32_t* tokens;  // [rows]
  float* out;             // [rows, K]
  int64_t out_stride;
  int64_t row_begin, row_end;
};

// One layer of the paged KV cache. Page p starts at base + p * page_stride and holds keys, then
// values:
//   keys    f32  [kv_heads][page_size/16][head_dim][16]
//           bf16 [kv_heads][page_size/16][head_dim/2][16][2]   16 keys are one vector
//   values  f32  [kv_heads][page_size][head_dim]
//           bf16 [kv_heads][page_size/2][head_dim][2]          two slots side by side
// With int8, x = scale * q, q in -127..127, and one scale per token, head, and key or value:
//   keys    int8 [kv_heads][page_size/16][head_dim/4][16][4]
//   values  int8 [kv_heads][page_size/4][head_dim][4]
//   scales  f32  [kv_heads][page_size] of keys, then as many of values; max |x| / 127, and NaN
//           where x is not finite
// So keys and values are operands of the dot products of four int8 or two bfloat16, and of tiles,
// as they lie. Slots behind a sequence's last key may hold anything.
// Readers may load up to 64 bytes behind the last page.
struct KvLayer {
  DType dtype;  // kF32, kBF16 or kI8
  int32_t kv_heads;
  int32_t head_dim;  // a multiple of 8, at most kHeadDimMax
  int32_t page_size;
  uint8_t* base;
  int64_t page_stride;  // bytes
};
constexpr int kHeadDimMax = 256;
static constexpr int64_t kv_value_bytes(DType dtype) {
  return dtype == DType::kF32 ? 4 : dtype == DType::kI8 ? 1 : 2;
}
// Of one head of a page, int8 only.
static inline const float* kv_scales(const KvLayer& kv, const uint8_t* page, int64_t kv_head,
                                     bool values) {
  const int64_t heads = kv.kv_heads;
  const uint8_t* scales = page + 2 * heads * kv.page_size * kv.head_dim;
  return reinterpret_cast<const float*>(scales) + (kv_head + (values ? heads : 0)) * kv.page_size;
}

struct RopeStoreArgs {
  float* qkv;  // [tokens, (heads + 2 kv_heads) * head_dim], changed in place
  int64_t qkv_stride;
  int32_t heads;
  const float* cosines;  // [tokens, rotary_dim / 2]
  const float* sines;
  int64_t angle_stride;
  int32_t rotary_dim;
  bool interleaved;
  const float* q_norm;  // [head_dim] or nullptr
  const float* k_norm;
  float norm_eps;
  const int32_t* slots;  // [tokens]: page * page_size + place
  KvLayer kv;
  int64_t token_begin, token_end;
};

// Attention works on a tile: some successive tokens of one sequence and all query heads of one KV
// head. Its "lines" are token-major: line = token * heads_per_kv + head.
//
// Keys are taken in chunks of kAttentionChunk counted from position 0. A chunk gives each line a
// maximum, a sum and an accumulator; chunks are merged in ascending order. Both are the same chain
// of operations whether one call does all chunks or several calls do some each and merge() the
// rest.
constexpr int kAttentionChunk = 256;
constexpr int kAttentionLinesMax = 128;

struct AttendArgs {
  const float* q;  // [tokens, heads * head_dim]: the first query head of this KV head
  int64_t q_stride;
  float* out;  // the same shape and place
  int64_t out_stride;
  int32_t tokens;  // tokens * heads_per_kv <= kAttentionLinesMax, or one token
  int32_t heads_per_kv;
  int32_t first_position;  // of the tile's first token
  int32_t window;          // 0 = all
  float scale;
  float softcap;  // 0 = none
  KvLayer kv;
  int32_t kv_head;
  const int32_t* pages;  // of the sequence
  int32_t chunk_begin, chunk_end;
  float*
      partials;  // nullptr: all chunks are here, write `out`; else [chunks][lines][partial_floats]
  float* scratch;  // attend_scratch_floats()
};
// A partial is the accumulator, padded_head_dim() long, then maximum and sum; maximum = -infinity
// says that it is empty.
static constexpr int64_t padded_head_dim(int32_t head_dim) {
  return (head_dim + 15) / 16 * 16;
}
static constexpr int64_t partial_floats(int32_t head_dim) {
  return padded_head_dim(head_dim) + 16;
}
// Of the larger of: scores, queries, a partial and a merged one of each line; the same of a group
// of 32 lines, with the queries and merged ones of all, and values that must be copied.
static constexpr int64_t attend_scratch_floats(int64_t lines, int32_t head_dim) {
  const int64_t padded = padded_head_dim(head_dim), partial = partial_floats(head_dim);
  return lines * (kAttentionChunk + padded + 2 * partial) + 32 * (2 * kAttentionChunk + partial) +
         kAttentionChunk / 2 * padded + 4096;
}

struct MergeArgs {
  const float* partials;  // [chunks][lines][partial_floats], all chunks of the tile
  int32_t chunks;
  int32_t tokens;
  int32_t heads_per_kv;
  int32_t head_dim;
  float* out;  // as AttendArgs::out
  int64_t out_stride;
  float* scratch;  // [partial_floats]
};

}  // namespace vsurge::kernels
