// Whether drawn tokens follow a distribution. For tests alone.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace vsurge::kernels {

// Chi-square of the counts `seen` of `draws` draws against the probabilities `expected`; tokens
// that are expected less than 8 times share one cell. The bound is 6 standard deviations above the
// mean of the distribution; seeds are fixed, so it holds or it does not.
inline void expect_distribution(const std::vector<double>& expected, const std::vector<int>& seen,
                                int draws) {
  double chi = 0;
  double rare = 0;
  int rare_seen = 0;
  int cells = 0;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const double want = expected[i] * draws;
    if (want == 0) {
      EXPECT_EQ(seen[i], 0) << "token " << i << " cannot be drawn";
    } else if (want < 8) {
      rare += want;
      rare_seen += seen[i];
    } else {
      EXPECT_GT(seen[i], 0) << "token " << i << " is never drawn but has " << expected[i];
      chi += (seen[i] - want) * (seen[i] - want) / want;
      ++cells;
    }
  }
  if (rare > 0) {
    chi += (rare_seen - rare) * (rare_seen - rare) / std::max(rare, 1.0);
    ++cells;
  }
  const double freedom = std::max(1, cells - 1);
  EXPECT_LT(chi, freedom + 6 * std::sqrt(2 * freedom)) << cells << " cells";
}

}  // namespace vsurge::kernels
