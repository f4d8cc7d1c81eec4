// Helpers of the operation tests: random data, levels of this machine, comparisons.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "kernels/kernels.h"
#include "tensor/cpu_backend.h"

namespace vsurge::tensor {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t bits() {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }
  int below(int n) { return static_cast<int>(bits() % static_cast<std::uint64_t>(n)); }
  // About normal, variance 1.
  float normal() {
    float sum = 0;
    for (int i = 0; i < 12; ++i) sum += static_cast<float>(bits() >> 40) * 0x1p-24F;
    return sum - 6.0F;
  }
  std::vector<float> normals(std::int64_t n) {
    std::vector<float> v(static_cast<std::size_t>(n));
    for (float& x : v) x = normal();
    return v;
  }

 private:
  std::uint64_t state_;
};

inline std::vector<kernels::IsaLevel> levels() {
  std::vector<kernels::IsaLevel> out;
  for (const auto level : kernels::kIsaLevels) {
    if (kernels::supported(level)) out.push_back(level);
  }
  return out;
}

inline Tensor view(std::vector<float>& v, std::int64_t cols) {
  return Tensor::view(v.data(), DType::kF32, static_cast<std::int64_t>(v.size()) / cols, cols);
}

// First differing value as text, or empty when all bytes are equal.
inline std::string difference(const float* a, const float* b, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    if (std::memcmp(a + i, b + i, sizeof(float)) != 0) {
      return fmt::format("value {} of {}: {:.9g} and {:.9g}", i, n, a[i], b[i]);
    }
  }
  return {};
}

// Mean squared error over mean square.
inline double nmse(const std::vector<float>& got, const std::vector<double>& want) {
  double error = 0, power = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double d = static_cast<double>(got[i]) - want[i];
    error += d * d;
    power += want[i] * want[i];
  }
  return error / power;
}

}  // namespace vsurge::tensor
