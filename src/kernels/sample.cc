#include "kernels/sample.h"

#include <string.h>

namespace vsurge::kernels {

uint64_t random_bits(uint64_t seed, uint64_t counter, uint32_t stream) {
  uint32_t c[4] = {static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), stream, 0};
  uint32_t k0 = static_cast<uint32_t>(seed);
  uint32_t k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = static_cast<uint64_t>(0xD2511F53U) * c[0];
    const uint64_t b = static_cast<uint64_t>(0xCD9E8D57U) * c[2];
    const uint32_t next[4] = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(b),
                              static_cast<uint32_t>(a >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(a)};
    memcpy(c, next, sizeof c);
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  return (static_cast<uint64_t>(c[1]) << 32) | c[0];
}

}  // namespace vsurge::kernels
