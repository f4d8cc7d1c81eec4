// What the stages of sampling share: views into the scratch, the first pass, weights, and selection
// of the greatest. Sums run in sixteen lanes over blocks, are folded as vreduce_add() does and
// added up in double, in one order, so that every level gives the same token.
#pragma once

#include <stddef.h>

#include "kernels/sample.h"

namespace vsurge::kernels {
namespace {

constexpr int kSampleBlock = 256;     // tokens; the unit of lane maxima and of sums
constexpr int kSortMax = 24;          // selections this small are sorted
constexpr int kMedianRoundsMax = 40;  // then halving of the key range, which cannot degenerate
constexpr float kMinusInfinity = -__builtin_inff();
constexpr float kLargestFloat = 0x1.fffffep127f;
constexpr float kLeastWeight = 0x1p-126f;

// Views into the caller's scratch.
struct SampleWork {
  float* logits;
  int32_t vocabulary;
  int32_t blocks;
  float* lane_maxes;   // [blocks][16]
  double* block_sums;  // [blocks] of weights
  float* weights;      // [blocks * kSampleBlock + 16] not normalised, 1 for the greatest logit
  uint64_t* keys;      // [vocabulary] of top_k; greater key = earlier in the order of selection
  // In the place of keys, the candidates: weights and ids, by ascending id.
  float* values;   // [vocabulary + 16]
  int32_t* ids;    // [vocabulary + 16]
  float* copy;     // [vocabulary + 16] logits as they came in, when they are needed later
  uint8_t* marks;  // [blocks]
};

inline uint8_t* align_up(uint8_t* p) {
  return p + (64 - reinterpret_cast<uintptr_t>(p) % 64) % 64;
}

inline SampleWork make_work(float* logits, int32_t vocabulary, uint64_t* scratch) {
  SampleWork work{};
  work.logits = logits;
  work.vocabulary = vocabulary;
  work.blocks = (vocabulary + kSampleBlock - 1) / kSampleBlock;
  const size_t blocks = static_cast<size_t>(work.blocks);
  const size_t array = static_cast<size_t>(vocabulary + kLanes) * sizeof(float);
  uint8_t* at = align_up(reinterpret_cast<uint8_t*>(scratch));
  work.lane_maxes = reinterpret_cast<float*>(at);
  at += blocks * kLanes * sizeof(float);
  work.weights = reinterpret_cast<float*>(at);
  at += (blocks * kSampleBlock + kLanes) * sizeof(float);
  work.keys = reinterpret_cast<uint64_t*>(at);
  work.values = reinterpret_cast<float*>(at);
  at = align_up(at + array);
  work.ids = reinterpret_cast<int32_t*>(at);
  at = align_up(at + array);
  work.copy = reinterpret_cast<float*>(at);
  at = align_up(at + array);
  work.block_sums = reinterpret_cast<double*>(at);
  at += blocks * sizeof(double);
  work.marks = at;
  return work;
}

// Lanes from p on, of which only `count` exist; the others are `fill`.
inline Vf load_padded(const float* p, int64_t count, float fill) {
  if (count >= kLanes) return vload(p);
  if (count <= 0) return vset(fill);
  return vselect((1u << count) - 1u, vload_n(p, count), vset(fill));
}

inline int32_t block_end(const SampleWork& work, int32_t block) {
  const int32_t end = (block + 1) * kSampleBlock;
  return end < work.vocabulary ? end : work.vocabulary;
}

// Lane maxima of `count` logits; `finite` becomes false when one is NaN or infinite.
inline Vf lane_maxima(const float* logits, int64_t count, bool& finite) {
  Vf top[2] = {vset(kMinusInfinity), vset(kMinusInfinity)};
  Vf strange[2] = {vset(0), vset(0)};  // NaN once a logit is NaN or infinite
  int64_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
    for (int j = 0; j < 2; ++j) {
      const Vf v = vload(logits + i + j * kLanes);
      strange[j] = vadd(strange[j], vsub(v, v));
      top[j] = vmax(v, top[j]);
    }
  }
  for (; i < count; i += kLanes) {
    const int64_t n = count - i < kLanes ? count - i : kLanes;
    const Vf v = vload_n(logits + i, n);
    strange[0] = vadd(strange[0], vsub(v, v));
    top[0] = vmax(vselect((1u << n) - 1u, v, vset(kMinusInfinity)), top[0]);
  }
  if (!(vreduce_add(vadd(strange[0], strange[1])) == 0)) finite = false;
  return vmax(top[0], top[1]);
}

// Lane maxima of one block; applies the mask. False when a logit is not finite.
inline bool scan_block(const SampleWork& work, int32_t block, const uint32_t* allowed) {
  const int32_t begin = block * kSampleBlock, end = block_end(work, block);
  bool finite = true;
  Vf top = vset(kMinusInfinity);
  if (allowed == nullptr) {
    top = lane_maxima(work.logits + begin, end - begin, finite);
  } else {
    Vf strange = vset(0);
    for (int32_t i = begin; i < end; i += kLanes) {
      const int64_t n = end - i < kLanes ? end - i : kLanes;
      Vf v = vload_n(work.logits + i, n);
      strange = vadd(strange, vsub(v, v));
      const uint32_t wanted = ((1u << n) - 1u) & allowed[i / 32] >> (i % 32);
      v = vselect(wanted, v, vset(kMinusInfinity));
      vstore_n(work.logits + i, v, n);
      top = vmax(v, top);
    }
    finite = vreduce_add(strange) == 0;
  }
  vstore(work.lane_maxes + static_cast<ptrdiff_t>(block) * kLanes, top);
  return finite;
}

// weights = exp((x - max) * scale), 0 where below `least`; returns and keeps the sums of blocks.
inline double weigh_rows(const SampleWork& work, float max, float scale, float least) {
  const Vf top = vset(max), factor = vset(scale), floor = vset(least);
  double total = 0;
  for (int32_t b = 0; b < work.blocks; ++b) {
    const int32_t begin = b * kSampleBlock;
    const float* logits = work.logits + begin;
    float* weights = work.weights + begin;
    const int64_t count = work.vocabulary - begin;
    Vf sum = vset(0);
    for (int i = 0; i < kSampleBlock; i += 2 * kLanes) {
      const Vf a = load_padded(logits + i, count - i, kMinusInfinity);
      const Vf c = load_padded(logits + i + kLanes, count - i - kLanes, kMinusInfinity);
      const Vf u = vzero_below(vexp(vmul(vsub(a, top), factor)), floor);
      const Vf v = vzero_below(vexp(vmul(vsub(c, top), factor)), floor);
      vstore(weights + i, u);
      vstore(weights + i + kLanes, v);
      sum = vadd(sum, vadd(u, v));
    }
    work.block_sums[b] = static_cast<double>(vreduce_add(sum));
    total += work.block_sums[b];
  }
  return total;
}

// Greater value first, then lower id, as one number.
inline uint64_t key_of(float value, int32_t token) {
  const uint32_t plain = float_bits(value + 0.0f);  // -0 becomes +0
  const uint32_t bits = (plain & 0x80000000u) != 0 ? ~plain : plain | 0x80000000u;
  return (static_cast<uint64_t>(bits) << 32) | (0xffffffffu - static_cast<uint32_t>(token));
}
inline int32_t token_of(uint64_t key) {
  return static_cast<int32_t>(0xffffffffu - (key & 0xffffffffu));
}
inline float value_of(uint64_t key) {
  const uint32_t bits = static_cast<uint32_t>(key >> 32);
  return bits_float((bits & 0x80000000u) != 0 ? bits & 0x7fffffffu : ~bits);
}

inline float block_max(const SampleWork& work, int32_t block) {
  return vreduce_max(vload(work.lane_maxes + static_cast<ptrdiff_t>(block) * kLanes));
}

inline int32_t lowest_with(const SampleWork& work, float value) {
  for (int32_t b = 0; b < work.blocks; ++b) {
    if (block_max(work, b) != value) continue;
    for (int32_t i = b * kSampleBlock; i < block_end(work, b); ++i) {
      if (work.logits[i] == value) return i;
    }
  }
  return -1;
}

// Moves keys >= pivot to the front of [first, last); returns where the others begin.
inline int32_t partition(uint64_t* keys, int32_t first, int32_t last, uint64_t pivot) {
  int32_t out = first;
  for (int32_t i = first; i < last; ++i) {
    const uint64_t key = keys[i];
    keys[i] = keys[out];
    keys[out] = key;
    out += key >= pivot ? 1 : 0;
  }
  return out;
}

inline uint64_t median_of_three(uint64_t a, uint64_t b, uint64_t c) {
  const uint64_t low = a < b ? a : b;
  const uint64_t high = a < b ? b : a;
  return c < low ? low : (c > high ? high : c);
}

inline uint64_t middle_of_range(const uint64_t* keys, int32_t first, int32_t last) {
  uint64_t low = keys[first];
  uint64_t high = keys[first];
  for (int32_t i = first + 1; i < last; ++i) {
    low = keys[i] < low ? keys[i] : low;
    high = keys[i] > high ? keys[i] : high;
  }
  return low + (high - low) / 2 + 1;
}

inline void sort_descending(uint64_t* keys, int32_t first, int32_t last) {
  for (int32_t i = first + 1; i < last; ++i) {
    const uint64_t key = keys[i];
    int32_t j = i;
    for (; j > first && keys[j - 1] < key; --j) keys[j] = keys[j - 1];
    keys[j] = key;
  }
}

// Reorders keys so that a prefix holds the greatest ones whose weights reach `target`, as few as
// do, at least one; returns its length. Its last key is the least of it. Keys are all different.
template <class Weight>
int32_t keep_greatest(uint64_t* keys, int32_t count, double target, const Weight& weight) {
  int32_t first = 0;
  int32_t last = count;
  double have = 0;
  for (int round = 0; last - first > kSortMax; ++round) {
    const int32_t n = last - first;
    const uint64_t pivot =
        round < kMedianRoundsMax
            ? median_of_three(keys[first + n / 4], keys[first + n / 2], keys[last - 1 - n / 4])
            : middle_of_range(keys, first, last);
    const int32_t middle = partition(keys, first, last, pivot);
    double front = 0;
    for (int32_t i = first; i < middle; ++i) front += weight(keys[i]);
    if (have + front >= target) {
      last = middle;
    } else {
      have += front;
      first = middle;
    }
  }
  sort_descending(keys, first, last);
  for (int32_t i = first; i < last; ++i) {
    have += weight(keys[i]);
    if (have >= target) return i + 1;
  }
  return last;
}

inline int32_t keep_first(uint64_t* keys, int32_t count, int32_t wanted) {
  return keep_greatest(keys, count, wanted, [](uint64_t) { return 1.0; });
}

// Keys of every token whose logit is greater than `least`, and of the first `k` equal to it; how
// many they are.
inline int32_t gather_logits(const SampleWork& work, float least, int32_t k) {
  int32_t count = 0, equals = 0;
  for (int32_t b = 0; b < work.blocks; ++b) {
    const float top = block_max(work, b);
    if (top < least || (top == least && equals >= k)) continue;
    for (int32_t i = b * kSampleBlock; i < block_end(work, b); i += kLanes) {
      const Vf v = load_padded(work.logits + i, work.vocabulary - i, kMinusInfinity);
      uint32_t found = ~vless(v, vset(least)) & 0xffffu;
      for (; found != 0; found &= found - 1) {
        const int32_t token = i + __builtin_ctz(found);
        if (token >= work.vocabulary || work.logits[token] == kMinusInfinity) continue;
        if (work.logits[token] == least && ++equals > k) continue;
        work.keys[count++] = key_of(work.logits[token], token);
      }
    }
  }
  return count;
}

// A value that at least `k` logits reach: the k-th greatest of the maxima of disjoint parts.
inline float reached_by(const SampleWork& work, int32_t k) {
  if (k <= work.blocks / 2) {
    for (int32_t b = 0; b < work.blocks; ++b) work.keys[b] = key_of(block_max(work, b), b);
    return value_of(work.keys[keep_first(work.keys, work.blocks, k) - 1]);
  }
  const int32_t parts = work.blocks * kLanes;
  if (k > parts / 4 || parts > work.vocabulary) return kMinusInfinity;
  for (int32_t i = 0; i < parts; ++i) work.keys[i] = key_of(work.lane_maxes[i], i);
  return value_of(work.keys[keep_first(work.keys, parts, k) - 1]);
}

}  // namespace
}  // namespace vsurge::kernels
