// Packing a checkpoint's matrix into the kernels' layout.
#pragma once

#include "base/thread_pool.h"
#include "tensor/weight.h"

namespace vsurge::tensor {

// Over panels on the pool; each thread holds one row at a time beside the result.
base::Result<Weight> pack_weight(base::ThreadPool& pool, const RowSource& source,
                                 kernels::WeightFormat format);

}  // namespace vsurge::tensor
