// Packed folders: a checkpoint's weights in the kernels' own layout, so that a start maps them and
// has nothing to do.
//
// A folder holds weights.vsurge (packed_file.h) and copies of what else a start reads: the JSON and
// template files of a Hugging Face folder, or the metadata of a GGUF file (packed_source.h).
// weights.vsurge comes last and at once, so a folder that was not finished is none.
#pragma once

#include <filesystem>

#include "base/error.h"
#include "model/checkpoint.h"
#include "model/packed_file.h"
#include "model/weights.h"
#include "tensor/backend.h"

namespace vsurge::model {

// Packs the checkpoint `source` as `options` say into `folder`, which is made, or is empty, or is a
// packed folder, which is replaced (a process that has it mapped keeps the old one). kUsage for
// another folder, and for a source that is packed already.
base::Status write_packed_folder(const std::filesystem::path& source,
                                 const std::filesystem::path& folder, tensor::Backend& backend,
                                 const LoadOptions& options);

struct PackedModel {
  DecoderSpec spec;
  DecoderWeights weights;
};
// The model of a checkpoint that is packed. Where its source is still there with other content, or
// the layout is not this program's, it is packed anew, with a message: into the folder, or into
// memory where that cannot be written. kBadModel, saying what to run, when there is no source to
// pack; kUsage when `options` ask for another format.
base::Result<PackedModel> load_packed(std::unique_ptr<Checkpoint> checkpoint,
                                      tensor::Backend& backend, const LoadOptions& options);

// The weights in a file, mapped; every one that the spec asks for and no other. Pure: touches no
// data but the vectors.
base::Result<DecoderWeights> packed_weights(PackedFile file, const DecoderSpec& spec);
// Writes weights.vsurge.
base::Status write_packed_file(const std::filesystem::path& path, const DecoderWeights& weights,
                               PackedInfo info);

}  // namespace vsurge::model
