// Sampling one token from one row of logits, without sorting the vocabulary.
//
// Greedy is one pass. A plain draw is two: the maximum, then weights exp((x - max) / T) with the
// sum of every block, so that the draw walks block sums and then one block. All else first makes a
// list of candidates, by ascending id: top_k those that are among the k greatest, found behind a
// cheap bound (the k-th of the maxima of disjoint parts); the others those that are not too light
// to matter even all together. The remaining stages work on the list.
#pragma once

#include "kernels/cpu/sample_cut-inl.h"
#include "kernels/cpu/sample_logits-inl.h"
#include "kernels/cpu/sample_work-inl.h"

namespace vsurge::kernels {
namespace {

inline double uniform_of(uint64_t bits) {
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

// The place at which the running sum of block_sums, then of single weights, passes uniform * total.
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

// Candidates: weights of at least `least`; how many they are. The vector behind them is zero.
inline int32_t list_weights(const SampleWork& work, float least) {
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

// Candidates: logits above `least`, and those equal to it up to `last`.
inline int32_t list_logits(const SampleWork& work, float least, int32_t last) {
  const Vf floor = vset(least);
  int32_t count = 0;
  for (int32_t b = 0; b < work.blocks; ++b) {
    if (block_max(work, b) < least) continue;
    for (int32_t i = b * kSampleBlock; i < block_end(work, b); i += kLanes) {
      const Vf v = load_padded(work.logits + i, work.vocabulary - i, kMinusInfinity);
      uint32_t found = ~vless(v, floor) & 0xffffu;
      if (i + kLanes > last) {
        const uint32_t front = i > last ? 0 : (1u << (last - i + 1)) - 1u;
        found &= front | vless(floor, v);
      }
      if (found == 0) continue;
      count += vcompress(work.values + count, work.ids + count, v, found, i);
    }
  }
  return count;
}

// Candidates: the top_k greatest logits.
inline int32_t list_top_k(const SampleWork& work, int32_t k) {
  int32_t count = gather_logits(work, reached_by(work, k), k);
  if (count > k) count = keep_first(work.keys, count, k);
  uint64_t least = work.keys[0];
  for (int32_t i = 1; i < count; ++i) least = work.keys[i] < least ? work.keys[i] : least;
  return list_logits(work, value_of(least), token_of(least));
}

// Turns the values of the list, logits, into weights; their sum.
inline double weigh_list(const SampleWork& work, int32_t count, float max, float scale) {
  const Vf top = vset(max), factor = vset(scale);
  double total = 0;
  for (int32_t begin = 0; begin < count; begin += kSampleBlock) {
    const int32_t end = begin + kSampleBlock < count ? begin + kSampleBlock : count;
    Vf sum = vset(0);
    for (int32_t i = begin; i < end; i += kLanes) {
      const Vf v = load_padded(work.values + i, count - i, kMinusInfinity);
      const Vf w = vexp(vmul(vsub(v, top), factor));
      vstore(work.values + i, w);
      sum = vadd(sum, w);
    }
    total += static_cast<double>(vreduce_add(sum));
  }
  vstore(work.values + count, vset(0));
  return total;
}

// Candidates, and the sum of all weights of the row (or of the top_k).
struct List {
  int32_t count;
  float floor;  // nothing in it weighs less
  double total;
};

// What of the list is left: weights of places up to `place` from `floor` up, of those behind it
// from `behind` up.
struct Kept {
  int32_t place;
  float floor, behind;
};

inline float greater(float a, float b) {
  return a > b ? a : b;
}

inline Kept keep_top_p(const SampleWork& work, const SampleRow& row, const List& list) {
  const float least = greater(list.floor, kLeastWeight);
  float floor = least, behind = least;
  int32_t place = list.count;
  if (row.top_p < 1.0f) {
    const int32_t room = work.blocks * (kSampleBlock / 2);
    // The weights are in the candidates; their place is free.
    const Ranked ranked{work.values, work.values, list.count,
                        reinterpret_cast<uint64_t*>(work.weights),
                        room < kBracketMax ? room : kBracketMax};
    const Bracket whole{float_bits(least), float_bits(2.0f), 0, list.total};
    // Many equal or nearly equal weights: look where they are before cutting.
    const Cut cut = find_cut(ranked, static_cast<double>(row.top_p) * list.total, whole,
                             list.count > work.vocabulary / 2);
    floor = cut.order;
    behind = bits_float(float_bits(cut.order) + 1);
    place = cut.place;
  }
  return {place, greater(floor, row.min_p), greater(behind, row.min_p)};
}

// Random numbers of a row, and its scale.
struct Draw {
  float max, scale;
  double uniform;
  bool exclude;  // XTC's coin
};

inline Draw make_draw(const SampleRow& row, float max) {
  const double coin = uniform_of(random_bits(row.seed, row.position, 1));
  return {max, 1.0f / row.temperature, uniform_of(random_bits(row.seed, row.position)),
          coin < static_cast<double>(row.xtc_probability)};
}

// `weighed`: the sum of the weights when weigh_rows() has been here already, else -1.
inline List make_list(const SampleWork& work, const SampleRow& row, const Draw& draw,
                      double weighed) {
  if (row.top_k > 0 && row.top_k < work.vocabulary) {
    const int32_t count = list_top_k(work, row.top_k);
    return {count, 0, weigh_list(work, count, draw.max, draw.scale)};
  }
  const double total = weighed >= 0 ? weighed : weigh_rows(work, draw.max, draw.scale, 0.0f);
  float floor = greater(kLeastWeight, row.min_p);
  if (row.top_p < 1.0f) {
    // All weights below this together are less than what top_p leaves out.
    const double rest = (1.0 - static_cast<double>(row.top_p)) * total;
    floor = greater(kLeastWeight, static_cast<float>(0.99 * rest / work.vocabulary));
  }
  return {list_weights(work, floor), floor, total};
}

// top_p to XTC, and the draw.
inline int32_t draw_of_list(const SampleWork& work, const SampleRow& row, const Draw& draw,
                            const List& list) {
  const Kept kept = keep_top_p(work, row, list);
  if (!(row.typical_p < 1.0f) && !draw.exclude) {
    const double total = sum_kept(work, list.count, kept.place, kept.floor, kept.behind);
    const int32_t at = walk(work, work.values, list.count, total, draw.uniform,
                            [&](int32_t i) { return i <= kept.place ? kept.floor : kept.behind; });
    return at < 0 ? -1 : work.ids[at];
  }
  int32_t count = list.count;
  if (kept.place < count || kept.floor > list.floor) {
    count = compact(work, count, kept.place, kept.floor, kept.behind);
  }
  if (row.typical_p < 1.0f) keep_typical(work, count, draw.max, draw.scale, row.typical_p);
  if (draw.exclude) exclude_top(work, count, row.xtc_threshold);
  const double total = sum_kept(work, count, count, 0, 0);
  const int32_t at =
      walk(work, work.values, count, total, draw.uniform, [](int32_t) { return 0.0f; });
  return at < 0 ? -1 : work.ids[at];
}

// The token, of the whole row or of a list.
inline int32_t draw_token(const SampleWork& work, const SampleRow& row, float max, double weighed) {
  const Draw draw = make_draw(row, max);
  const bool listed = (row.top_k > 0 && row.top_k < work.vocabulary) || row.top_p < 1.0f ||
                      row.typical_p < 1.0f || draw.exclude;
  if (listed) return draw_of_list(work, row, draw, make_list(work, row, draw, weighed));
  const double total =
      weighed >= 0 && !(row.min_p > 0) ? weighed : weigh_rows(work, max, draw.scale, row.min_p);
  return walk(work, work.weights, work.vocabulary, total, draw.uniform,
              [](int32_t) { return 0.0f; });
}

// Maxima, and the mask; -inf when nothing is allowed, NaN when a logit is not finite.
inline float scan_rows(const SampleWork& work, const uint32_t* allowed) {
  Vf top = vset(kMinusInfinity);
  for (int32_t b = 0; b < work.blocks; ++b) {
    if (!scan_block(work, b, allowed)) return __builtin_nanf("");
    top = vmax(vload(work.lane_maxes + static_cast<ptrdiff_t>(b) * kLanes), top);
  }
  return vreduce_max(top);
}

inline float max_of_blocks(const SampleWork& work) {
  Vf top = vset(kMinusInfinity);
  for (int32_t b = 0; b < work.blocks; ++b) {
    top = vmax(vload(work.lane_maxes + static_cast<ptrdiff_t>(b) * kLanes), top);
  }
  return vreduce_max(top);
}

// The token, of logits that are known to be finite and masked; -1 when nothing is left.
inline int32_t choose(const SampleWork& work, const SampleRow& row, float max, double weighed) {
  const bool edited = row.edits_count + row.step_edits_count > 0;
  edit_row(work, row);
  if (edited) max = max_of_blocks(work);
  if (max == kMinusInfinity) return -1;
  if (is_greedy(row)) return lowest_with(work, max);
  if (row.top_n_sigma > 0) drop_below_sigma(work, row.top_n_sigma, max);
  return draw_token(work, row, max, weighed);
}

SampleResult sample(float* logits, int32_t vocabulary, const SampleRow& row, uint64_t* scratch) {
  const SampleWork work = make_work(logits, vocabulary, scratch);
  const bool scored = row.scored_token >= 0, tells = row.logprobs >= 0 || scored;
  float max = scan_rows(work, tells ? nullptr : row.allowed_tokens);
  if (max != max) return {-1, SampleStatus::kNotFinite};
  SampleResult result{-1, SampleStatus::kOk};
  const float max_before = max;
  const float* before = logits;
  double log_total = 0, weighed = -1;
  if (tells) {
    // A plain draw at temperature 1 needs the same weights.
    const bool changes = row.allowed_tokens != nullptr || row.top_n_sigma > 0 ||
                         row.edits_count + row.step_edits_count > 0;
    const bool shared = !scored && !changes && row.temperature == 1.0f && row.top_k == 0;
    if (shared) weighed = weigh_rows(work, max, 1.0f, 0.0f);
    log_total = natural_log(shared ? weighed : exp_sum(work, max));
    find_top(work, row, max, log_total, result);
    if (scored) {
      score(work, logits, row.scored_token, max, log_total, result);
      return result;
    }
    if (changes) {
      memcpy(work.copy, logits, static_cast<size_t>(vocabulary) * sizeof(float));
      before = work.copy;
    }
    if (row.allowed_tokens != nullptr) max = scan_rows(work, row.allowed_tokens);
  }
  const int32_t token = choose(work, row, max, weighed);
  if (token < 0) return {-1, SampleStatus::kNothingAllowed};
  result.token = token;
  if (tells) score(work, before, token, max_before, log_total, result);
  return result;
}

}  // namespace
}  // namespace vsurge::kernels
