// The stages that work on logits: logprobs, edits, top_n_sigma.
#pragma once

#include <string.h>

#include "kernels/cpu/sample_work-inl.h"

namespace vsurge::kernels {
namespace {

// Lane maxima of a block whose logits have changed.
inline void refresh_block(const SampleWork& work, int32_t block) {
  const int32_t begin = block * kSampleBlock, end = block_end(work, block);
  Vf top = vset(kMinusInfinity);
  for (int32_t i = begin; i < end; i += kLanes) {
    top = vmax(load_padded(work.logits + i, end - i, kMinusInfinity), top);
  }
  vstore(work.lane_maxes + static_cast<ptrdiff_t>(block) * kLanes, top);
}

inline float clamp_finite(float x) {
  return x > kLargestFloat ? kLargestFloat : (x < -kLargestFloat ? -kLargestFloat : x);
}

inline void apply_edits(const SampleWork& work, const LogitEdit* edits, int32_t count) {
  for (int32_t i = 0; i < count; ++i) {
    const LogitEdit& e = edits[i];
    float& logit = work.logits[e.token];
    work.marks[e.token / kSampleBlock] = 1;
    if (logit == kMinusInfinity) continue;
    const float x = logit + e.bias;
    const float y = x > 0 ? x / e.repetition : x * e.repetition;
    logit = e.subtract > kLargestFloat ? kMinusInfinity : clamp_finite(y - e.subtract);
  }
}

inline void edit_row(const SampleWork& work, const SampleRow& row) {
  if (row.edits_count + row.step_edits_count == 0) return;
  memset(work.marks, 0, static_cast<size_t>(work.blocks));
  apply_edits(work, row.edits, row.edits_count);
  apply_edits(work, row.step_edits, row.step_edits_count);
  for (int32_t b = 0; b < work.blocks; ++b) {
    if (work.marks[b] != 0) refresh_block(work, b);
  }
}

// --- logprobs

// Natural logarithm of x >= 1: x = 2^n m with m in [sqrt(1/2), sqrt(2)), ln m = 2 atanh(s) with
// s = (m - 1) / (m + 1), |s| < 0.172, by its series.
inline double natural_log(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  int64_t n = static_cast<int64_t>(bits >> 52) - 1023;
  bits = (bits & 0x000fffffffffffffu) | 0x3ff0000000000000u;
  double m;
  memcpy(&m, &bits, sizeof m);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++n;
  }
  const double s = (m - 1) / (m + 1), square = s * s;
  double sum = 0;
  for (int k = 21; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
  return 2 * s * sum + static_cast<double>(n) * 0.69314718055994531;
}

// Sum of e^(x - max).
inline double exp_sum(const SampleWork& work, float max) {
  const Vf top = vset(max);
  double total = 0;
  for (int32_t b = 0; b < work.blocks; ++b) {
    const int32_t begin = b * kSampleBlock;
    const float* logits = work.logits + begin;
    const int64_t count = work.vocabulary - begin;
    Vf sum = vset(0);
    for (int i = 0; i < kSampleBlock; i += 2 * kLanes) {
      const Vf a = load_padded(logits + i, count - i, kMinusInfinity);
      const Vf c = load_padded(logits + i + kLanes, count - i - kLanes, kMinusInfinity);
      sum = vadd(sum, vadd(vexp(vsub(a, top)), vexp(vsub(c, top))));
    }
    total += static_cast<double>(vreduce_add(sum));
  }
  return total;
}

inline float logprob_of(float logit, float max, double log_total) {
  return static_cast<float>(static_cast<double>(logit) - static_cast<double>(max) - log_total);
}

inline void find_top(const SampleWork& work, const SampleRow& row, float max, double log_total,
                     SampleResult& result) {
  const int32_t wanted = row.logprobs < work.vocabulary ? row.logprobs : work.vocabulary;
  if (wanted <= 0 || row.top == nullptr) return;
  result.top = row.top;
  if (row.told_tokens != nullptr) {
    result.top_count = row.logprobs;
    for (int32_t i = 0; i < row.logprobs; ++i) {
      const int32_t token = row.told_tokens[i];
      row.top[i] = {token, logprob_of(work.logits[token], max, log_total)};
    }
    return;
  }
  int32_t count = gather_logits(work, reached_by(work, wanted), wanted);
  if (count > wanted) count = keep_first(work.keys, count, wanted);
  sort_descending(work.keys, 0, count);
  result.top_count = count;
  for (int32_t i = 0; i < count; ++i) {
    const float logit = value_of(work.keys[i]);
    row.top[i] = {token_of(work.keys[i]), logprob_of(logit, max, log_total)};
  }
}

// Of the logits as they came in, which `logits` still holds.
inline void score(const SampleWork& work, const float* logits, int32_t token, float max,
                  double log_total, SampleResult& result) {
  const Vf mine = vset(logits[token]);
  int32_t greater = 0;
  for (int32_t i = 0; i < work.vocabulary; i += kLanes) {
    const Vf v = load_padded(logits + i, work.vocabulary - i, kMinusInfinity);
    greater += __builtin_popcount(vless(mine, v));
  }
  result.token = token;
  result.rank = greater + 1;
  result.logprob = logprob_of(logits[token], max, log_total);
}

// --- top_n_sigma

// Lanes that are not banned become their distance below max, minus `mean`; others zero. How many
// are not banned.
inline int32_t distances(const SampleWork& work, int32_t i, Vf max, Vf mean, Vf& out) {
  const Vf v = load_padded(work.logits + i, work.vocabulary - i, kMinusInfinity);
  const uint32_t there = ~vless(v, vset(-kLargestFloat)) & 0xffffu;
  out = vselect(there, vsub(vsub(max, v), mean), vset(0));
  return __builtin_popcount(there);
}

// Bans what lies more than n standard deviations below max.
inline void drop_below_sigma(const SampleWork& work, float n, float max) {
  double sum = 0, squares = 0;
  int32_t count = 0;
  Vf d;
  for (int32_t b = 0; b < work.blocks; ++b) {
    Vf part = vset(0);
    for (int32_t i = b * kSampleBlock; i < block_end(work, b); i += kLanes) {
      count += distances(work, i, vset(max), vset(0), d);
      part = vadd(part, d);
    }
    sum += static_cast<double>(vreduce_add(part));
  }
  const Vf mean = vset(static_cast<float>(sum / count));
  for (int32_t b = 0; b < work.blocks; ++b) {
    Vf part = vset(0);
    for (int32_t i = b * kSampleBlock; i < block_end(work, b); i += kLanes) {
      distances(work, i, vset(max), mean, d);
      part = vadd(part, vmul(d, d));
    }
    squares += static_cast<double>(vreduce_add(part));
  }
  const double sigma = __builtin_sqrt(squares / count);
  const double limit = static_cast<double>(max) - static_cast<double>(n) * sigma;
  // Not so when the sums have overflown: then nothing is far away.
  if (!(limit > static_cast<double>(-kLargestFloat))) return;
  const Vf floor = vset(static_cast<float>(limit));
  for (int32_t i = 0; i < work.vocabulary; i += kLanes) {
    const int64_t rest = work.vocabulary - i < kLanes ? work.vocabulary - i : kLanes;
    const Vf v = vload_n(work.logits + i, rest);
    vstore_n(work.logits + i, vreplace_below(v, floor, vset(kMinusInfinity)), rest);
  }
}

}  // namespace
}  // namespace vsurge::kernels
