// exp, tanh and the gate functions, over Vf. Included behind one vec_*-inl.h.
#pragma once

namespace vsurge::kernels {
namespace {

// exp(x), relative error below 2e-7; exactly 1 at 0; 0 below -87; at most e^88.
// x = n ln2 + r with |r| <= ln2 / 2, exp(r) by its Taylor series to degree 7.
inline Vf vexp(Vf x) {
  const Vf low = vset(-87.0f);
  const Vf y = vmin(vmax(x, low), vset(88.0f));
  const Vf n = vround(vmul(y, vset(1.44269504f)));
  Vf r = vfma(n, vset(-0.693145751953125f), y);       // ln2, its upper bits: n times it is exact
  r = vfma(n, vset(-1.42860682030941723212e-6f), r);  // and the rest
  Vf p = vset(1.0f / 5040);
  p = vfma(p, r, vset(1.0f / 720));
  p = vfma(p, r, vset(1.0f / 120));
  p = vfma(p, r, vset(1.0f / 24));
  p = vfma(p, r, vset(1.0f / 6));
  p = vfma(p, r, vset(0.5f));
  p = vfma(p, r, vset(1.0f));
  p = vfma(p, r, vset(1.0f));
  return vselect(vless(x, low), vset(0.0f), vscale_pow2(p, n));
}

// 1 - 2 / (exp(2x) + 1): absolute error below 2e-7
inline Vf vtanh(Vf x) {
  const Vf one = vset(1.0f);
  return vsub(one, vdiv(vset(2.0f), vadd(vexp(vadd(x, x)), one)));
}

// x / (1 + exp(-x))
inline Vf vsilu(Vf x) {
  return vdiv(x, vadd(vset(1.0f), vexp(vsub(vset(0.0f), x))));
}

// x / 2 * (1 + erf(x / sqrt 2)). erfc by Abramowitz and Stegun 7.1.26, absolute error 1.5e-7.
inline Vf vgelu(Vf x) {
  const Vf one = vset(1.0f);
  const Vf z = vmul(vabs(x), vset(0.70710678f));
  const Vf t = vdiv(one, vfma(vset(0.3275911f), z, one));
  Vf p = vset(1.061405429f);
  p = vfma(p, t, vset(-1.453152027f));
  p = vfma(p, t, vset(1.421413741f));
  p = vfma(p, t, vset(-0.284496736f));
  p = vfma(p, t, vset(0.254829592f));
  const Vf erfc = vmul(vmul(p, t), vexp(vsub(vset(0.0f), vmul(z, z))));
  const Vf twice = vselect(vless(x, vset(0.0f)), erfc, vsub(vset(2.0f), erfc));
  return vmul(vmul(x, vset(0.5f)), twice);
}

// x / 2 * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
inline Vf vgelu_tanh(Vf x) {
  const Vf cube = vmul(vmul(x, x), x);
  const Vf inner = vmul(vset(0.79788456f), vfma(vset(0.044715f), cube, x));
  return vmul(vmul(x, vset(0.5f)), vadd(vset(1.0f), vtanh(inner)));
}

}  // namespace
}  // namespace vsurge::kernels
