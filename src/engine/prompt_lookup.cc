#include "engine/prompt_lookup.h"

#include <algorithm>

namespace vsurge::engine {

int guess_next_tokens(std::span<const TokenId> history, std::span<TokenId> out) {
  constexpr std::size_t kHistoryMax = 8192;
  if (history.size() > kHistoryMax) history = history.last(kHistoryMax);
  if (history.size() < 3) return 0;
  const std::size_t size = history.size();
  const TokenId last = history[size - 1];
  const TokenId before = history[size - 2];
  std::size_t pair = 0;  // where the text goes on after an equal pair; 0 = nowhere
  std::size_t found = 0;
  // The latest one first: i is where the guess would begin.
  for (std::size_t i = size - 1; i >= 2 && found == 0; --i) {
    if (history[i - 1] != last || history[i - 2] != before) continue;
    if (pair == 0) pair = i;
    if (i >= 3 && history[i - 3] == history[size - 3]) found = i;
  }
  if (found == 0) found = pair;
  if (found == 0) return 0;
  const std::size_t count = std::min(out.size(), size - found);
  std::copy_n(history.begin() + static_cast<std::ptrdiff_t>(found), count, out.begin());
  return static_cast<int>(count);
}

}  // namespace vsurge::engine
