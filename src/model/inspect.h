// What a checkpoint is, for people: family, sizes, formats, and what it would need.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"

namespace vsurge::model {

// Several lines of text. Reads headers and metadata only, packs nothing.
base::Result<std::string> inspect(const std::filesystem::path& path);

}  // namespace vsurge::model
