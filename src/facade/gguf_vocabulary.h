// The tokenizer of a GGUF file, as its metadata has it.
#pragma once

#include <filesystem>

#include "base/error.h"
#include "text/tokenizer.h"

namespace vsurge::facade {

// Reads the header of the file only.
base::Result<text::GgufVocabulary> read_gguf_vocabulary(const std::filesystem::path& path);

}  // namespace vsurge::facade
