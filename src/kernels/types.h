// Number formats of weights, activations and the KV cache, with their meaning and layout.
//
// A weight matrix W has `rows` outputs (N) and `cols` inputs (K). It is packed in panels of 16
// output rows, K interleaved, so that one broadcast of activations feeds 16 outputs; one layout
// serves one activation row and a thousand. N is padded with zero rows to a multiple of 16.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace vsurge::kernels {

enum class DType : uint8_t { kF32, kF16, kBF16, kI32, kI8, kU8 };

constexpr size_t dtype_bytes(DType type) {
  switch (type) {
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kF16:
    case DType::kBF16:
      return 2;
    case DType::kI8:
    case DType::kU8:
      return 1;
  }
  return 0;
}

// How a packed weight matrix stores its values. `group` consecutive values along K share a scale
// (fp16) and, in the *Min kinds, a minimum (fp16); `group` is 0 for the float kinds.
enum class WeightKind : uint8_t {
  kF32,    // [N/16][K][16] float
  kBF16,   // [N/16][K/2][16][2] bfloat16
  kI8,     // w = scale * q, q in -127..127;  bytes q + 128, [N/16][K/4][16][4]
  kI8Min,  // w = scale * q + minimum, q in 0..255; bytes q, same layout
  kI4,     // w = scale * (q - 8), q in 0..15; [N/16][K/8][16][4], low nibble = even quad of K
  kI4Min,  // w = scale * q + minimum, q in 0..15; same layout
  kNF4,    // w = scale * (kNf4Codes[q] - 128), q in 0..15; same layout
};
constexpr int kPanelRows = 16;

// Names the layouts above, where packed weights outlive the process: any change of a layout, or of
// what a byte in it means, counts one up. Every ISA level reads the same bytes.
constexpr int kWeightLayoutVersion = 2;

struct WeightFormat {
  WeightKind kind = WeightKind::kBF16;
  int group = 0;  // 16, 32, 64, 128, 256 or 0; divides K
  // Each group of a row of W is kept as H g / group, H the Hadamard matrix of that order, and meets
  // H x: the same product, but outliers are spread over their group, of W and of x, so that both
  // round better (as in QuaRot, arXiv 2404.00456, there with larger blocks). Integer kinds only.
  bool rotated = false;

  friend bool operator==(const WeightFormat&, const WeightFormat&) = default;
};

constexpr bool known_group(int group) {
  return group == 16 || group == 32 || group == 64 || group == 128 || group == 256;
}
constexpr bool is_integer(WeightKind kind) {
  return kind >= WeightKind::kI8;
}
constexpr bool has_minimum(WeightKind kind) {
  return kind == WeightKind::kI8Min || kind == WeightKind::kI4Min;
}

// Two codes to a byte.
constexpr bool has_nibbles(WeightKind kind) {
  return kind >= WeightKind::kI4;
}

// Instruction set levels, the better ones last.
enum class IsaLevel : uint8_t {
  kScalar,      // the specification
  kAvx2,        // AVX2, FMA, F16C
  kAvxVnni,     // and AVX-VNNI
  kAvx512Vnni,  // AVX-512 F, BW, VL, DQ, VNNI
  kAvx512,      // and AVX-512 BF16
  kAmx,         // and AMX tiles of int8 and bfloat16
};
constexpr IsaLevel kIsaLevels[] = {IsaLevel::kScalar,     IsaLevel::kAvx2,   IsaLevel::kAvxVnni,
                                   IsaLevel::kAvx512Vnni, IsaLevel::kAvx512, IsaLevel::kAmx};

enum class Activation : uint8_t { kSilu, kGelu, kGeluTanh };

}  // namespace vsurge::kernels
