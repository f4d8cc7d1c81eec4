#include "access/quota.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace vsurge::access {
namespace {

constexpr base::Nanoseconds kSecond = 1'000'000'000;
constexpr base::Nanoseconds kMinute = 60 * kSecond;
constexpr base::Nanoseconds kDay = 24 * 60 * kMinute;

void set(std::optional<Bucket>& bucket, const std::optional<std::int64_t>& limit,
         base::Nanoseconds period, base::Nanoseconds now) {
  if (!limit) {
    bucket.reset();
  } else if (!bucket || bucket->limit() != *limit) {
    bucket.emplace(*limit, period, now);
  }
}

}  // namespace

double Bucket::level_at(base::Nanoseconds now) const {
  const double grown =
      static_cast<double>(limit_) * static_cast<double>(now - at_) / static_cast<double>(period_);
  return std::min(static_cast<double>(limit_), level_ + grown);
}

base::Nanoseconds Bucket::until(double level, base::Nanoseconds now) const {
  const double lacks = level - level_at(now);
  if (lacks <= 0) return 0;
  return static_cast<base::Nanoseconds>(
      std::ceil(lacks * static_cast<double>(period_) / static_cast<double>(limit_)));
}

std::int64_t Bucket::remaining(base::Nanoseconds now) const {
  return std::max<std::int64_t>(0, static_cast<std::int64_t>(std::floor(level_at(now))));
}

base::Nanoseconds Bucket::until_one(base::Nanoseconds now) const {
  return until(1, now);
}

base::Nanoseconds Bucket::until_full(base::Nanoseconds now) const {
  return until(static_cast<double>(limit_), now);
}

void Bucket::take(std::int64_t amount, base::Nanoseconds now) {
  level_ = level_at(now) - static_cast<double>(amount);
  at_ = now;
}

Quota::Quota(const KeyLimits& limits, base::Nanoseconds now) {
  set_limits(limits, now);
}

void Quota::set_limits(const KeyLimits& limits, base::Nanoseconds now) {
  limits_ = limits;
  set(requests_minute_, limits.requests_per_minute, kMinute, now);
  set(requests_day_, limits.requests_per_day, kDay, now);
  set(tokens_minute_, limits.tokens_per_minute, kMinute, now);
  set(tokens_day_, limits.tokens_per_day, kDay, now);
}

std::optional<Excess> Quota::begin(base::Nanoseconds now) {
  if (limits_.concurrent_requests && running_ >= *limits_.concurrent_requests) {
    return Excess{Measure::kConcurrent, *limits_.concurrent_requests, 0, kSecond};
  }
  std::optional<Excess> worst;
  const auto look = [&](const std::optional<Bucket>& bucket, Measure measure) {
    if (!bucket || bucket->remaining(now) >= 1) return;
    const Excess excess{measure, bucket->limit(), bucket->period(), bucket->until_one(now)};
    if (!worst || excess.retry_after > worst->retry_after) worst = excess;
  };
  look(requests_minute_, Measure::kRequests);
  look(requests_day_, Measure::kRequests);
  look(tokens_minute_, Measure::kTokens);
  look(tokens_day_, Measure::kTokens);
  if (worst) return worst;
  for (auto* bucket : {&requests_minute_, &requests_day_}) {
    if (*bucket) (*bucket)->take(1, now);
  }
  ++running_;
  return std::nullopt;
}

void Quota::end(std::int64_t tokens, base::Nanoseconds now) {
  --running_;
  for (auto* bucket : {&tokens_minute_, &tokens_day_}) {
    if (*bucket) (*bucket)->take(tokens, now);
  }
}

std::optional<Standing> Quota::standing(Measure measure, base::Nanoseconds now) const {
  const bool tokens = measure == Measure::kTokens;
  std::optional<Standing> tightest;
  for (const auto* bucket : tokens ? std::array{&tokens_minute_, &tokens_day_}
                                   : std::array{&requests_minute_, &requests_day_}) {
    if (!*bucket) continue;
    const Standing each{(*bucket)->limit(), (*bucket)->remaining(now), (*bucket)->until_full(now)};
    if (!tightest || each.remaining < tightest->remaining) tightest = each;
  }
  return tightest;
}

}  // namespace vsurge::access
