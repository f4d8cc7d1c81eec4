// The block formats of GGUF tensors, taken apart into integer codes, scales and minima.
//
// Formats: ggml's ggml-common.h (block_q4_0 ... block_q6_K), all little endian. With w = scale * q,
// scale * (q - 8) or scale * q + minimum, as the native kernel format has it, evaluated in float,
// the values equal those of ggml's dequantize_row functions. The scales of Q4_K, Q5_K and
// Q6_K are products of a half float and a small integer; when they are packed as half floats again
// they are rounded, by at most 2^-11 of themselves (2^-25 absolute below 6e-5), which is far below
// the step of the codes they multiply. Everything else packs without loss.
#pragma once

#include <cstddef>
#include <cstdint>

#include "model/tensor_info.h"

namespace vsurge::model {

// Codes of one block: type_info(type).block_values codes, and a scale (and, in the formats with
// minimum, a minimum) per native group. `block` has block_bytes bytes, at any alignment; `type` is
// a block format.
void decode_block(TensorType type, const std::byte* block, std::int16_t* codes, float* scales,
                  float* minima);

// IEEE half precision to float, exact.
float half_to_float(std::uint16_t half);

}  // namespace vsurge::model
