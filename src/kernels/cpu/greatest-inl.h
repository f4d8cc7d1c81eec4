// The highest of some logits of each row, beside what is known of the row's others: greedy sampling
// where all logits of a row are never in one place.
#pragma once

#include "kernels/args.h"
#include "kernels/cpu/sample_work-inl.h"

namespace vsurge::kernels {
namespace {

// `first` is the token of values[0].
inline void keep_greater(const float* values, int64_t count, int32_t first, Greatest& best) {
  Vf top[2] = {vset(kMinusInfinity), vset(kMinusInfinity)};
  Vf strange[2] = {vset(0), vset(0)};  // NaN once a logit is NaN or infinite
  int64_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
    for (int j = 0; j < 2; ++j) {
      const Vf v = vload(values + i + j * kLanes);
      strange[j] = vadd(strange[j], vsub(v, v));
      top[j] = vmax(v, top[j]);
    }
  }
  for (; i < count; i += kLanes) {
    const int64_t n = count - i < kLanes ? count - i : kLanes;
    const Vf v = vload_n(values + i, n);
    strange[0] = vadd(strange[0], vsub(v, v));
    top[0] = vmax(vselect((1u << n) - 1u, v, vset(kMinusInfinity)), top[0]);
  }
  if (!(vreduce_add(vadd(strange[0], strange[1])) == 0)) best.finite = false;
  const float max = vreduce_max(vmax(top[0], top[1]));
  if (max < best.value) return;
  for (i = 0; i < count && values[i] != max; ++i) {
  }
  const int32_t token = first + static_cast<int32_t>(i);
  if (max > best.value || token < best.token) best = {max, token, best.finite};
}

void greatest(const GreatestArgs& a) {
  for (int64_t r = 0; r < a.rows; ++r) {
    keep_greater(a.logits + r * a.stride, a.count, a.first, a.best[r]);
  }
}

}  // namespace
}  // namespace vsurge::kernels
