// GgufFile: the metadata of a GGUF file, and where its tensors lie.
//
// Format: GGUF versions 2 and 3, little endian (ggml's docs/gguf.md). All counts, lengths, offsets
// and alignments are checked against the file and CheckpointLimits before anything is allocated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/mapped_file.h"
#include "model/tensor_info.h"
#include "model/value_range.h"

namespace vsurge::model {

// Numbers are the format's own.
enum class GgufType : std::uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64,
};

// Owns the mapping; movable. Immutable, any thread may read. Getters give nothing for an absent
// key, and kBadModel naming file, key, expected and found for a value of another type or out of
// range. Views are valid while the file lives.
class GgufFile {
 public:
  // Body::kCut: the file may end before its tensors do; those that are not wholly there have
  // size 0.
  enum class Body : std::uint8_t { kWhole, kCut };
  static base::Result<GgufFile> open(const std::filesystem::path& path, Body body = Body::kWhole);
  // The same from memory that outlives the result; `name` is for errors.
  static base::Result<GgufFile> parse(std::string name, std::span<const std::byte> bytes);

  bool has(std::string_view key) const { return find(key) != nullptr; }
  // Any integer type will do; for number(), any number.
  base::Result<std::optional<std::int64_t>> integer(std::string_view key, IntegerRange range) const;
  base::Result<std::optional<double>> number(std::string_view key, NumberRange range) const;
  base::Result<std::optional<bool>> boolean(std::string_view key) const;
  base::Result<std::optional<std::string_view>> text(std::string_view key) const;
  // Arrays of plain values; integers and numbers take a single value as a list of one.
  base::Result<std::optional<std::vector<std::string_view>>> texts(std::string_view key) const;
  base::Result<std::optional<std::vector<std::int64_t>>> integers(std::string_view key,
                                                                  IntegerRange range) const;
  base::Result<std::optional<std::vector<float>>> numbers(std::string_view key) const;

  // The error of a value that is wrong in itself, or absent.
  std::unexpected<base::Error> wrong(std::string_view key, std::string_view expected) const;

  const std::string& name() const { return name_; }
  int version() const { return version_; }
  std::size_t entries() const { return entries_.size(); }
  // The metadata as it lies in the file: entries() keys with their values.
  std::span<const std::byte> entry_bytes() const { return entry_bytes_; }
  // In the order of the file's table; without those of a type that is not known.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  // What is said of the first tensor of an unknown type; empty when there is none.
  const std::string& unsupported() const { return unsupported_; }
  std::span<const std::byte> bytes() const { return bytes_; }
  const base::MappedFile& mapping() const { return mapping_; }

 private:
  friend class GgufParser;
  struct Entry {
    GgufType type = GgufType::kU8;  // of the elements, when it is an array
    bool array = false;
    std::uint64_t count = 1;
    std::size_t offset = 0;  // of the value, or of the first element
  };
  GgufFile() = default;
  const Entry* find(std::string_view key) const;
  std::string found(std::string_view key) const;
  base::Result<std::int64_t> integer_at(std::string_view key, const Entry& entry, std::size_t index,
                                        IntegerRange range) const;

  std::string name_;
  base::MappedFile mapping_;
  std::span<const std::byte> bytes_;
  int version_ = 0;
  Body body_ = Body::kWhole;
  std::span<const std::byte> entry_bytes_;
  std::unordered_map<std::string_view, Entry> entries_;  // keys are views of the file
  std::vector<TensorInfo> tensors_;
  std::string unsupported_;
};

// The value of an optional that must be there.
template <class T>
base::Result<T> required(const GgufFile& file, std::string_view key,
                         base::Result<std::optional<T>> value) {
  if (!value) return std::unexpected(std::move(value).error());
  if (!*value) return file.wrong(key, "a value");
  return std::move(**value);
}

}  // namespace vsurge::model
