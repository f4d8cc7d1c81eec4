// Writing one row into a packed panel (types.h). Not hot: done once per weight at load.
#pragma once

#include "kernels/args.h"

namespace vsurge::kernels {

// Where row `lane` (0..15) of a panel goes.
struct PanelRow {
  WeightKind kind;
  int32_t group;
  bool rotated;
  int64_t cols;
  int32_t lane;
  uint8_t* panel;    // panel_bytes(kind, cols), zeroed
  uint16_t* scales;  // [cols/group][16] of the panel, zeroed
  uint16_t* minima;
};

// Float kinds: stores or rounds to bfloat16. Integer kinds: rounds to nearest in groups; kI8 and
// kI4 around zero (kI4 as Q4_0: the value of largest magnitude becomes code 0 = -8), *Min between
// the group's least and greatest value (as Q4_1), kNF4 to the nearest quantile. Not finite values
// give some finite code.
void pack_floats(const PanelRow& to, const float* row);

// Integer kinds but kNF4, not rotated: codes as RowSource::read_codes gives them (kI8 signed,
// others unsigned).
void pack_codes(const PanelRow& to, const int16_t* codes, const float* scales, const float* minima);

}  // namespace vsurge::kernels
