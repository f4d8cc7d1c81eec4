// Sampling without sorting the vocabulary.
//
// Greedy is one pass. A plain draw is two: the maximum, then weights exp((x - max) / T) with the
// sum of every block, so that the draw walks block sums and then one block. top_k and top_p first
// gather the few tokens that can be in the answer (both have a cheap bound that never loses one:
// the k-th of the maxima of parts, and a power of two found by summing what is above it) and select
// among them.
//
// All arithmetic runs in 8 lanes in one fixed order and without fused multiply-add, so that every
// build and CPU gives the same bits (compile with -ffp-contract=off); the AVX2 copy is the same
// code for wider registers.
#include "kernels/sample.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define VSURGE_INLINE static inline __attribute__((always_inline))

namespace vsurge::kernels {
namespace {

constexpr int kLanes = 8;
constexpr int kBlock = 256;  // tokens; the unit of lane maxima and of sums
constexpr int kSmallVocabulary = 1024;
constexpr int kSortMax = 24;          // selections this small are sorted
constexpr int kMedianRoundsMax = 40;  // then halving of the key range, which cannot degenerate

typedef float Floats __attribute__((vector_size(4 * kLanes)));
typedef int32_t Ints __attribute__((vector_size(4 * kLanes)));
typedef uint32_t Words __attribute__((vector_size(4 * kLanes)));

// Views into the caller's scratch.
struct Work {
  float* logits;
  int32_t vocabulary;
  int32_t blocks;
  uint64_t* keys;  // [vocabulary + 1] candidates; greater key = earlier in the order of selection
  float* weights;  // [blocks * kBlock] not normalised, 1 for the greatest logit
  float* lane_maxes;   // [blocks][kLanes]
  double* block_sums;  // [blocks] of weights
};

Work make_work(float* logits, int32_t vocabulary, uint64_t* scratch) {
  Work work{};
  work.logits = logits;
  work.vocabulary = vocabulary;
  work.blocks = (vocabulary + kBlock - 1) / kBlock;
  work.keys = scratch;
  work.block_sums = reinterpret_cast<double*>(scratch + vocabulary + 1);
  work.lane_maxes = reinterpret_cast<float*>(work.block_sums + work.blocks);
  work.weights = work.lane_maxes + static_cast<ptrdiff_t>(work.blocks) * kLanes;
  return work;
}

VSURGE_INLINE void load(Floats& v, const float* p) {
  memcpy(&v, p, sizeof v);
}
VSURGE_INLINE void store(float* p, const Floats& v) {
  memcpy(p, &v, sizeof v);
}

// e^x for x <= 0, within about one unit in the last place; exactly 0 below -86. Splits x into
// n ln 2 + r with |r| <= ln 2 / 2 and takes the Taylor series of e^r.
VSURGE_INLINE void exp_lanes(Floats& x) {
  const Ints small = x < -86.0F;
  const Floats safe = small ? Floats{} : x;
  const Floats scaled = safe * 1.44269504F - 0.5F;
  const Ints n = __builtin_convertvector(scaled, Ints);  // towards 0 = to nearest, as x <= 0
  const Floats whole = __builtin_convertvector(n, Floats);
  // ln 2 in two parts; the first has few bits, so that its product with n is exact.
  const Floats r = (safe - whole * 0.693359375F) + whole * 2.12194440e-4F;
  Floats sum = r * (1.0F / 5040.0F) + 1.0F / 720.0F;
  sum = sum * r + 1.0F / 120.0F;
  sum = sum * r + 1.0F / 24.0F;
  sum = sum * r + 1.0F / 6.0F;
  sum = sum * r + 0.5F;
  sum = sum * r + 1.0F;
  sum = sum * r + 1.0F;
  Ints bits;
  memcpy(&bits, &sum, sizeof bits);
  bits += n << 23;
  bits = small ? Ints{} : bits;
  memcpy(&x, &bits, sizeof x);
}

// Sets what the mask forbids to -inf; `words` covers kBlock tokens.
VSURGE_INLINE void forbid(float* values, const uint32_t* words) {
  constexpr Words kBit = {1U << 0, 1U << 1, 1U << 2, 1U << 3, 1U << 4, 1U << 5, 1U << 6, 1U << 7};
  for (int i = 0; i < kBlock; i += kLanes) {
    const uint32_t part = words[i / 32] >> (i % 32);
    Floats v;
    load(v, values + i);
    const Words chosen = kBit & part;
    v = chosen != 0U ? v : Floats{} - INFINITY;
    store(values + i, v);
  }
}

// One block of kBlock values: true when all are finite; applies the mask; lane maxima.
VSURGE_INLINE bool scan_block(float* values, const uint32_t* words, int count, float* maxes) {
  Ints strange = {};
  for (int i = 0; i < kBlock; i += kLanes) {
    Ints bits;
    memcpy(&bits, values + i, sizeof bits);
    strange |= (bits & 0x7f800000) == 0x7f800000;
  }
  int32_t any = 0;
  for (int lane = 0; lane < kLanes; ++lane) any |= strange[lane];
  if (any != 0) return false;
  for (int i = count; i < kBlock; ++i) values[i] = -INFINITY;
  if (words != nullptr) forbid(values, words);
  Floats top = Floats{} - INFINITY;
  for (int i = 0; i < kBlock; i += kLanes) {
    Floats v;
    load(v, values + i);
    top = v > top ? v : top;
  }
  store(maxes, top);
  return true;
}

VSURGE_INLINE bool scan_rows(const Work& work, const uint32_t* allowed) {
  const int32_t whole = work.vocabulary / kBlock;
  for (int32_t b = 0; b < whole; ++b) {
    const uint32_t* words = allowed == nullptr ? nullptr : allowed + b * (kBlock / 32);
    if (!scan_block(work.logits + b * kBlock, words, kBlock, work.lane_maxes + b * kLanes)) {
      return false;
    }
  }
  const int rest = work.vocabulary - whole * kBlock;
  if (rest == 0) return true;
  float values[kBlock] = {};
  uint32_t words[kBlock / 32] = {};
  memcpy(values, work.logits + whole * kBlock, static_cast<size_t>(rest) * sizeof(float));
  if (allowed != nullptr) {
    memcpy(words, allowed + whole * (kBlock / 32),
           static_cast<size_t>((rest + 31) / 32) * sizeof(uint32_t));
  }
  const bool finite = scan_block(values, allowed == nullptr ? nullptr : words, rest,
                                 work.lane_maxes + whole * kLanes);
  memcpy(work.logits + whole * kBlock, values, static_cast<size_t>(rest) * sizeof(float));
  return finite;
}

// weights = exp((x - max) * scale), 0 where below `least`; the sum of the block.
VSURGE_INLINE double weigh_block(const float* values, float max, float scale, float least,
                                 float* weights) {
  Floats sum = {};
  for (int i = 0; i < kBlock; i += kLanes) {
    Floats v;
    load(v, values + i);
    v = (v - max) * scale;
    exp_lanes(v);
    v = v < least ? Floats{} : v;
    store(weights + i, v);
    sum += v;
  }
  double total = 0;
  for (int lane = 0; lane < kLanes; ++lane) total += static_cast<double>(sum[lane]);
  return total;
}

VSURGE_INLINE double weigh_rows(const Work& work, float max, float scale, float least) {
  const int32_t whole = work.vocabulary / kBlock;
  double total = 0;
  for (int32_t b = 0; b < whole; ++b) {
    work.block_sums[b] =
        weigh_block(work.logits + b * kBlock, max, scale, least, work.weights + b * kBlock);
    total += work.block_sums[b];
  }
  const int rest = work.vocabulary - whole * kBlock;
  if (rest == 0) return total;
  float values[kBlock];
  float weights[kBlock];
  for (float& value : values) value = -INFINITY;
  memcpy(values, work.logits + whole * kBlock, static_cast<size_t>(rest) * sizeof(float));
  work.block_sums[whole] = weigh_block(values, max, scale, least, weights);
  memcpy(work.weights + whole * kBlock, weights, sizeof weights);
  return total + work.block_sums[whole];
}

// Greater logit first, then lower id, as one number.
uint64_t key_of(float logit, int32_t token) {
  const float plain = logit + 0.0F;  // -0 becomes +0
  uint32_t bits;
  memcpy(&bits, &plain, sizeof bits);
  bits = (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
  return (static_cast<uint64_t>(bits) << 32) | (0xffffffffU - static_cast<uint32_t>(token));
}
int32_t token_of(uint64_t key) {
  return static_cast<int32_t>(0xffffffffU - (key & 0xffffffffU));
}

// The sum of the weights that are at least `least`.
VSURGE_INLINE double mass_rows(const Work& work, float least) {
  double total = 0;
  for (int32_t b = 0; b < work.blocks; ++b) {
    const float* weights = work.weights + b * kBlock;
    Floats sum = {};
    for (int i = 0; i < kBlock; i += kLanes) {
      Floats v;
      load(v, weights + i);
      sum += v >= least ? v : Floats{};
    }
    for (int lane = 0; lane < kLanes; ++lane) total += static_cast<double>(sum[lane]);
  }
  return total;
}

// Appends to the `count` candidates every token with a weight in [least, below); the new count.
VSURGE_INLINE int32_t gather_rows(const Work& work, float least, float below, int32_t count) {
  constexpr int kPart = 4 * kLanes;
  for (int32_t first = 0; first < work.blocks * kBlock; first += kPart) {
    Ints found = {};
    for (int i = 0; i < kPart; i += kLanes) {
      Floats v;
      load(v, work.weights + first + i);
      found |= (v >= least) & (v < below);
    }
    uint64_t words[kLanes / 2];
    memcpy(words, &found, sizeof words);
    uint64_t any = 0;
    for (const uint64_t word : words) any |= word;
    if (any == 0) continue;
    const int32_t end = first + kPart < work.vocabulary ? first + kPart : work.vocabulary;
    for (int32_t i = first; i < end; ++i) {
      const float weight = work.weights[i];
      work.keys[count] = key_of(work.logits[i], i);
      count += (weight >= least ? 1 : 0) & (weight < below ? 1 : 0);
    }
  }
  return count;
}

bool scan_base(const Work& work, const uint32_t* allowed) {
  return scan_rows(work, allowed);
}
double weigh_base(const Work& work, float max, float scale, float least) {
  return weigh_rows(work, max, scale, least);
}
double mass_base(const Work& work, float least) {
  return mass_rows(work, least);
}
int32_t gather_base(const Work& work, float least, float below, int32_t count) {
  return gather_rows(work, least, below, count);
}
#if defined(__x86_64__)
__attribute__((target("avx2"))) bool scan_avx2(const Work& work, const uint32_t* allowed) {
  return scan_rows(work, allowed);
}
__attribute__((target("avx2"))) double weigh_avx2(const Work& work, float max, float scale,
                                                  float least) {
  return weigh_rows(work, max, scale, least);
}
__attribute__((target("avx2"))) double mass_avx2(const Work& work, float least) {
  return mass_rows(work, least);
}
__attribute__((target("avx2"))) int32_t gather_avx2(const Work& work, float least, float below,
                                                    int32_t count) {
  return gather_rows(work, least, below, count);
}
bool wide() {
  return __builtin_cpu_supports("avx2") != 0;
}
bool scan(const Work& work, const uint32_t* allowed) {
  return wide() ? scan_avx2(work, allowed) : scan_base(work, allowed);
}
double weigh(const Work& work, float max, float scale, float least) {
  return wide() ? weigh_avx2(work, max, scale, least) : weigh_base(work, max, scale, least);
}
double mass(const Work& work, float least) {
  return wide() ? mass_avx2(work, least) : mass_base(work, least);
}
int32_t gather_weights(const Work& work, float least, float below, int32_t count) {
  return wide() ? gather_avx2(work, least, below, count) : gather_base(work, least, below, count);
}
#else
double mass(const Work& work, float least) {
  return mass_base(work, least);
}
int32_t gather_weights(const Work& work, float least, float below, int32_t count) {
  return gather_base(work, least, below, count);
}
bool scan(const Work& work, const uint32_t* allowed) {
  return scan_base(work, allowed);
}
double weigh(const Work& work, float max, float scale, float least) {
  return weigh_base(work, max, scale, least);
}
#endif

float block_max(const Work& work, int32_t block) {
  const float* lanes = work.lane_maxes + static_cast<ptrdiff_t>(block) * kLanes;
  float top = lanes[0];
  for (int i = 1; i < kLanes; ++i) top = lanes[i] > top ? lanes[i] : top;
  return top;
}

int32_t block_end(const Work& work, int32_t block) {
  const int32_t end = (block + 1) * kBlock;
  return end < work.vocabulary ? end : work.vocabulary;
}

int32_t lowest_with(const Work& work, float value) {
  for (int32_t b = 0; b < work.blocks; ++b) {
    if (block_max(work, b) != value) continue;
    for (int32_t i = b * kBlock; i < block_end(work, b); ++i) {
      if (work.logits[i] == value) return i;
    }
  }
  return -1;
}

// Moves keys >= pivot to the front of [first, last); returns where the others begin.
int32_t partition(uint64_t* keys, int32_t first, int32_t last, uint64_t pivot) {
  int32_t out = first;
  for (int32_t i = first; i < last; ++i) {
    const uint64_t key = keys[i];
    keys[i] = keys[out];
    keys[out] = key;
    out += key >= pivot ? 1 : 0;
  }
  return out;
}

uint64_t median_of_three(uint64_t a, uint64_t b, uint64_t c) {
  const uint64_t low = a < b ? a : b;
  const uint64_t high = a < b ? b : a;
  return c < low ? low : (c > high ? high : c);
}

uint64_t middle_of_range(const uint64_t* keys, int32_t first, int32_t last) {
  uint64_t low = keys[first];
  uint64_t high = keys[first];
  for (int32_t i = first + 1; i < last; ++i) {
    low = keys[i] < low ? keys[i] : low;
    high = keys[i] > high ? keys[i] : high;
  }
  return low + (high - low) / 2 + 1;
}

void sort_descending(uint64_t* keys, int32_t first, int32_t last) {
  for (int32_t i = first + 1; i < last; ++i) {
    const uint64_t key = keys[i];
    int32_t j = i;
    for (; j > first && keys[j - 1] < key; --j) keys[j] = keys[j - 1];
    keys[j] = key;
  }
}

// Reorders keys so that a prefix holds the greatest ones whose weights reach `target`, as few as
// do, at least one; returns its length. weights nullptr: each weighs 1. Keys are all different.
int32_t keep_greatest(uint64_t* keys, int32_t count, const float* weights, double target) {
  const auto weight = [&](int32_t i) {
    return weights == nullptr ? 1.0 : static_cast<double>(weights[token_of(keys[i])]);
  };
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
    for (int32_t i = first; i < middle; ++i) front += weight(i);
    if (have + front >= target) {
      last = middle;
    } else {
      have += front;
      first = middle;
    }
  }
  sort_descending(keys, first, last);
  for (int32_t i = first; i < last; ++i) {
    have += weight(i);
    if (have >= target) return i + 1;
  }
  return last;
}

// Candidates: every token whose logit is at least `least`.
int32_t gather_logits(const Work& work, float least) {
  int32_t count = 0;
  for (int32_t b = 0; b < work.blocks; ++b) {
    if (block_max(work, b) < least) continue;
    for (int32_t i = b * kBlock; i < block_end(work, b); ++i) {
      const float logit = work.logits[i];
      work.keys[count] = key_of(logit, i);
      count += logit >= least && logit != -INFINITY ? 1 : 0;
    }
  }
  return count;
}

// A power of two such that the weights from it upwards sum to `target`, and those from twice it do
// not (or the least weight there is). With a little more than `target`, for rounding.
float bound_of_mass(const Work& work, double target) {
  int low = 0;
  int high = 126;  // smaller weights are 0
  while (low < high) {
    const int middle = (low + high) / 2;
    if (mass(work, ldexpf(1.0F, -middle)) >= target * (1 + 1e-6)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return ldexpf(1.0F, -low);
}

// A value that at least `k` logits reach: the k-th greatest of the maxima of disjoint parts.
float reached_by(const Work& work, int32_t k) {
  if (k <= work.blocks / 2) {
    for (int32_t b = 0; b < work.blocks; ++b) work.keys[b] = key_of(block_max(work, b), b);
    keep_greatest(work.keys, work.blocks, nullptr, k);
  } else if (k <= work.blocks * (kLanes / 4)) {
    const int32_t parts = work.blocks * kLanes;
    if (parts > work.vocabulary) return -INFINITY;
    for (int32_t i = 0; i < parts; ++i) work.keys[i] = key_of(work.lane_maxes[i], i);
    keep_greatest(work.keys, parts, nullptr, k);
  } else {
    return -INFINITY;
  }
  uint64_t least = work.keys[0];
  for (int32_t i = 1; i < k; ++i) least = work.keys[i] < least ? work.keys[i] : least;
  const uint32_t ordered = static_cast<uint32_t>(least >> 32);
  const uint32_t bits = (ordered & 0x80000000U) != 0 ? ordered & 0x7fffffffU : ~ordered;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// Weights of the candidates alone; their sum.
double weigh_candidates(const Work& work, int32_t count, float max, float scale) {
  double total = 0;
  for (int32_t i = 0; i < count; i += kLanes) {
    const int32_t n = count - i < kLanes ? count - i : kLanes;
    Floats v = {};
    for (int32_t j = 0; j < n; ++j) v[j] = (work.logits[token_of(work.keys[i + j])] - max) * scale;
    exp_lanes(v);
    for (int32_t j = 0; j < n; ++j) {
      work.weights[token_of(work.keys[i + j])] = v[j];
      total += static_cast<double>(v[j]);
    }
  }
  return total;
}

int32_t draw_candidate(const Work& work, int32_t count, float least, double uniform) {
  double total = 0;
  for (int32_t i = 0; i < count; ++i) {
    float& weight = work.weights[token_of(work.keys[i])];
    weight = weight < least ? 0.0F : weight;
    total += static_cast<double>(weight);
  }
  const double target = uniform * total;
  double have = 0;
  int32_t last = -1;
  for (int32_t i = 0; i < count; ++i) {
    const int32_t token = token_of(work.keys[i]);
    if (work.weights[token] <= 0) continue;
    have += static_cast<double>(work.weights[token]);
    last = token;
    if (have > target) break;
  }
  return last;
}

int32_t draw_any(const Work& work, double total, double uniform) {
  const double target = uniform * total;
  double have = 0;
  int32_t block = 0;
  int32_t last_block = 0;
  for (; block < work.blocks; ++block) {
    if (work.block_sums[block] > 0) last_block = block;
    if (have + work.block_sums[block] > target) break;
    have += work.block_sums[block];
  }
  // Rounding may leave the target just past the last sum.
  if (block == work.blocks) block = last_block;
  int32_t last = -1;
  for (int32_t i = block * kBlock; i < block_end(work, block); ++i) {
    if (work.weights[i] <= 0) continue;
    have += static_cast<double>(work.weights[i]);
    last = i;
    if (have > target) break;
  }
  return last;
}

// The fewest and greatest candidates whose weights reach `target`; how many they are.
int32_t keep_mass(const Work& work, double target) {
  const float bound = bound_of_mass(work, target);
  const int32_t sure = gather_weights(work, 2 * bound, INFINITY, 0);
  double have = 0;
  for (int32_t i = 0; i < sure; ++i) {
    have += static_cast<double>(work.weights[token_of(work.keys[i])]);
  }
  if (have >= target) return keep_greatest(work.keys, sure, work.weights, target);
  const int32_t all = gather_weights(work, bound, 2 * bound, sure);
  return sure + keep_greatest(work.keys + sure, all - sure, work.weights, target - have);
}

int32_t draw(const Work& work, const SampleRow& row, float max) {
  const float scale = 1.0F / row.temperature;
  const double uniform = static_cast<double>(random_bits(row.seed, row.position) >> 11) * 0x1p-53;
  const bool some = row.top_p < 1.0F;
  if (row.top_k > 0 && row.top_k < work.vocabulary) {
    int32_t count = gather_logits(work, reached_by(work, row.top_k));
    if (count > row.top_k) count = keep_greatest(work.keys, count, nullptr, row.top_k);
    const double total = weigh_candidates(work, count, max, scale);
    if (some) {
      count = keep_greatest(work.keys, count, work.weights, static_cast<double>(row.top_p) * total);
    }
    return draw_candidate(work, count, row.min_p, uniform);
  }
  if (!some) return draw_any(work, weigh(work, max, scale, row.min_p), uniform);
  const double total = weigh(work, max, scale, 0.0F);
  const double target = static_cast<double>(row.top_p) * total;
  return draw_candidate(work, keep_mass(work, target), row.min_p, uniform);
}

}  // namespace

SampleResult sample_row(float* logits, int32_t vocabulary, const SampleRow& row,
                        uint64_t* scratch) {
  uint64_t small[2 * kSmallVocabulary];  // for the padding of blocks
  if (vocabulary < kSmallVocabulary) scratch = small;
  const Work work = make_work(logits, vocabulary, scratch);
  if (!scan(work, row.allowed_tokens)) return {-1, SampleStatus::kNotFinite};
  float max = -INFINITY;
  for (int32_t i = 0; i < work.blocks * kLanes; ++i) {
    max = work.lane_maxes[i] > max ? work.lane_maxes[i] : max;
  }
  if (max == -INFINITY) return {-1, SampleStatus::kNothingAllowed};
  const bool greedy = !(row.temperature >= kGreedyTemperature) || row.top_k == 1;
  return {greedy ? lowest_with(work, max) : draw(work, row, max), SampleStatus::kOk};
}

uint64_t random_bits(uint64_t seed, uint64_t counter) {
  uint32_t c[4] = {static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), 0, 0};
  uint32_t k0 = static_cast<uint32_t>(seed);
  uint32_t k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = static_cast<uint64_t>(0xD2511F53U) * c[0];
    const uint64_t b = static_cast<uint64_t>(0xCD9E8D57U) * c[2];
    const uint32_t next[4] = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(b),
                              static_cast<uint32_t>(a >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(a)};
    memcpy(c, next, sizeof c);
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  return (static_cast<uint64_t>(c[1]) << 32) | c[0];
}

}  // namespace vsurge::kernels
