// Attention over bf16 and int8 caches by dot products of two bfloat16 or four int8; how AVX-512 and
// AMX share it. Tiles, lines, chunks and merging are those of attention-inl.h, which also does
// float caches. Per line and chunk:
//   bf16: q and p are rounded to bfloat16; sums are the instruction's, in ascending order.
//   int8: q is rounded to sixteen bits (scale max |q| / 32512), p times the values' scales to
//         unsigned sixteen (scale max / 65535), each in two planes of eight bits. Integer sums are
//         exact, so their order does not matter and what a slot without a key holds neither.
// "Rows" are lines, or both planes of each line: row = line * planes + plane, the high one first.
//
// A level gives the products: Dot::scores() and Dot::values(), for a group of rows, and says
// whether its steps over bfloat16 values are always of key_step keys (Dot::kWholeSteps).
#pragma once

#include "kernels/cpu/attention-inl.h"

namespace vsurge::kernels {
namespace {

constexpr int64_t kDotRows = 32;                        // that share a pass over keys or values
constexpr int64_t kScoreStride = kAttentionChunk + 16;  // of a row: not all rows in one cache set
constexpr int64_t kChunkBlocks = kAttentionChunk / 16;

// What comes next of the cache, asked for a few cache lines at a time while other work goes on:
// pages are scattered, so the hardware does not see it coming.
struct Ahead {
  const AttendArgs* args = nullptr;
  bool values = false;
  int64_t block = 0, last_block = 0;  // of 16 slots
  int64_t line = 0, lines = 0;        // cache lines of a block
  const uint8_t* at = nullptr;
};

// Rows are taken in groups of up to kDotRows; "r" is a row's number in its group.
struct DotTile {
  AttendTile base;  // partial: [lines of a group][partial_floats]
  bool integer;
  int64_t planes;
  int64_t rows;
  int64_t q_stride;  // bytes
  int64_t p_stride;  // bytes
  int64_t key_step;  // keys of one product over values
  uint8_t* q;        // [rows][q_stride]
  float* q_scales;   // [lines]
  int32_t* q_sums;   // [rows] of a row of q
  // of a group of rows
  float* scores;    // [kDotRows][kScoreStride]; integer ones as int32, then as floats
  uint8_t* p;       // [kDotRows][kAttentionChunk] probabilities of the chunk
  float* p_scales;  // [kDotRows]
  int32_t* sums;    // [kDotRows][32]
  // of a chunk
  uint8_t* copies;                          // [kAttentionChunk / 2][padded][2] bfloat16
  int64_t step_begin, step_end;             // over values, in the chunk
  const uint8_t* keys[kChunkBlocks];        // of the chunk's blocks, from first_block on
  const uint8_t* values[kChunkBlocks + 1];  // of its steps, from step_begin on
  int64_t steps;                            // of `values`
  int64_t words[kChunkBlocks + 1];          // of p that each meets
};

inline Ahead ahead_of(const DotTile& t, bool values, int64_t first_block, int64_t last_block) {
  const AttendArgs& a = *t.base.args;
  Ahead out;
  out.args = &a;
  out.values = values;
  out.block = first_block;
  out.last_block = last_block;
  out.lines = t.base.dim * 16 * kv_value_bytes(a.kv.dtype) / 64;
  return out;
}

inline void fetch(Ahead& s, int64_t lines) {
  while (lines > 0 && s.block < s.last_block) {
    if (s.line == 0) {
      s.at = s.values ? value_block(*s.args, s.block) : key_block(*s.args, s.block);
      if (s.args->kv.dtype == DType::kI8) {
        __builtin_prefetch(block_scales(*s.args, s.block, s.values), 0, 2);
      }
    }
    const int64_t n = s.lines - s.line < lines ? s.lines - s.line : lines;
    for (int64_t i = 0; i < n; ++i) __builtin_prefetch(s.at + (s.line + i) * 64, 0, 2);
    s.line += n;
    lines -= n;
    if (s.line == s.lines) {
      s.line = 0;
      ++s.block;
    }
  }
}

// 2^x, relative error below 1e-7, exactly 1 at 0; NaN stays NaN. 2^r for r in [0, 1) by a
// polynomial with the least relative error.
inline __m512 exp2_dot(__m512 x) {
  const __m512 r = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  __m512 p = _mm512_set1_ps(0.0018671301659196615f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.009017029777169228f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.05579991266131401f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.24016444385051727f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.6931512951850891f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, x);
}

// To the nearest bfloat16, ties to even; subnormal numbers are zero (vcvtneps2bf16).
inline __m256i to_bf16(__m512 x) {
#ifdef __AVX512BF16__
  return (__m256i)_mm512_cvtneps_pbh(x);
#else
  const __m512i bits = _mm512_castps_si512(x), one = _mm512_set1_epi32(1);
  const __m512i last = _mm512_and_si512(_mm512_srli_epi32(bits, 16), one);
  const __m512i nearest = _mm512_add_epi32(bits, _mm512_add_epi32(last, _mm512_set1_epi32(0x7fff)));
  const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  const __mmask16 small = _mm512_cmplt_epi32_mask(
      _mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff)), _mm512_set1_epi32(0x00800000));
  const __m512i sign = _mm512_and_si512(bits, _mm512_set1_epi32(static_cast<int>(0x80000000u)));
  __m512i out = _mm512_mask_mov_epi32(nearest, small, sign);
  out = _mm512_mask_or_epi32(out, nan, bits, _mm512_set1_epi32(1 << 22));
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(out, 16));
#endif
}

