// Quota: how much of its limits a key has left.
#pragma once

#include <cstdint>
#include <optional>

#include "access/api_key.h"
#include "base/clock.h"

namespace vsurge::access {

enum class Measure : std::uint8_t { kRequests, kTokens, kConcurrent };

// A limit that is used up.
struct Excess {
  Measure measure = Measure::kRequests;
  std::int64_t limit = 0;
  base::Nanoseconds period = 0;  // 0: of all time, kConcurrent alone
  base::Nanoseconds retry_after = 0;
};

// One limit, as a bucket that fills steadily and is full at `limit`: after a rest a client may use
// all of it at once.
class Bucket {
 public:
  Bucket(std::int64_t limit, base::Nanoseconds period, base::Nanoseconds now)
      : limit_(limit), period_(period), level_(static_cast<double>(limit)), at_(now) {}

  std::int64_t limit() const { return limit_; }
  base::Nanoseconds period() const { return period_; }
  std::int64_t remaining(base::Nanoseconds now) const;  // at least 0
  // Until it holds 1, or all.
  base::Nanoseconds until_one(base::Nanoseconds now) const;
  base::Nanoseconds until_full(base::Nanoseconds now) const;
  // More than it holds may be taken: what comes then waits longer.
  void take(std::int64_t amount, base::Nanoseconds now);

 private:
  double level_at(base::Nanoseconds now) const;
  base::Nanoseconds until(double level, base::Nanoseconds now) const;

  std::int64_t limit_;
  base::Nanoseconds period_;
  double level_;
  base::Nanoseconds at_;
};

// What is left of a measure, for the headers of answers.
struct Standing {
  std::int64_t limit = 0;
  std::int64_t remaining = 0;
  base::Nanoseconds reset = 0;  // until all of it is there again
};

// Of one key. Tokens are known when a request has ended, so a key can pass its limit of tokens by
// the requests that run at that time; what follows waits for it.
class Quota {
 public:
  Quota(const KeyLimits& limits, base::Nanoseconds now);
  // New limits; what was used of the old ones is forgotten where they changed.
  void set_limits(const KeyLimits& limits, base::Nanoseconds now);

  // Counts a request that begins, or says what it would exceed.
  std::optional<Excess> begin(base::Nanoseconds now);
  // Once for each that begin() counted.
  void end(std::int64_t tokens, base::Nanoseconds now);

  // The tightest of the measure's limits; nothing where it has none.
  std::optional<Standing> standing(Measure measure, base::Nanoseconds now) const;

 private:
  KeyLimits limits_;
  std::optional<Bucket> requests_minute_;
  std::optional<Bucket> requests_day_;
  std::optional<Bucket> tokens_minute_;
  std::optional<Bucket> tokens_day_;
  std::int64_t running_ = 0;
};

}  // namespace vsurge::access
