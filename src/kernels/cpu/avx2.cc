// AVX2, FMA and F16C.
#include "kernels/cpu/vec_avx2-inl.h"
#include "kernels/kernels.h"
// after the vector type
#include "kernels/cpu/math-inl.h"
// after math
#include "kernels/cpu/attention-inl.h"
#include "kernels/cpu/greatest-inl.h"
#include "kernels/cpu/linear_avx2-inl.h"
#include "kernels/cpu/rope-inl.h"
#include "kernels/cpu/sample-inl.h"

namespace vsurge::kernels {
namespace {

void linear(const LinearArgs& a) {
  if (a.weights.kind == WeightKind::kF32) return linear_f32(a);
  if (a.weights.kind == WeightKind::kBF16) return linear_bf16(a);
  linear_int(a);
}

constexpr KernelTable kTable{"avx2", prepare, linear, embed,   rope_store,
                             attend, merge,   sample, greatest};

}  // namespace

const KernelTable* avx2_kernels() {
  return &kTable;
}

}  // namespace vsurge::kernels