// Below this a factor of 65535 or 32512 over it is infinite; such values count as zero.
constexpr float kTiny = 1e-30f;

inline void round_query(const DotTile& t, const float* x, int64_t line) {
  const int64_t dim = t.base.dim;
  if (!t.integer) {
    uint8_t* to = t.q + line * t.q_stride;
    for (int64_t d = 0; d < dim; d += 16) {
      const __m512 v = vload_n(x + d, dim - d < 16 ? dim - d : 16);
      const __m256i h = to_bf16(v);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + d * 2), h);
    }
    return;
  }
  __m512 most = _mm512_setzero_ps(), strange = most;
  for (int64_t d = 0; d < dim; d += 16) {
    const __m512 v = vload_n(x + d, dim - d < 16 ? dim - d : 16);
    most = _mm512_max_ps(most, _mm512_abs_ps(v));
    strange = _mm512_fmadd_ps(v, _mm512_setzero_ps(), strange);
  }
  const float top = vreduce_max(most);
  const bool finite = vreduce_add(strange) == 0;
  t.q_scales[line] = finite ? (top < kTiny ? 0.0f : top / 32512.0f) : __builtin_nanf("");
  const __m512 factor = _mm512_set1_ps(!finite || top < kTiny ? 0.0f : 32512.0f / top);
  uint8_t *high = t.q + line * 2 * t.q_stride, *low = high + t.q_stride;
  __m512i high_sum = _mm512_setzero_si512(), low_sum = high_sum;
  for (int64_t d = 0; d < dim; d += 16) {
    const __m512 v = vload_n(x + d, dim - d < 16 ? dim - d : 16);
    const __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(v, factor));
    // The half makes the low plane lie in -128..127.
    const __m512i h = _mm512_srai_epi32(_mm512_add_epi32(q, _mm512_set1_epi32(128)), 8);
    const __m512i l = _mm512_sub_epi32(q, _mm512_slli_epi32(h, 8));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(high + d), _mm512_cvtepi32_epi8(h));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(low + d), _mm512_cvtepi32_epi8(l));
    high_sum = _mm512_add_epi32(high_sum, h);
    low_sum = _mm512_add_epi32(low_sum, l);
  }
  // Of what is not finite the scale says so; its sums may be anything.
  t.q_sums[line * 2] = finite ? _mm512_reduce_add_epi32(high_sum) : 0;
  t.q_sums[line * 2 + 1] = finite ? _mm512_reduce_add_epi32(low_sum) : 0;
}

