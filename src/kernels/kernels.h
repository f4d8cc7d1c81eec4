// The kernels of one instruction set level, and which levels this CPU can run.
#pragma once

#include "kernels/args.h"
#include "kernels/sample.h"

namespace vsurge::kernels {

// Every function may be called from many threads at once on disjoint ranges.
struct KernelTable {
  const char* name;  // as in isa_name()
  void (*prepare)(const PrepareArgs& args);
  void (*linear)(const LinearArgs& args);
  void (*embed)(const EmbedArgs& args);
  void (*rope_store)(const RopeStoreArgs& args);
  void (*attend)(const AttendArgs& args);
  void (*merge)(const MergeArgs& args);
  SampleFunction sample;
  void (*greatest)(const GreatestArgs& args);
};

// What linear() wrote past the caches lies before whatever this thread stores next.
void store_fence();

// The one symbol of each ISA unit (cpu/*.cc); call through table().
const KernelTable* scalar_kernels();
const KernelTable* avx2_kernels();
const KernelTable* avx_vnni_kernels();
const KernelTable* avx512_vnni_kernels();
const KernelTable* avx512_kernels();
const KernelTable* amx_kernels();

bool supported(IsaLevel level);
IsaLevel best_level();
const char* isa_name(IsaLevel level);  // "scalar", "avx2", "avx_vnni", "avx512_vnni", ...
// `level` must be supported.
const KernelTable& table(IsaLevel level);

}  // namespace vsurge::kernels
