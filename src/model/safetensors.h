// The header of a safetensors file.
//
// Format: 8 bytes little endian: the size of the header; the header, a JSON object that maps names
// to {dtype, shape, data_offsets}, with an optional "__metadata__" of strings; the data
// (huggingface/safetensors, README). As there, the data must be covered without holes or overlaps.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/tensor_info.h"

namespace vsurge::model {

// `bytes` is the whole file, `name` is for errors. Touches the header only. Offsets of the result
// count from the start of the file; ascending. kBadModel names tensor, expected and found.
base::Result<std::vector<TensorInfo>> parse_safetensors(const std::string& name,
                                                        std::span<const std::byte> bytes);

}  // namespace vsurge::model