// A line's window: the keys it sees are [low, high].
struct Seen {
  int64_t low, high;
};
inline Seen seen_by(const AttendArgs& a, int64_t line) {
  const int64_t position = a.first_position + line / a.heads_per_kv;
  return {a.window > 0 && position >= a.window ? position - a.window + 1 : 0, position};
}

// Scores of a line in natural units, in the place of its first row's sums; returns the largest.
template <bool kInteger>
inline float scale_scores(const DotTile& t, int64_t line, float* s) {
  const AttendArgs& a = *t.base.args;
  const Seen seen = seen_by(a, line);
  const __m512 factor = _mm512_set1_ps(kInteger ? a.scale * t.q_scales[line] : a.scale);
  __m512 top = _mm512_set1_ps(kEmpty);
  const int64_t base = t.base.first_block / kChunkBlocks * kChunkBlocks;
  for (int64_t b = t.base.first_block; b < t.base.last_block; ++b) {
    float* at = s + (b - base) * 16;
    __m512 x;
    if constexpr (kInteger) {
      const __m512i high = _mm512_loadu_si512(at), low = _mm512_loadu_si512(at + kScoreStride);
      const __m512i sum = _mm512_add_epi32(_mm512_slli_epi32(high, 8), low);
      x = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), factor);
      x = _mm512_mul_ps(x, _mm512_loadu_ps(block_scales(a, b, false)));
    } else {
      x = _mm512_mul_ps(_mm512_loadu_ps(at), factor);
    }
    if (a.softcap > 0) x = vmul(vset(a.softcap), vtanh(vdiv(x, vset(a.softcap))));
    x = vselect(seen_lanes(b, seen.low, seen.high), x, _mm512_set1_ps(kEmpty));
    _mm512_storeu_ps(at, x);
    top = _mm512_max_ps(top, x);
  }
  return vreduce_max(top);
}

// Probabilities as the row of p; returns their sum. Keys outside the chunk's part get zeros.
inline __m512 store_bf16(const DotTile& t, int64_t r, const float* s, float maximum) {
  const __m512 log2e = _mm512_set1_ps(1.44269504f);
  const __m512 start = _mm512_set1_ps(maximum * -1.44269504f);
  const int64_t base = t.base.first_block / kChunkBlocks * kChunkBlocks;
  uint8_t* row = t.p + r * t.p_stride;
  __m512 sum = _mm512_setzero_ps();
  for (int64_t b = t.base.first_block; b < t.base.last_block; ++b) {
    const __m512 x = _mm512_loadu_ps(s + (b - base) * 16);
    const __m512 e = exp2_dot(_mm512_fmadd_ps(x, log2e, start));
    sum = _mm512_add_ps(sum, e);
    const __m256i h = to_bf16(e);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(row + (b - base) * 32), h);
  }
  return sum;
}

