// All randomness of a simulation comes from one seed.
#pragma once

#include <cstdint>
#include <initializer_list>

namespace vsurge::engine::sim {

// Both halves of the 128-bit product.
inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a ^ 0x9e3779b97f4a7c15ULL) * (b ^ 0xd6e8feb86659fd93ULL);
  const auto high = static_cast<std::uint64_t>(product >> 64);
  return (static_cast<std::uint64_t>(product) ^ high) + 0x2545f4914f6cdd1dULL * b;
}

// SplitMix64.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  // In [least, most].
  int between(int least, int most) {
    const auto count = static_cast<std::uint64_t>(most - least) + 1;
    return least + static_cast<int>((next() >> 11) % count);
  }
  bool chance(int percent) { return between(1, 100) <= percent; }
  template <class T>
  T one_of(std::initializer_list<T> values) {
    return values.begin()[between(0, static_cast<int>(values.size()) - 1)];
  }
  float real(float least, float most) {
    return least + (most - least) * static_cast<float>(next() >> 40) * 0x1p-24F;
  }

 private:
  std::uint64_t state_;
};

}  // namespace vsurge::engine::sim
