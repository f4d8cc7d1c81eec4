// Which levels the CPU and the operating system can run.
#include "kernels/kernels.h"

namespace vsurge::kernels {

bool supported(IsaLevel level) {
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
                    __builtin_cpu_supports("f16c") != 0;
  switch (level) {
    case IsaLevel::kScalar:
      return true;
    case IsaLevel::kAvx2:
      return avx2;
    case IsaLevel::kAvx512:
      return avx2 && __builtin_cpu_supports("avx512f") != 0 &&
             __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
             __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vnni") != 0 &&
             __builtin_cpu_supports("avx512bf16") != 0;
  }
  return false;
}

IsaLevel best_level() {
  if (supported(IsaLevel::kAvx512)) return IsaLevel::kAvx512;
  return supported(IsaLevel::kAvx2) ? IsaLevel::kAvx2 : IsaLevel::kScalar;
}

const KernelTable& table(IsaLevel level) {
  switch (level) {
    case IsaLevel::kAvx512:
      return *avx512_kernels();
    case IsaLevel::kAvx2:
      return *avx2_kernels();
    case IsaLevel::kScalar:
      break;
  }
  return *scalar_kernels();
}

}  // namespace vsurge::kernels