inline __m512 store_int8(const DotTile& t, int64_t line, int64_t r, float* s, float maximum) {
  const AttendArgs& a = *t.base.args;
  const __m512 log2e = _mm512_set1_ps(1.44269504f), zero = _mm512_setzero_ps();
  const __m512 start = _mm512_set1_ps(maximum * -1.44269504f);
  const Seen seen = seen_by(a, line);
  const int64_t base = t.base.first_block / kChunkBlocks * kChunkBlocks;
  __m512 sum = zero, most = zero, strange = zero;
  for (int64_t b = t.base.first_block; b < t.base.last_block; ++b) {
    float* at = s + (b - base) * 16;
    const __m512 e = exp2_dot(_mm512_fmadd_ps(_mm512_loadu_ps(at), log2e, start));
    sum = _mm512_add_ps(sum, e);
    const __mmask16 lanes = static_cast<__mmask16>(seen_lanes(b, seen.low, seen.high));
    const __m512 scaled = _mm512_maskz_mul_ps(lanes, e, _mm512_loadu_ps(block_scales(a, b, true)));
    _mm512_storeu_ps(at, scaled);
    most = _mm512_max_ps(most, scaled);
    strange = _mm512_fmadd_ps(scaled, zero, strange);
  }
  const float top = vreduce_max(most);
  const bool finite = vreduce_add(strange) == 0;
  t.p_scales[r] = finite ? (top < kTiny ? 0.0f : top / 65535.0f) : __builtin_nanf("");
  const __m512 factor = _mm512_set1_ps(!finite || top < kTiny ? 0.0f : 65535.0f / top);
  uint8_t *high = t.p + r * t.p_stride, *low = high + t.p_stride;
  for (int64_t b = t.base.first_block; b < t.base.last_block; ++b) {
    const int64_t place = (b - base) * 16;
    const __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(s + place), factor));
    const __m128i h = _mm512_cvtepi32_epi8(_mm512_srli_epi32(q, 8));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(high + place), h);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(low + place), _mm512_cvtepi32_epi8(q));
  }
  return sum;
}

// Of the line whose first row is r of the group that starts at `row`.
inline void softmax_dot(const DotTile& t, int64_t row, int64_t r) {
  const int64_t line = (row + r) / t.planes;
  float* s = t.scores + r * kScoreStride;
  const float maximum =
      t.integer ? scale_scores<true>(t, line, s) : scale_scores<false>(t, line, s);
  const __m512 sum = t.integer ? store_int8(t, line, r, s, maximum) : store_bf16(t, r, s, maximum);
  float* end =
      t.base.partial + r / t.planes * partial_floats(t.base.args->kv.head_dim) + t.base.padded;
  end[0] = maximum;
  end[1] = vreduce_add(sum);
}

// Zeros for the keys of the first and last step that lie outside [first_block, last_block).
inline void clear_margins(const DotTile& t, int64_t rows) {
  const int64_t bytes = t.integer ? 1 : 2;
  const int64_t base = t.base.first_block / kChunkBlocks * kAttentionChunk;
  const int64_t begin = t.step_begin * t.key_step, end = t.step_end * t.key_step;
  const int64_t first = t.base.first_block * 16 - base, last = t.base.last_block * 16 - base;
  if (begin == first && last == end) return;
  for (int64_t r = 0; r < rows; ++r) {
    uint8_t* p = t.p + r * t.p_stride;
    memset(p + begin * bytes, 0, static_cast<size_t>((first - begin) * bytes));
    memset(p + last * bytes, 0, static_cast<size_t>((end - last) * bytes));
  }
}

// Two blocks of bfloat16 values, side by side and with zeros where there is no key: what is in such
// a slot may be NaN.
inline void copy_values(const DotTile& t, int64_t block, uint8_t* to) {
  const AttendTile& a = t.base;
  for (int64_t b = block; b < block + 2; ++b, to += a.dim * 32) {
    int64_t keys = a.key_end - b * 16;
    if (b < a.first_block || b >= a.last_block || keys <= 0) keys = 0;
    if (keys > 16) keys = 16;
    const int64_t pairs = keys / 2 * a.dim * 4;
    if (pairs > 0) memcpy(to, value_block(*a.args, b), static_cast<size_t>(pairs));
    memset(to + pairs, 0, static_cast<size_t>(a.dim * 32 - pairs));
    if (keys % 2 == 0) continue;
    const uint8_t* from = value_block(*a.args, b) + pairs;
    for (int64_t d = 0; d < a.dim; ++d) memcpy(to + pairs + d * 4, from + d * 4, 2);
  }
}

