// The highest of some logits of each row, beside what is known of the row's others: greedy sampling
// where all logits of a row are never in one place.
#pragma once

#include "kernels/args.h"
#include "kernels/cpu/sample_work-inl.h"

namespace vsurge::kernels {
namespace {

// `first` is the token of values[0].
inline void keep_greater(const float* values, int64_t count, int32_t first, Greatest& best) {
  const float max = vreduce_max(lane_maxima(values, count, best.finite));
  if (max < best.value) return;
  int64_t i = 0;
  while (i < count && values[i] != max) ++i;
  const Greatest found{max, first + static_cast<int32_t>(i), best.finite};
  if (comes_before(found, best)) best = found;
}

void greatest(const GreatestArgs& a) {
  for (int64_t r = 0; r < a.rows; ++r) {
    keep_greater(a.logits + r * a.stride, a.count, a.first, a.best[r]);
  }
}

}  // namespace
}  // namespace vsurge::kernels
