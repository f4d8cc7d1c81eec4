// AVX-512 as in avx512_vnni.cc, and BF16.
#define VSURGE_WIDE_REGISTERS
#include "kernels/cpu/vec_avx512-inl.h"
#include "kernels/kernels.h"
// after the vector type
#include "kernels/cpu/math-inl.h"
// after math
#include "kernels/cpu/attention_avx512-inl.h"
#include "kernels/cpu/linear_avx512-inl.h"

namespace vsurge::kernels {
namespace {

KernelTable make_table() {
  KernelTable table = *avx512_vnni_kernels();
  table.name = "avx512";
  table.linear = linear_dot;
  table.attend = attend_dot<Avx512Dot>;
  table.merge = merge;
  return table;
}

}  // namespace

const KernelTable* avx512_kernels() {
  static const KernelTable table = make_table();
  return &table;
}

}  // namespace vsurge::kernels
