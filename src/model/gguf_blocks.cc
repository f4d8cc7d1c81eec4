#include "model/gguf_blocks.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"

namespace vsurge::model {
namespace {

constexpr int kSmall = 32;       // values of a block of the simple formats
constexpr int kSuper = 256;      // values of a block of the K formats
constexpr int kScaleBytes = 12;  // of Q4_K and Q5_K: eight scales and eight minima of 6 bits

using Byte = const std::uint8_t*;

float half_at(Byte p) {
  std::uint16_t half = 0;
  std::memcpy(&half, p, sizeof half);
  return half_to_float(half);
}

std::uint32_t word_at(Byte p) {
  std::uint32_t word = 0;
  std::memcpy(&word, p, sizeof word);
  return word;
}

// 16 bytes of nibbles: values 0..15 are the low ones, 16..31 the high ones; bit i of `fifth` is the
// fifth bit of value i.
void nibbles(Byte bytes, std::uint32_t fifth, int offset, std::int16_t* codes) {
  for (int i = 0; i < kSmall / 2; ++i) {
    const int low = (bytes[i] & 0xF) | static_cast<int>((fifth >> i) & 1) << 4;
    const int high = (bytes[i] >> 4) | static_cast<int>((fifth >> (i + 16)) & 1) << 4;
    codes[i] = static_cast<std::int16_t>(low - offset);
    codes[i + kSmall / 2] = static_cast<std::int16_t>(high - offset);
  }
}

struct SixBits {
  int scale;
  int minimum;
};

// Pair `i` of eight: the first four lie in the low 6 bits of bytes 0..3 (scales) and 4..7 (minima);
// the last four have their low nibbles in bytes 8..11 and their top two bits in those of the first.
SixBits six_bits(Byte p, int i) {
  if (i < 4) return {p[i] & 63, p[i + 4] & 63};
  return {(p[i + 4] & 0xF) | (p[i - 4] >> 6) << 4, (p[i + 4] >> 4) | (p[i] >> 6) << 4};
}

// Q4_K and Q5_K: w = (d * scale) q - (dmin * minimum), in eight groups of 32.
void super_scales(Byte block, float* scales, float* minima) {
  const float d = half_at(block), dmin = half_at(block + 2);
  for (int i = 0; i < 8; ++i) {
    const SixBits pair = six_bits(block + 4, i);
    scales[i] = d * static_cast<float>(pair.scale);
    minima[i] = -(dmin * static_cast<float>(pair.minimum));
  }
}

// `fifth`: 32 bytes whose bit g is the fifth bit of the values of group g; or nullptr.
void super_nibbles(Byte bytes, Byte fifth, std::int16_t* codes) {
  for (int group = 0; group < 8; ++group) {
    const Byte quads = bytes + group / 2 * 32;
    for (int i = 0; i < 32; ++i) {
      int code = group % 2 == 0 ? quads[i] & 0xF : quads[i] >> 4;
      if (fifth != nullptr) code |= ((fifth[i] >> group) & 1) << 4;
      codes[group * 32 + i] = static_cast<std::int16_t>(code);
    }
  }
}

// Two halves of 128 values: 64 bytes of low nibbles, 32 bytes of top two bits, 8 scales each.
void decode_q6_k(Byte block, std::int16_t* codes, float* scales) {
  const float d = half_at(block + 208);
  for (int half = 0; half < 2; ++half) {
    const Byte low = block + half * 64;
    const Byte high = block + 128 + half * 32;
    for (int i = 0; i < 128; ++i) {
      const int nibble = i < 64 ? low[i] & 0xF : low[i - 64] >> 4;
      const int top = (high[i % 32] >> (i / 32 * 2)) & 3;
      codes[half * 128 + i] = static_cast<std::int16_t>((nibble | top << 4) - 32);
    }
  }
  for (int i = 0; i < kSuper / 16; ++i) {
    scales[i] = d * static_cast<float>(static_cast<std::int8_t>(block[192 + i]));
  }
}

}  // namespace

float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1F;
  const std::uint32_t fraction = half & 0x3FF;
  if (exponent == 0) {  // zero or subnormal: fraction * 2^-24
    const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t widened = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | widened << 23 | fraction << 13);
}

void decode_block(TensorType type, const std::byte* block, std::int16_t* codes, float* scales,
                  float* minima) {
  const auto p = reinterpret_cast<Byte>(block);
  switch (type) {
    case TensorType::kQ4_0:
      scales[0] = half_at(p);
      return nibbles(p + 2, 0, 0, codes);
    case TensorType::kQ4_1:
      scales[0] = half_at(p);
      minima[0] = half_at(p + 2);
      return nibbles(p + 4, 0, 0, codes);
    case TensorType::kQ5_0:
      scales[0] = half_at(p);
      return nibbles(p + 6, word_at(p + 2), 16, codes);
    case TensorType::kQ5_1:
      scales[0] = half_at(p);
      minima[0] = half_at(p + 2);
      return nibbles(p + 8, word_at(p + 4), 0, codes);
    case TensorType::kQ8_0:
      scales[0] = half_at(p);
      for (int i = 0; i < kSmall; ++i) {
        // NOLINTNEXTLINE(bugprone-signed-char-misuse): a number, not a character
        codes[i] = static_cast<std::int8_t>(p[2 + i]);
      }
      return;
    case TensorType::kQ4_K:
      super_scales(p, scales, minima);
      return super_nibbles(p + 4 + kScaleBytes, nullptr, codes);
    case TensorType::kQ5_K:
      super_scales(p, scales, minima);
      return super_nibbles(p + 4 + kScaleBytes + 32, p + 4 + kScaleBytes, codes);
    case TensorType::kQ6_K:
      return decode_q6_k(p, codes, scales);
    case TensorType::kF32:
    case TensorType::kF16:
    case TensorType::kBF16:
      break;
  }
  CHECK(false, "{} is not a block format", type_info(type).name);
}

}  // namespace vsurge::model
