// What a checkpoint is, for people: family, sizes, formats, and what it would need.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"
#include "model/tensor_info.h"

namespace vsurge::model {

// Several lines of text. Reads headers and metadata only, packs nothing.
base::Result<std::string> inspect(const std::filesystem::path& path);

// Bytes of the tensor once packed as the checkpoint has it: matrices in their native format, floats
// as bfloat16; vectors as float.
double packed_bytes(const TensorInfo& tensor);

}  // namespace vsurge::model
