// What this machine can do at best, measured: reading and multiplying with all threads.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace vsurge::apps {

// Sums over the threads, in 1e9 operations per second, a multiplication and its addition counting
// as two; 0 for what the level of instructions does not have.
struct Roofs {
  double fma_f32 = 0;    // the widest fused multiply-add of float32
  double vdpbf16ps = 0;  // AVX-512 dot product of bfloat16
  double vpdpbusd = 0;   // AVX-512 VNNI dot product of int8
  double amx_bf16 = 0;   // tdpbf16ps
  double amx_int8 = 0;   // tdpbusd
};

// isa: the level the model runs at, as its Info has it; it says which instructions there are. The
// best of some rounds of tens of milliseconds each.
Roofs measure_roofs(int threads, std::string_view isa);

// Memory in huge pages where the system has them, to be read again and again. One thread uses it.
class ReadProbe {
 public:
  // bytes: of all threads together, each reads its own part.
  ReadProbe(int threads, std::int64_t bytes);
  ~ReadProbe();
  ReadProbe(const ReadProbe&) = delete;
  ReadProbe& operator=(const ReadProbe&) = delete;

  // GB/s of all threads together: the best of ten rounds, right now.
  double gb_per_s();

 private:
  std::size_t part_bytes_;
  std::vector<void*> parts_;
};

}  // namespace vsurge::apps
