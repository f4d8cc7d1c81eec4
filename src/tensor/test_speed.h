// Helpers of linear_bench and attention_bench: time, lists, and what reading memory allows.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace vsurge::tensor {

inline double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The parts between commas.
inline std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

// Reads all of a buffer on all threads of the pool.
inline void read_all(const Buffer& buffer, base::ThreadPool& pool) {
  using Vector [[gnu::vector_size(64)]] = std::uint64_t;
  constexpr std::int64_t kPiece = 1 << 20;
  const auto size = static_cast<std::int64_t>(buffer.size());
  const auto* data = reinterpret_cast<const Vector*>(buffer.data());
  pool.parallel_for(size / kPiece + 1, 1, [&](std::int64_t begin, std::int64_t end, int) {
    Vector sums[8]{};
    const std::int64_t last = std::min(size, end * kPiece) / 512 * 8;
    for (std::int64_t i = begin * kPiece / 64; i < last; i += 8) {
      for (int k = 0; k < 8; ++k) sums[k] ^= data[i + k];
    }
    for (const Vector& sum : sums) {
      volatile std::uint64_t sink = sum[0];
      (void)sink;
    }
  });
}

// GB/s of reading the buffers one after another, each on all threads: the best of three rounds.
inline double read_gb_s(std::span<const Buffer* const> buffers, base::ThreadPool& pool) {
  double best = 0;
  for (int round = 0; round < 3; ++round) {
    const double start = now_s();
    double bytes = 0;
    for (const Buffer* buffer : buffers) {
      read_all(*buffer, pool);
      bytes += static_cast<double>(buffer->size());
    }
    best = std::max(best, bytes / (now_s() - start) / 1e9);
  }
  return best;
}

}  // namespace vsurge::tensor
