// The specification: plain C++, sixteen lanes as loops.
#include "kernels/cpu/vec_scalar-inl.h"
#include "kernels/kernels.h"
// after the vector type
#include "kernels/cpu/math-inl.h"
// after math
#include "kernels/cpu/attention-inl.h"
#include "kernels/cpu/greatest-inl.h"
#include "kernels/cpu/linear_int-inl.h"
#include "kernels/cpu/rope-inl.h"
#include "kernels/cpu/sample-inl.h"

namespace vsurge::kernels {
namespace {

void linear(const LinearArgs& a) {
  if (a.weights.kind == WeightKind::kF32) return linear_f32(a);
  if (a.weights.kind == WeightKind::kBF16) return linear_bf16(a);
  linear_int(a);
}

constexpr KernelTable kTable{"scalar", prepare, linear, embed,   rope_store,
                             attend,   merge,   sample, greatest};

}  // namespace

const KernelTable* scalar_kernels() {
  return &kTable;
}

}  // namespace vsurge::kernels
