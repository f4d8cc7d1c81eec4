// MaskHabit: whether a constrained sequence that is greedy has its mask made before its token is
// chosen, or only when the token that was chosen without one may not come. The token is the same
// either way: of the highest logit among the allowed. A mask costs as much as a part of the model's
// step, asking about one token next to nothing; being wrong costs the wait for a mask.
#pragma once

#include <algorithm>
#include <cstdint>

namespace vsurge::engine {

class MaskHabit {
 public:
  // Of one step: to choose first and ask then. False: a mask.
  bool asks() {
    if (masks_due_ == 0) return true;
    --masks_due_;
    return false;
  }

  // What the answer was. After each "no" in a row twice as many steps have masks.
  void heard(bool allowed) {
    refusals_ = allowed ? 0 : std::min(refusals_ + 1, kRefusalsMax);
    masks_due_ = allowed ? 0 : 1 << (refusals_ - 1);
  }

 private:
  static constexpr int kRefusalsMax = 5;

  int refusals_ = 0;  // in a row
  int masks_due_ = 0;
};

}  // namespace vsurge::engine
