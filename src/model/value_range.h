// What a number from outside may be; readers of configurations refuse all else.
#pragma once

#include <cstdint>
#include <limits>

namespace vsurge::model {

struct IntegerRange {
  std::int64_t min = std::numeric_limits<std::int64_t>::min();
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
};

// Finite numbers; both ends included.
struct NumberRange {
  double min = std::numeric_limits<double>::lowest();
  double max = std::numeric_limits<double>::max();
};

}  // namespace vsurge::model
