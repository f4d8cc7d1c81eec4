// Sampling one token from one row of logits, without sorting the vocabulary.
//
// Greedy is one pass. A plain draw is two: the maximum, then weights exp((x - max) / T) with the
// sum of every block, so that the draw walks block sums and then one block. top_k gathers what
// reaches a cheap bound (the k-th of the maxima of disjoint parts) and selects among that. top_p
// drops the tail that is too light to matter even as a whole, narrows the weight at which the mass
// is reached by summing above seven thresholds at a time, and orders only what lies between the
// last two.
//
// Sums run in sixteen lanes over blocks, are folded as vreduce_add() does and added up in double,
// in one order, so every level gives the same token.
#pragma once

#include <stddef.h>

#include "kernels/sample.h"

namespace vsurge::kernels {
namespace {

constexpr int kSampleBlock = 256;  // tokens; the unit of lane maxima and of sums
constexpr int kSmallVocabulary = 1024;
constexpr int kSortMax = 24;          // selections this small are sorted
constexpr int kMedianRoundsMax = 40;  // then halving of the key range, which cannot degenerate
constexpr int kThresholds = 7;
constexpr int kBracketMax = 4096;  // candidates that are ordered one by one
constexpr float kLeastFloat = -__builtin_inff();

// Views into the caller's scratch.
struct SampleWork {
  float* logits;
  int32_t vocabulary;
  int32_t blocks;
  float* lane_maxes;   // [blocks][16]
  double* block_sums;  // [blocks] of weights
  float* weights;      // [blocks * kSampleBlock] not normalised, 1 for the greatest logit
  uint64_t* keys;      // [vocabulary] of top_k; greater key = earlier in the order of selection
  // In the place of keys: weights and ids of the candidates of top_p, by ascending id.
  float* values;  // [vocabulary + 16]
  int32_t* ids;   // [vocabulary + 16]
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
  uint8_t* at = align_up(reinterpret_cast<uint8_t*>(scratch));
  work.lane_maxes = reinterpret_cast<float*>(at);
  at += blocks * kLanes * sizeof(float);
  work.weights = reinterpret_cast<float*>(at);
  at += blocks * kSampleBlock * sizeof(float);
  work.keys = reinterpret_cast<uint64_t*>(at);
  work.values = reinterpret_cast<float*>(at);
  at = align_up(at + static_cast<size_t>(vocabulary + kLanes) * sizeof(float));
  work.ids = reinterpret_cast<int32_t*>(at);
  at = align_up(at + static_cast<size_t>(vocabulary + kLanes) * sizeof(int32_t));
  work.block_sums = reinterpret_cast<double*>(at);
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

// Lane maxima of one block; applies the mask. False when a logit is not finite.
inline bool scan_block(const SampleWork& work, int32_t block, const uint32_t* allowed) {
  const int32_t begin = block * kSampleBlock, end = block_end(work, block);
  Vf top[2] = {vset(kLeastFloat), vset(kLeastFloat)};
  Vf strange[2] = {vset(0), vset(0)};  // NaN once a logit is NaN or infinite
  if (allowed == nullptr && end - begin == kSampleBlock) {
    for (int32_t i = begin; i < end; i += 2 * kLanes) {
      for (int j = 0; j < 2; ++j) {
        const Vf v = vload(work.logits + i + j * kLanes);
        strange[j] = vadd(strange[j], vsub(v, v));
        top[j] = vmax(v, top[j]);
      }
    }
  } else {
    for (int32_t i = begin; i < end; i += kLanes) {
      const int64_t n = end - i < kLanes ? end - i : kLanes;
      Vf v = vload_n(work.logits + i, n);
      strange[0] = vadd(strange[0], vsub(v, v));
      uint32_t wanted = (1u << n) - 1u;
      if (allowed != nullptr) wanted &= allowed[i / 32] >> (i % 32);
      v = vselect(wanted, v, vset(kLeastFloat));
      vstore_n(work.logits + i, v, n);
      top[0] = vmax(v, top[0]);
    }
  }
  vstore(work.lane_maxes + static_cast<ptrdiff_t>(block) * kLanes, vmax(top[0], top[1]));
  return vreduce_add(vadd(strange[0], strange[1])) == 0;
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
      const Vf a = load_padded(logits + i, count - i, kLeastFloat);
      const Vf c = load_padded(logits + i + kLanes, count - i - kLanes, kLeastFloat);
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
      const Vf v = load_padded(work.logits + i, work.vocabulary - i, kLeastFloat);
      uint32_t found = ~vless(v, vset(least)) & 0xffffu;
      for (; found != 0; found &= found - 1) {
        const int32_t token = i + __builtin_ctz(found);
        if (token >= work.vocabulary || work.logits[token] == kLeastFloat) continue;
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
  if (k > parts / 4 || parts > work.vocabulary) return kLeastFloat;
  for (int32_t i = 0; i < parts; ++i) work.keys[i] = key_of(work.lane_maxes[i], i);
  return value_of(work.keys[keep_first(work.keys, parts, k) - 1]);
}

// Weights of the keys' tokens alone, at work.weights[place of the key]; their sum.
inline double weigh_keys(const SampleWork& work, int32_t count, float max, float scale) {
  double total = 0;
  for (int32_t i = 0; i < count; i += kLanes) {
    const int32_t n = count - i < kLanes ? count - i : kLanes;
    float z[kLanes] = {};
    for (int32_t j = 0; j < n; ++j) z[j] = (value_of(work.keys[i + j]) - max) * scale;
    vstore(z, vexp(vload(z)));
    for (int32_t j = 0; j < n; ++j) {
      work.weights[token_of(work.keys[i + j])] = z[j];
      total += static_cast<double>(z[j]);
    }
  }
  return total;
}

inline int32_t draw_key(const SampleWork& work, int32_t count, float least, double uniform) {
  const auto weight = [&](int32_t i) {
    const float w = work.weights[token_of(work.keys[i])];
    return w < least ? 0.0 : static_cast<double>(w);
  };
  double total = 0;
  for (int32_t i = 0; i < count; ++i) total += weight(i);
  const double target = uniform * total;
  double have = 0;
  int32_t last = -1;
  for (int32_t i = 0; i < count; ++i) {
    const double w = weight(i);
    if (w <= 0) continue;
    have += w;
    last = token_of(work.keys[i]);
    if (have > target) break;
  }
  return last;
}

inline int32_t draw_of_top_k(const SampleWork& work, const SampleRow& row, float max,
                             double uniform) {
  int32_t count = gather_logits(work, reached_by(work, row.top_k), row.top_k);
  if (count > row.top_k) count = keep_first(work.keys, count, row.top_k);
  const double total = weigh_keys(work, count, max, 1.0f / row.temperature);
  if (row.top_p < 1.0f) {
    count = keep_greatest(
        work.keys, count, static_cast<double>(row.top_p) * total,
        [&](uint64_t key) { return static_cast<double>(work.weights[token_of(key)]); });
  }
  return draw_key(work, count, row.min_p, uniform);
}

// The place at which the running sum of `sums`, then of single weights, passes uniform * total.
// Weights of place i below floor(i) do not count. -1 when there are none.
template <class Floor>
int32_t walk(const SampleWork& work, const float* weights, int32_t count, double total,
             double uniform, const Floor& floor) {
  const double target = uniform * total;
  const int32_t blocks = (count + kSampleBlock - 1) / kSampleBlock;
  double have = 0;
  int32_t block = 0;
  int32_t last_block = 0;
  for (; block < blocks; ++block) {
    if (work.block_sums[block] > 0) last_block = block;
    if (have + work.block_sums[block] > target) break;
    have += work.block_sums[block];
  }
  // Rounding may leave the target just past the last sum.
  if (block == blocks) block = last_block;
  const int32_t end = (block + 1) * kSampleBlock < count ? (block + 1) * kSampleBlock : count;
  int32_t last = -1;
  for (int32_t i = block * kSampleBlock; i < end; ++i) {
    if (weights[i] <= 0 || weights[i] < floor(i)) continue;
    have += static_cast<double>(weights[i]);
    last = i;
    if (have > target) break;
  }
  return last;
}

inline int32_t draw_of_all(const SampleWork& work, const SampleRow& row, float max,
                           double uniform) {
  const double total = weigh_rows(work, max, 1.0f / row.temperature, row.min_p);
  return walk(work, work.weights, work.vocabulary, total, uniform, [](int32_t) { return 0.0f; });
}

// --- top_p over the whole vocabulary

// Candidates: weights of at least `least`; how many they are. The vector behind them is zero.
inline int32_t gather_weights(const SampleWork& work, float least) {
  const Vf floor = vset(least);
  int32_t count = 0;
  for (int32_t i = 0; i < work.blocks * kSampleBlock; i += kLanes) {
    const Vf v = vload(work.weights + i);
    const uint32_t found = ~vless(v, floor) & 0xffffu;
    if (found == 0) continue;
    count += vcompress(work.values + count, work.ids + count, v, found, i);
  }
  vstore(work.values + count, vset(0));
  return count;
}

// Sums of the candidates at or above each of kThresholds rising values.
inline void masses(const SampleWork& work, int32_t count, const float* thresholds, double* out) {
  Vf floor[kThresholds];
  for (int t = 0; t < kThresholds; ++t) {
    floor[t] = vset(thresholds[t]);
    out[t] = 0;
  }
  for (int32_t begin = 0; begin < count; begin += 2 * kSampleBlock) {
    const int32_t end = begin + 2 * kSampleBlock < count ? begin + 2 * kSampleBlock : count;
    Vf sum[kThresholds];
    for (int t = 0; t < kThresholds; ++t) sum[t] = vset(0);
    for (int32_t i = begin; i < end; i += kLanes) {
      const Vf v = vload(work.values + i);
      for (int t = 0; t < kThresholds; ++t) sum[t] = vadd(sum[t], vzero_below(v, floor[t]));
    }
    for (int t = 0; t < kThresholds; ++t) out[t] += static_cast<double>(vreduce_add(sum[t]));
  }
}

// Candidates with `low` <= weight < `high`, whose order decides; the sum of those from `high` up.
struct Bracket {
  uint32_t low, high;  // bits of the floats
  double above;        // < target
  double mass;         // of those from `low` up; >= target
};

// Draws the bracket together around what it holds.
inline void tighten(const SampleWork& work, int32_t count, Bracket& b) {
  const Vf low = vset(bits_float(b.low)), high = vset(bits_float(b.high));
  Vf least = high, most = vset(0);
  for (int32_t i = 0; i < count; i += kLanes) {
    const Vf v = vload(work.values + i);
    least = vmin(vreplace_below(v, low, high), least);
    most = vmax(vsub(v, vzero_below(v, high)), most);
  }
  const float first = -vreduce_max(vsub(vset(0), least)), last = vreduce_max(most);
  if (first <= last) {
    b.low = float_bits(first);
    b.high = float_bits(last) + 1;
  } else {  // only rounding made it look as if the mass were here
    b.high = b.low + 1;
  }
}

// Keeps the eighth of the bracket in which the mass is reached.
inline void narrow(const SampleWork& work, int32_t count, double target, Bracket& b) {
  uint32_t edges[kThresholds + 2];
  float thresholds[kThresholds];
  double sums[kThresholds];
  const uint64_t width = b.high - b.low;
  for (uint32_t i = 0; i < kThresholds + 2; ++i) {
    edges[i] = b.low + static_cast<uint32_t>(width * i / (kThresholds + 1));
    if (i > 0 && i <= kThresholds) thresholds[i - 1] = bits_float(edges[i]);
  }
  masses(work, count, thresholds, sums);
  int at = 0;
  while (at < kThresholds && sums[at] >= target) ++at;
  if (at > 0) b.mass = sums[at - 1];
  if (at < kThresholds) b.above = sums[at];
  b.low = edges[at];
  b.high = edges[at + 1] > edges[at] ? edges[at + 1] : edges[at] + 1;
}

// What top_p keeps of the candidates: those above `weight`, and those equal to it up to `place`.
struct Cut {
  float weight;
  int32_t place;
};

// All candidates of the bracket weigh the same: the lowest ids come first.
inline Cut cut_among_equals(const SampleWork& work, int32_t count, double target,
                            const Bracket& b) {
  const Vf weight = vset(bits_float(b.low));
  const double wanted = (target - b.above) / static_cast<double>(bits_float(b.low));
  int64_t left = wanted < count ? static_cast<int64_t>(wanted) : count;
  if (static_cast<double>(left) < wanted) ++left;
  for (int32_t i = 0; i < count; i += kLanes) {
    const Vf v = vload(work.values + i);
    uint32_t equal = ~(vless(v, weight) | vless(weight, v)) & 0xffffu;
    const int found = __builtin_popcount(equal);
    if (found < left) {
      left -= found;
      continue;
    }
    for (; left > 1; --left) equal &= equal - 1;
    return {bits_float(b.low), i + __builtin_ctz(equal)};
  }
  return {bits_float(b.low), count - 1};
}

// Orders the candidates of the bracket. False when there are more than `most` of them.
inline bool cut_in_order(const SampleWork& work, int32_t count, double target, const Bracket& b,
                         int32_t most, Cut& cut) {
  // The weights are in the candidates; their place is free.
  uint64_t* keys = reinterpret_cast<uint64_t*>(work.weights);
  const Vf low = vset(bits_float(b.low)), high = vset(bits_float(b.high));
  int32_t held = 0;
  for (int32_t i = 0; i < count; i += kLanes) {
    const Vf v = vload(work.values + i);
    uint32_t found = vless(v, high) & ~vless(v, low) & 0xffffu;
    for (; found != 0; found &= found - 1) {
      const int32_t place = i + __builtin_ctz(found);
      if (held == most) return false;
      keys[held++] = key_of(work.values[place], place);
    }
  }
  if (held == 0) {
    cut = {bits_float(b.low), count - 1};
    return true;
  }
  const int32_t kept = keep_greatest(keys, held, target - b.above, [](uint64_t key) {
    return static_cast<double>(value_of(key));
  });
  cut = {value_of(keys[kept - 1]), token_of(keys[kept - 1])};
  return true;
}

inline Cut find_cut(const SampleWork& work, int32_t count, double target, const Bracket& whole) {
  const int32_t room = work.blocks * (kSampleBlock / 2);
  const int32_t most = room < kBracketMax ? room : kBracketMax;
  Bracket b = whole;
  Cut cut{};
  // Many equal or nearly equal weights: look where they are before cutting.
  const int look = count > work.vocabulary / 2 ? 0 : 1;
  for (int round = 0;; ++round) {
    if (b.high - b.low == 1) return cut_among_equals(work, count, target, b);
    const double held = (b.mass - b.above) / static_cast<double>(bits_float(b.low));
    if ((held <= most || count <= most) && cut_in_order(work, count, target, b, most, cut)) {
      return cut;
    }
    if (round % 3 == look)
      tighten(work, count, b);
    else
      narrow(work, count, target, b);
  }
}

// Sums of blocks of the candidates that are left; their sum. Those up to `place` count from
// `floor` up, those behind it from `floor_behind`.
inline double sum_kept(const SampleWork& work, int32_t count, int32_t place, float floor,
                       float floor_behind) {
  double total = 0;
  for (int32_t b = 0; b * kSampleBlock < count; ++b) {
    Vf sum = vset(0);
    const int32_t begin = b * kSampleBlock;
    const int32_t end = begin + kSampleBlock < count ? begin + kSampleBlock : count;
    for (int32_t i = begin; i < end; i += kLanes) {
      const Vf v = vload(work.values + i);
      if (place >= i && place < i + kLanes - 1) {
        const uint32_t front = (1u << (place - i + 1)) - 1u;
        const Vf kept = vzero_below(v, vset(floor));
        sum = vadd(sum, vselect(front, kept, vzero_below(v, vset(floor_behind))));
      } else {
        sum = vadd(sum, vzero_below(v, vset(place >= i ? floor : floor_behind)));
      }
    }
    work.block_sums[b] = static_cast<double>(vreduce_add(sum));
    total += work.block_sums[b];
  }
  return total;
}

inline int32_t draw_of_top_p(const SampleWork& work, const SampleRow& row, float max,
                             double uniform) {
  const double total = weigh_rows(work, max, 1.0f / row.temperature, 0.0f);
  // All weights below this together are less than what top_p leaves out.
  const double rest = (1.0 - static_cast<double>(row.top_p)) * total;
  float least = static_cast<float>(0.99 * rest / work.vocabulary);
  if (least < 1e-37f) least = 1e-37f;
  const int32_t count = gather_weights(work, least);
  const Bracket whole{float_bits(least), float_bits(2.0f), 0, total};
  const Cut cut = find_cut(work, count, static_cast<double>(row.top_p) * total, whole);
  const float next = bits_float(float_bits(cut.weight) + 1);
  const float floor = cut.weight > row.min_p ? cut.weight : row.min_p;
  const float behind = next > row.min_p ? next : row.min_p;
  const double kept = sum_kept(work, count, cut.place, floor, behind);
  const int32_t at = walk(work, work.values, count, kept, uniform,
                          [&](int32_t i) { return i <= cut.place ? floor : behind; });
  return at < 0 ? -1 : work.ids[at];
}

SampleResult sample(float* logits, int32_t vocabulary, const SampleRow& row, uint64_t* scratch) {
  uint64_t small[2 * kSmallVocabulary];  // for the padding of blocks
  if (vocabulary < kSmallVocabulary) scratch = small;
  const SampleWork work = make_work(logits, vocabulary, scratch);
  Vf top = vset(kLeastFloat);
  for (int32_t b = 0; b < work.blocks; ++b) {
    if (!scan_block(work, b, row.allowed_tokens)) return {-1, SampleStatus::kNotFinite};
    top = vmax(vload(work.lane_maxes + static_cast<ptrdiff_t>(b) * kLanes), top);
  }
  const float max = vreduce_max(top);
  if (max == kLeastFloat) return {-1, SampleStatus::kNothingAllowed};
  if (!(row.temperature >= kGreedyTemperature) || row.top_k == 1) {
    return {lowest_with(work, max), SampleStatus::kOk};
  }
  const double uniform = static_cast<double>(random_bits(row.seed, row.position) >> 11) * 0x1p-53;
  int32_t token;
  if (row.top_k > 0 && row.top_k < vocabulary) {
    token = draw_of_top_k(work, row, max, uniform);
  } else if (row.top_p < 1.0f) {
    token = draw_of_top_p(work, row, max, uniform);
  } else {
    token = draw_of_all(work, row, max, uniform);
  }
  return {token, SampleStatus::kOk};
}

}  // namespace
}  // namespace vsurge::kernels
