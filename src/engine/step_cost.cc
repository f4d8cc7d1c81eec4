#include "engine/step_cost.h"

#include <algorithm>
#include <bit>

namespace vsurge::engine {
namespace {

double time_of_tokens(const StepCost& cost, int tokens) {
  const auto at = [&cost](int power) { return cost.tokens_ns[static_cast<std::size_t>(power)]; };
  int last = 0;
  while (last + 1 < StepCost::kPowers && at(last + 1) > 0) ++last;
  if (last == 0) return at(0) * tokens;
  // Beyond the last power the line through the last two goes on.
  const int low =
      std::min(static_cast<int>(std::bit_width(static_cast<unsigned>(tokens))) - 1, last - 1);
  const auto width = static_cast<double>(1 << low);
  return at(low) + (at(low + 1) - at(low)) * (tokens - width) / width;
}

}  // namespace

double StepCost::predict_ns(const StepLoad& load) const {
  if (!known() || load.tokens < 1) return 0;
  return correction * (time_of_tokens(*this, load.tokens) + row_ns * std::max(0, load.rows - 1) +
                       decode_key_ns * static_cast<double>(load.decode_keys) +
                       prompt_key_ns * static_cast<double>(load.prompt_keys));
}

}  // namespace vsurge::engine
