#include "engine/step_cost.h"

#include <algorithm>
#include <bit>

namespace vsurge::engine {

double StepCost::predict_ns(int tokens, std::int64_t context_tokens) const {
  if (!known() || tokens < 1) return 0;
  int last = 0;
  while (last + 1 < kPowers && tokens_ns[static_cast<std::size_t>(last) + 1] > 0) ++last;
  const double context = context_token_ns * static_cast<double>(context_tokens);
  const int power = std::bit_width(static_cast<unsigned>(tokens)) - 1;
  if (last == 0) return correction * (tokens_ns[0] * tokens + context);
  // Beyond the last power the line through the last two goes on.
  const int low = std::min(power, last - 1);
  const double from = tokens_ns[static_cast<std::size_t>(low)];
  const double to = tokens_ns[static_cast<std::size_t>(low) + 1];
  const double width = static_cast<double>(1 << low);
  const double share = (tokens - width) / width;
  return correction * (from + (to - from) * share + context);
}

}  // namespace vsurge::engine
