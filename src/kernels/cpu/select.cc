// Which levels the CPU and the operating system can run.
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels/kernels.h"

namespace vsurge::kernels {
namespace {

bool has_avx2() {
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
         __builtin_cpu_supports("f16c") != 0;
}

// CPUID leaf 7, part 1: AVX-VNNI (Intel SDM, volume 2A).
bool has_avx_vnni() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & 1u << 4) != 0;
}

bool has_avx512_vnni() {
  return has_avx2() && __builtin_cpu_supports("avx512f") != 0 &&
         __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vnni") != 0;
}

bool has_avx512() {
  return has_avx512_vnni() && __builtin_cpu_supports("avx512bf16") != 0;
}

// CPUID leaf 7: AMX-BF16, AMX-TILE, AMX-INT8 (Intel SDM, volume 2A). Linux keeps the state of tiles
// only for a process that has asked (Documentation/arch/x86/xstate.rst); it refuses where the
// system does not know AMX, or a signal stack of the process is too small.
bool has_amx() {
  constexpr unsigned kBits = 1u << 22 | 1u << 24 | 1u << 25;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kBits) != kBits) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

void store_fence() {
  _mm_sfence();
}

bool supported(IsaLevel level) {
  __builtin_cpu_init();
  switch (level) {
    case IsaLevel::kScalar:
      return true;
    case IsaLevel::kAvx2:
      return has_avx2();
    case IsaLevel::kAvxVnni:
      return has_avx_vnni();
    case IsaLevel::kAvx512Vnni:
      return has_avx512_vnni();
    case IsaLevel::kAvx512:
      return has_avx512();
    case IsaLevel::kAmx:
      return has_avx512() && has_amx();
  }
  return false;
}

IsaLevel best_level() {
  IsaLevel best = IsaLevel::kScalar;
  for (const IsaLevel level : kIsaLevels) {
    if (supported(level)) best = level;
  }
  return best;
}

const char* isa_name(IsaLevel level) {
  switch (level) {
    case IsaLevel::kScalar:
      break;
    case IsaLevel::kAvx2:
      return "avx2";
    case IsaLevel::kAvxVnni:
      return "avx_vnni";
    case IsaLevel::kAvx512Vnni:
      return "avx512_vnni";
    case IsaLevel::kAvx512:
      return "avx512";
    case IsaLevel::kAmx:
      return "amx";
  }
  return "scalar";
}

const KernelTable& table(IsaLevel level) {
  switch (level) {
    case IsaLevel::kAmx:
      return *amx_kernels();
    case IsaLevel::kAvx512:
      return *avx512_kernels();
    case IsaLevel::kAvx512Vnni:
      return *avx512_vnni_kernels();
    case IsaLevel::kAvxVnni:
      return *avx_vnni_kernels();
    case IsaLevel::kAvx2:
      return *avx2_kernels();
    case IsaLevel::kScalar:
      break;
  }
  return *scalar_kernels();
}

}  // namespace vsurge::kernels
