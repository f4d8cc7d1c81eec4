// AVX-512 F, BW, VL, DQ and VNNI, without BF16: Cascade Lake, Ice Lake.
#define VSURGE_WIDE_REGISTERS
#include "kernels/cpu/vec_avx512-inl.h"
#include "kernels/kernels.h"
// after the vector type
#include "kernels/cpu/math-inl.h"
// after math
#include "kernels/cpu/attention_avx512-inl.h"
#include "kernels/cpu/greatest-inl.h"
#include "kernels/cpu/linear_avx512-inl.h"
#include "kernels/cpu/rope-inl.h"
#include "kernels/cpu/sample-inl.h"

namespace vsurge::kernels {
namespace {

constexpr KernelTable kTable{"avx512_vnni",         prepare, linear_dot, embed,   rope_store,
                             attend_dot<Avx512Dot>, merge,   sample,     greatest};

}  // namespace

const KernelTable* avx512_vnni_kernels() {
  return &kTable;
}

}  // namespace vsurge::kernels
