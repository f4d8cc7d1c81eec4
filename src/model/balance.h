// Balancing the channels of matrices that are rounded to int8 while loading, so that activations
// of eight bits lose no more than weights of eight bits do.
//
// What a matrix meets has channels that stand far above the others, and the matrix is small there:
// rounded together with their neighbours, large activations drown small ones, and large weights
// small ones. Channel j of x times t[j], and column j of W by t[j], is the same product, and its
// rounding errors are least where both are of the same size: t = sqrt(|W column| / |x channel|),
// the balance of SmoothQuant (arXiv 2211.10438) with equal weights, for groups that are rotated as
// a whole. It is free at run time: t is multiplied into the norm before the matrix, or into the
// rows of `up`.
//
// The sizes of x are those of a step over pseudo-random tokens: which channels stand out is a
// property of the model, not of the text (docs/PERFORMANCE.md, "Quality").
#pragma once

#include <span>
#include <vector>

#include "model/weights.h"

namespace vsurge::model {

// Root mean squares by channel of what the matrices meet.
struct InputSizes {
  struct Layer {
    std::vector<float> attention;  // [hidden] the residual by its rms: without the norm's weight
    std::vector<float> mlp;        // [hidden] the same
    std::vector<float> down;       // [intermediate] act(gate) * up
  };
  std::vector<Layer> layers;
  std::vector<float> head;  // [hidden] the residual by its rms
};

// Runs one step of a model on `backend`, whose scratch it reserves; `weights` need no head.
base::Result<InputSizes> measure_inputs(const DecoderSpec& spec, DecoderWeights weights,
                                        tensor::Backend& backend);

// t of each column of `rows`, whose inputs have these sizes; 1 where a size is zero or not finite.
// Looks at some of the rows.
std::vector<float> balance(std::span<const float> sizes, const tensor::RowSource& rows);

}  // namespace vsurge::model