// The last step, whose keys end before it does: where they lie, and behind an even number of them
// the odd one, beside a zero, as a step of its own. False where that cannot be said.
inline bool find_last_step(DotTile& t, int64_t block, int64_t i, uint8_t*& copy) {
  const AttendArgs& a = *t.base.args;
  const int64_t keys = t.base.key_end - block * 16;
  if (keys >= t.key_step || block < t.base.first_block || a.kv.page_size < t.key_step) return false;
  const int64_t row = t.base.dim * 4;  // of two keys
  t.values[i] = value_block(a, block);
  t.words[i] = keys / 2;
  if (keys % 2 == 0) return true;
  const uint8_t* from = t.values[i] + keys / 2 * row;
  memset(copy, 0, static_cast<size_t>(row));
  for (int64_t d = 0; d < t.base.dim; ++d) memcpy(copy + d * 4, from + d * 4, 2);
  t.values[i + 1] = copy;
  t.words[i + 1] = 1;
  copy += row;
  ++t.steps;
  return true;
}

// Where the chunk's keys and values are.
template <class Dot>
inline void find_chunk(DotTile& t) {
  const AttendArgs& a = *t.base.args;
  for (int64_t b = t.base.first_block; b < t.base.last_block; ++b) {
    t.keys[b - t.base.first_block] = key_block(a, b);
  }
  const int64_t base = t.base.first_block / kChunkBlocks * kChunkBlocks;
  const int64_t blocks = t.key_step / 16;
  t.step_begin = (t.base.first_block - base) / blocks;
  t.step_end = (t.base.last_block - base + blocks - 1) / blocks;
  uint8_t* copy = t.copies;
  const int64_t steps = t.step_end - t.step_begin;
  t.steps = steps;
  for (int64_t n = 0; n < steps; ++n) {
    const int64_t i = t.step_begin + n, block = base + i * blocks;
    t.words[n] = t.key_step / (t.integer ? 4 : 2);
    const bool whole = a.kv.page_size >= t.key_step && block >= t.base.first_block &&
                       (block + blocks) * 16 <= t.base.key_end;
    if (t.integer || whole) {
      t.values[n] = value_block(a, block);
      continue;
    }
    if (!Dot::kWholeSteps && n + 1 == steps && find_last_step(t, block, n, copy)) return;
    copy_values(t, block, copy);
    t.values[n] = copy;
    copy += t.base.dim * 64;
  }
}

// Sixteen accumulators of a line from the sums of its two planes.
inline void store_value_sum(float* to, __m512i high, __m512i low, float scale) {
  const __m512i sum = _mm512_add_epi32(_mm512_slli_epi32(high, 8), low);
  _mm512_storeu_ps(to, _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_set1_ps(scale)));
}

// The accumulators of integer rows [r, r + rows), whose sums these are, and `width` dimensions from
// d on.
inline void store_value_sums(const DotTile& t, int64_t r, int64_t rows, int64_t d, int64_t width) {
  const int64_t stride = partial_floats(t.base.args->kv.head_dim);
  for (int64_t i = 0; i < rows; i += 2) {
    float* to = t.base.partial + (r + i) / 2 * stride + d;
    for (int64_t k = 0; k < width; k += 16) {
      const int32_t* at = t.sums + i * 32 + k;
      store_value_sum(to + k, _mm512_loadu_si512(at), _mm512_loadu_si512(at + 32),
                      t.p_scales[r + i]);
    }
  }
}

// `partial` is of the chunk's first line, or nullptr: merge.
template <class Dot>
void chunk_dot(DotTile& t, float* partial, Ahead keys) {
  find_chunk<Dot>(t);
  clear_margins(t, t.rows < kDotRows ? t.rows : kDotRows);
  Ahead values = ahead_of(t, true, t.base.first_block, t.base.last_block);
  const int64_t stride = partial_floats(t.base.args->kv.head_dim);
  float* const spare = t.base.partial;
  for (int64_t row = 0; row < t.rows; row += kDotRows) {
    const int64_t rows = t.rows - row < kDotRows ? t.rows - row : kDotRows;
    const int64_t line = row / t.planes;
    if (partial != nullptr) t.base.partial = partial + line * stride;
    Dot::scores(t, row, rows, values);
    for (int64_t r = 0; r < rows; r += t.planes) softmax_dot(t, row, r);
    Dot::values(t, rows, keys);
    if (partial != nullptr) continue;
    for (int64_t i = 0; i < rows / t.planes; ++i) {
      merge_partial(t.base.merged + (line + i) * stride, spare + i * stride, t.base.padded);
    }
  }
  t.base.partial = spare;
}

