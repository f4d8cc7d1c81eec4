// AVX2 as in avx2.cc, and AVX-VNNI for integer weights: Alder Lake and later.
#include "kernels/cpu/vec_avx2-inl.h"
#include "kernels/kernels.h"
// after the vector type
#include "kernels/cpu/linear_avx2-inl.h"

namespace vsurge::kernels {
namespace {

void linear(const LinearArgs& a) {
  const WeightKind kind = a.weights.kind;
  if (kind == WeightKind::kF32 || kind == WeightKind::kBF16) return avx2_kernels()->linear(a);
  linear_int(a);
}

KernelTable make_table() {
  KernelTable table = *avx2_kernels();
  table.name = "avx_vnni";
  table.linear = linear;
  return table;
}

}  // namespace

const KernelTable* avx_vnni_kernels() {
  static const KernelTable table = make_table();
  return &table;
}

}  // namespace vsurge::kernels
