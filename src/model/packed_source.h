// The checkpoint that a packed folder was made from: its files as they were, and the copies that
// the folder needs of those that are not weights.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/thread_pool.h"
#include "model/checkpoint.h"
#include "model/packed_file.h"

namespace vsurge::model {

// Metadata of a GGUF source: a GGUF file that ends where its tensors' bytes would begin (but has
// those of rope_freqs.weight, which belong to the spec).
inline constexpr const char* kMetadataName = "metadata.gguf";

// Stamps of the checkpoint's files, and the hash of their content. `path`: a folder or a GGUF file.
// The hash is for finding changes, not for security: 128 bits, in hexadecimal digits.
base::Result<PackedSource> read_source(const std::filesystem::path& path, base::ThreadPool& pool);

// What became of a source.
enum class SourceState : std::uint8_t {
  kSame,     // by the stamps
  kGone,     // or without some of its files: nothing to compare with
  kTouched,  // other stamps, the same content
  kChanged,
};
base::Result<SourceState> compare_source(const PackedSource& source, base::ThreadPool& pool);

// Writes the copies into `folder`. `changed` tells whether any was there with other content.
base::Status copy_companions(const Checkpoint& checkpoint, const std::filesystem::path& folder,
                             bool& changed);
// A file that a packed folder may hold.
bool is_packed_part(std::string_view name);

// Writes a file so that it is there whole or not at all; what else has it open keeps the old one.
base::Status write_file(const std::filesystem::path& path, std::string_view bytes);

}  // namespace vsurge::model
