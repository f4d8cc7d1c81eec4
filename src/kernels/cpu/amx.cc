// AVX-512 as in avx512.cc, and AMX tiles for int8 and bfloat16.
// Better by a tenth on a Xeon with AMX; nothing was gained on its AVX-512 level.
#define VSURGE_FETCH_TO_SECOND_CACHE
#define VSURGE_WIDE_REGISTERS
#include "kernels/cpu/vec_avx512-inl.h"
#include "kernels/kernels.h"
// after the vector type
#include "kernels/cpu/linear_amx-inl.h"
#include "kernels/cpu/math-inl.h"
// after math
#include "kernels/cpu/attention_amx-inl.h"

namespace vsurge::kernels {
namespace {

KernelTable make_table() {
  KernelTable table = *avx512_kernels();
  table.name = "amx";
  table.linear = linear_amx;
  table.attend = attend_dot<AmxDot>;
  table.merge = merge;
  return table;
}

}  // namespace

const KernelTable* amx_kernels() {
  static const KernelTable table = make_table();
  return &table;
}

}  // namespace vsurge::kernels