inline void lay_out(DotTile& t) {
  const AttendArgs& a = *t.base.args;
  const int64_t stride = partial_floats(a.kv.head_dim), lines = t.base.lines;
  float* next = a.scratch;
  const auto take = [&](int64_t floats) {
    float* at = next;
    next += (floats + 15) / 16 * 16;
    return at;
  };
  t.key_step = t.integer ? (a.kv.page_size < 64 ? a.kv.page_size : 64) : 32;
  t.q_stride = (t.base.dim * (t.integer ? 1 : 2) + 63) / 64 * 64;
  t.p_stride = kAttentionChunk * (t.integer ? 1 : 2);
  t.q = reinterpret_cast<uint8_t*>(take(t.rows * t.q_stride / 4));
  t.q_scales = take(lines);
  t.q_sums = reinterpret_cast<int32_t*>(take(t.rows));
  t.base.merged = take(lines * stride);
  t.base.partial = take(kDotRows * stride);
  t.scores = take(kDotRows * kScoreStride);
  t.p = reinterpret_cast<uint8_t*>(take(kDotRows * t.p_stride / 4));
  t.p_scales = take(kDotRows);
  t.sums = reinterpret_cast<int32_t*>(take(kDotRows * 32));
  t.copies = reinterpret_cast<uint8_t*>(take(kAttentionChunk / 2 * t.base.padded));
}

template <class Dot>
void attend_dot(const AttendArgs& a) {
  if (a.kv.dtype == DType::kF32) return attend(a);
  DotTile t{};
  t.base.args = &a;
  t.base.lines = static_cast<int64_t>(a.tokens) * a.heads_per_kv;
  t.base.dim = a.kv.head_dim;
  t.base.padded = padded_head_dim(a.kv.head_dim);
  t.integer = a.kv.dtype == DType::kI8;
  t.planes = t.integer ? 2 : 1;
  t.rows = t.base.lines * t.planes;
  lay_out(t);
  const int64_t stride = partial_floats(a.kv.head_dim), lines = t.base.lines;
  for (int64_t line = 0; line < lines; ++line) {
    const float* q = a.q + line / a.heads_per_kv * a.q_stride + line % a.heads_per_kv * t.base.dim;
    round_query(t, q, line);
    t.base.merged[line * stride + t.base.padded] = kEmpty;
  }
  Dot dot(t);
  for (int64_t chunk = a.chunk_begin; chunk < a.chunk_end; ++chunk) {
    float* partial = a.partials != nullptr ? a.partials + chunk * lines * stride : nullptr;
    if (!enter_chunk(t.base, chunk)) {
      for (int64_t line = 0; partial != nullptr && line < lines; ++line) {
        partial[line * stride + t.base.padded] = kEmpty;
      }
      continue;
    }
    Ahead keys;
    AttendTile next = t.base;
    if (chunk + 1 < a.chunk_end && enter_chunk(next, chunk + 1)) {
      keys = ahead_of(t, false, next.first_block, next.last_block);
    }
    chunk_dot<Dot>(t, partial, keys);
  }
  if (a.partials != nullptr) return;
  for (int64_t line = 0; line < lines; ++line) {
    float* out = a.out + line / a.heads_per_kv * a.out_stride + line % a.heads_per_kv * t.base.dim;
    finish_line(t.base.merged + line * stride, t.base.dim, t.base.padded, out);
  }
}

}  // namespace
}  // namespace vsurge::kernels
