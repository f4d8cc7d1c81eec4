// top_p, typical_p and XTC over a list of candidates, without ordering more of it than the few
// whose order decides: the mass above seven thresholds at a time is summed, and what lies between
// the last two is put in order.
#pragma once

#include "kernels/cpu/sample_work-inl.h"

namespace vsurge::kernels {
namespace {

constexpr int kThresholds = 7;
constexpr int kBracketMax = 4096;  // candidates that are ordered one by one

// Candidates to be taken by descending `order` (of equals the first) until their weights have a
// target. The vectors behind both arrays are zero.
struct Ranked {
  const float* order;   // positive, or 0 = is not there
  const float* weight;  // may be `order`
  int32_t count;
  uint64_t* keys;  // room for keys_max
  int32_t keys_max;
};

// Candidates with `low` <= order < `high`, whose order decides; the mass of those from `high` up.
struct Bracket {
  uint32_t low, high;  // bits of the floats
  double above;        // < target
  double mass;         // of those from `low` up; >= target
};

// What is kept: those above `order`, and those equal to it up to `place` (which is exact only where
// the weights are the order).
struct Cut {
  float order;
  int32_t place;
};

// Masses of the candidates at or above each of kThresholds rising values.
inline void masses(const Ranked& r, const float* thresholds, double* out) {
  Vf floor[kThresholds];
  for (int t = 0; t < kThresholds; ++t) {
    floor[t] = vset(thresholds[t]);
    out[t] = 0;
  }
  for (int32_t begin = 0; begin < r.count; begin += 2 * kSampleBlock) {
    const int32_t end = begin + 2 * kSampleBlock < r.count ? begin + 2 * kSampleBlock : r.count;
    Vf sum[kThresholds];
    for (int t = 0; t < kThresholds; ++t) sum[t] = vset(0);
    for (int32_t i = begin; i < end; i += kLanes) {
      const Vf v = vload(r.order + i), w = vload(r.weight + i);
      for (int t = 0; t < kThresholds; ++t) {
        sum[t] = vadd(sum[t], vzero_where_below(w, v, floor[t]));
      }
    }
    for (int t = 0; t < kThresholds; ++t) out[t] += static_cast<double>(vreduce_add(sum[t]));
  }
}

// Draws the bracket together around what it holds.
inline void tighten(const Ranked& r, Bracket& b) {
  const Vf low = vset(bits_float(b.low)), high = vset(bits_float(b.high));
  Vf least = high, most = vset(0);
  for (int32_t i = 0; i < r.count; i += kLanes) {
    const Vf v = vload(r.order + i);
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
inline void narrow(const Ranked& r, double target, Bracket& b) {
  uint32_t edges[kThresholds + 2];
  float thresholds[kThresholds];
  double sums[kThresholds];
  const uint64_t width = b.high - b.low;
  for (uint32_t i = 0; i < kThresholds + 2; ++i) {
    edges[i] = b.low + static_cast<uint32_t>(width * i / (kThresholds + 1));
    if (i > 0 && i <= kThresholds) thresholds[i - 1] = bits_float(edges[i]);
  }
  masses(r, thresholds, sums);
  int at = 0;
  while (at < kThresholds && sums[at] >= target) ++at;
  if (at > 0) b.mass = sums[at - 1];
  if (at < kThresholds) b.above = sums[at];
  b.low = edges[at];
  b.high = edges[at + 1] > edges[at] ? edges[at + 1] : edges[at] + 1;
}

// All candidates of the bracket are equal, and so are their weights: the first ones are taken.
inline Cut cut_among_equals(const Ranked& r, double target, const Bracket& b) {
  const float order = bits_float(b.low);
  const double wanted = (target - b.above) / static_cast<double>(order);
  int64_t left = wanted < r.count ? static_cast<int64_t>(wanted) : r.count;
  if (static_cast<double>(left) < wanted) ++left;
  for (int32_t i = 0; i < r.count; i += kLanes) {
    const Vf v = vload(r.order + i);
    uint32_t equal = ~(vless(v, vset(order)) | vless(vset(order), v)) & 0xffffu;
    const int found = __builtin_popcount(equal);
    if (found < left) {
      left -= found;
      continue;
    }
    for (; left > 1; --left) equal &= equal - 1;
    return {order, i + __builtin_ctz(equal)};
  }
  return {order, r.count - 1};
}

// Orders the candidates of the bracket. False when they are more than there is room for.
inline bool cut_in_order(const Ranked& r, double target, const Bracket& b, Cut& cut) {
  const Vf low = vset(bits_float(b.low)), high = vset(bits_float(b.high));
  int32_t held = 0;
  for (int32_t i = 0; i < r.count; i += kLanes) {
    const Vf v = vload(r.order + i);
    uint32_t found = vless(v, high) & ~vless(v, low) & 0xffffu;
    for (; found != 0; found &= found - 1) {
      const int32_t place = i + __builtin_ctz(found);
      if (held == r.keys_max) return false;
      r.keys[held++] = key_of(r.order[place], place);
    }
  }
  if (held == 0) {
    cut = {bits_float(b.low), r.count - 1};
    return true;
  }
  const int32_t kept = keep_greatest(r.keys, held, target - b.above, [&](uint64_t key) {
    return static_cast<double>(r.weight[token_of(key)]);
  });
  cut = {value_of(r.keys[kept - 1]), token_of(r.keys[kept - 1])};
  return true;
}

inline Cut find_cut(const Ranked& r, double target, const Bracket& whole, bool tighten_first) {
  Bracket b = whole;
  Cut cut{};
  const bool same = r.order == r.weight;
  for (int round = 0;; ++round) {
    if (b.high - b.low == 1) {
      return same ? cut_among_equals(r, target, b) : Cut{bits_float(b.low), r.count - 1};
    }
    const double held = (b.mass - b.above) / static_cast<double>(bits_float(b.low));
    const bool few = !same || held <= r.keys_max || r.count <= r.keys_max;
    if (few && cut_in_order(r, target, b, cut)) return cut;
    if (round % 3 == (tighten_first ? 0 : 1))
      tighten(r, b);
    else
      narrow(r, target, b);
  }
}

// Sums of blocks of the candidates; their sum. Those up to `place` count from `floor` up, those
// behind it from `behind`.
inline double sum_kept(const SampleWork& work, int32_t count, int32_t place, float floor,
                       float behind) {
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
        sum = vadd(sum, vselect(front, kept, vzero_below(v, vset(behind))));
      } else {
        sum = vadd(sum, vzero_below(v, vset(place >= i ? floor : behind)));
      }
    }
    work.block_sums[b] = static_cast<double>(vreduce_add(sum));
    total += work.block_sums[b];
  }
  return total;
}

// Leaves only the candidates that count; how many they are.
inline int32_t compact(const SampleWork& work, int32_t count, int32_t place, float floor,
                       float behind) {
  int32_t kept = 0;
  for (int32_t i = 0; i < count; ++i) {
    const float w = work.values[i];
    work.values[kept] = w;
    work.ids[kept] = work.ids[i];
    kept += w >= (i <= place ? floor : behind) ? 1 : 0;
  }
  vstore(work.values + kept, vset(0));
  return kept;
}

// typical_p. With z = ln weight and the mean m of z over p, -log p - H = m - z: no logarithm is
// needed, as z is (x - max) * scale. Candidates that go get the weight 0.
inline void keep_typical(const SampleWork& work, int32_t count, float max, float scale,
                         float mass) {
  float* z = work.weights;  // the weights are in the candidates, their place is free
  for (int32_t i = 0; i < count; ++i) z[i] = (work.logits[work.ids[i]] - max) * scale;
  vstore(z + count, vset(0));
  double total = 0, mean = 0;
  for (int32_t begin = 0; begin < count; begin += kSampleBlock) {
    const int32_t end = begin + kSampleBlock < count ? begin + kSampleBlock : count;
    Vf sum = vset(0), sum_z = vset(0);
    for (int32_t i = begin; i < end; i += kLanes) {
      const Vf w = vload(work.values + i);
      sum = vadd(sum, w);
      sum_z = vadd(sum_z, vmul(w, vload(z + i)));
    }
    total += static_cast<double>(vreduce_add(sum));
    mean += static_cast<double>(vreduce_add(sum_z));
  }
  const float middle = static_cast<float>(mean / total);
  // |z - m| with the order turned round.
  constexpr uint32_t kTop = 0x7f000000u;
  float* order = z;
  for (int32_t i = 0; i < count; ++i) {
    order[i] = bits_float(kTop - float_bits(__builtin_fabsf(z[i] - middle)));
  }
  vstore(order + count, vset(0));
  const Ranked ranked{order, work.values, count, reinterpret_cast<uint64_t*>(work.lane_maxes),
                      work.blocks * (kLanes / 2)};
  const Bracket whole{1, kTop + 1, 0, total};
  const Cut cut = find_cut(ranked, static_cast<double>(mass) * total, whole, true);
  for (int32_t i = 0; i < count; i += kLanes) {
    const Vf w = vload(work.values + i);
    vstore(work.values + i, vzero_where_below(w, vload(order + i), vset(cut.order)));
  }
}

// XTC: of the candidates at or above the threshold only the least likely, and of equals the last,
// keeps its weight.
inline void exclude_top(const SampleWork& work, int32_t count, float threshold) {
  const double total = sum_kept(work, count, count, 0, 0);
  float least = static_cast<float>(static_cast<double>(threshold) * total);
  if (least < kLeastWeight) least = kLeastWeight;
  const Vf floor = vset(least), none = vset(2.0f);
  Vf low = none;
  for (int32_t i = 0; i < count; i += kLanes) {
    low = vmin(vreplace_below(vload(work.values + i), floor, none), low);
  }
  const float lowest = -vreduce_max(vsub(vset(0), low));
  if (lowest > 1.0f) return;  // nothing is so likely
  int32_t stays = count - 1;
  while (work.values[stays] != lowest) --stays;
  for (int32_t i = 0; i < count; i += kLanes) {
    const Vf v = vload(work.values + i);
    vstore(work.values + i, vsub(v, vzero_below(v, floor)));
  }
  work.values[stays] = lowest;
}

}  // namespace
}  // namespace vsurge::kernels
