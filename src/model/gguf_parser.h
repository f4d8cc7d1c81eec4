// Reads the structure of a GGUF file; used by GgufFile alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/limits.h"
#include "model/gguf.h"

namespace vsurge::model {

// ggml's number of a type.
std::uint32_t gguf_number(TensorType type);

// Walks once from the front to the end of the tensor table. Every number is checked before it is
// used as a length.
class GgufParser {
 public:
  GgufParser(GgufFile& file) : file_(file), bytes_(file.bytes_) {}
  base::Status parse();

 private:
  struct Header {
    std::uint64_t tensors = 0;
    std::uint64_t entries = 0;
  };
  template <class T>
  base::Result<T> value(std::string_view what);
  base::Result<std::string_view> string(std::string_view what, std::uint64_t size_max);
  base::Result<Header> header();
  base::Status entry();
  base::Status array(std::string_view key, GgufFile::Entry& entry);
  base::Status skip(std::string_view key, GgufType type, std::uint64_t count);
  base::Status tensor();
  base::Result<std::uint64_t> shape(TensorInfo& info);
  base::Result<std::size_t> alignment() const;
  base::Status place_tensors();
  std::unexpected<base::Error> wrong(std::string_view what, std::string_view expected,
                                     std::string_view found) const;

  GgufFile& file_;
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
  const base::CheckpointLimits limits_;
};

}  // namespace vsurge::model
