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

int guess_from_prediction(std::span<const TokenId> prediction, std::span<const TokenId> answer,
                          std::span<TokenId> out) {
  constexpr std::size_t kPredictionMax = 65'536;
  prediction = prediction.first(std::min(prediction.size(), kPredictionMax));
  const std::size_t known = answer.size();
  std::size_t found = 0, length = 0;  // where it goes on; how many tokens before that are equal
  for (std::size_t i = std::min<std::size_t>(known, 1); i < prediction.size() && known > 0; ++i) {
    std::size_t equal = 0;
    while (equal < std::min({i, known, std::size_t{3}}) &&
           prediction[i - 1 - equal] == answer[known - 1 - equal]) {
      ++equal;
    }
    if (equal < std::min<std::size_t>(known, 2) || equal < length) continue;
    const auto distance = [known](std::size_t at) { return at > known ? at - known : known - at; };
    if (equal > length || distance(i) < distance(found)) found = i;
    length = equal;
  }
  if (known > 0 && length == 0) return 0;
  const std::size_t count = std::min(out.size(), prediction.size() - found);
  std::copy_n(prediction.begin() + static_cast<std::ptrdiff_t>(found), count, out.begin());
  return static_cast<int>(count);
}

}  // namespace vsurge::engine
