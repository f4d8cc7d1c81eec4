// PackedFile: weights.vsurge, the packed weights of a model, made to be mapped and used as they
// lie.
//
// Format (little endian): the 8 bytes "vsurge w"; the header's length in 8 bytes; the header, JSON;
// zeros up to a multiple of 2 MiB, where the data begins; sections of data, each at a multiple of
// 4096 bytes; at least 64 bytes of zeros behind the last. The header:
//
//   format       1: of this file
//   layout       kernels::kWeightLayoutVersion, what the sections' bytes mean. With another one
//                nothing below `source` is read
//   bytes        of the whole file
//   weights      the choice it was made with (choice_name()); head: that of the head, or absent
//   parameters   of the checkpoint; weight_format: of the layers, for people
//   checkpoint   the hash of the source's content (packed_source.h)
//   source       {"path": absolute, "files": {name: "bytes mtime inode"}}
//   matrices     {name: {kind, group, rotated, one_plane, rows, cols, values, scales, minima}};
//                the last three are offsets of sections in the data
//   vectors      {name: {size, values}}, float32
//
// One mapping and one alignment of 4096 are enough for huge pages: what counts is that the file's
// offset and the address agree modulo 2 MiB, not where a section begins.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/mapped_file.h"
#include "base/thread_pool.h"
#include "model/config.h"
#include "model/model.h"
#include "tensor/weight.h"

namespace vsurge::model {

inline constexpr const char* kPackedName = "weights.vsurge";
inline constexpr std::string_view kPackedMagic = "vsurge w";
inline constexpr std::size_t kPackedDataUnit = std::size_t{2} << 20;
inline constexpr std::size_t kPackedSectionUnit = 4096;
inline constexpr std::size_t kPackedTail = 64;  // kernels read up to a cache line behind the end

// Where the weights came from.
struct PackedSource {
  std::string path;
  std::string hash;
  std::map<std::string, std::string> stamps;  // of each file: "bytes mtime inode"

  friend bool operator==(const PackedSource&, const PackedSource&) = default;
};

struct PackedInfo {
  int layout = kernels::kWeightLayoutVersion;
  WeightChoice weights = WeightChoice::kAuto;
  std::optional<WeightChoice> head;
  std::int64_t parameters = 0;
  std::string format;
  PackedSource source;
};

// Owns the mapping; movable. Immutable, any thread may read.
class PackedFile {
 public:
  // kBadModel names file, place, expected and found.
  static base::Result<PackedFile> open(const std::filesystem::path& path);
  // The same from memory, aligned to 64 bytes, that outlives the result.
  static base::Result<PackedFile> parse(std::string name, std::span<const std::byte> bytes);

  const std::string& name() const { return name_; }
  const PackedInfo& info() const { return info_; }
  // Another layout than this program's: there are no matrices, only info().
  bool outdated() const { return info_.layout != kernels::kWeightLayoutVersion; }
  std::int64_t weight_bytes() const { return weight_bytes_; }
  std::size_t parts() const { return matrices_.size() + vectors_.size(); }

  bool has(const std::string& part) const {
    return matrices_.contains(part) || vectors_.contains(part);
  }
  // A view. kBadModel when there is none of these sides.
  base::Result<tensor::Weight> matrix(const std::string& name, std::int64_t rows,
                                      std::int64_t cols) const;
  base::Result<std::vector<float>> vector(const std::string& name, std::int64_t size) const;

  using Progress = std::function<void(std::int64_t done, std::int64_t total)>;
  // Brings all data into memory, on the pool; `progress` may be empty.
  base::Status populate(base::ThreadPool& pool, const Progress& progress) const;
  // The mapping, which the views need; this is empty afterwards.
  base::MappedFile take_mapping() { return std::move(mapping_); }

 private:
  struct Matrix {
    kernels::WeightFormat format;
    bool one_plane = false;
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    std::span<const std::byte> values, scales, minima;
  };
  PackedFile() = default;
  base::Status read(std::span<const std::byte> bytes);
  base::Status read_info(const ConfigObject& root);
  base::Result<std::span<const std::byte>> section(const ConfigObject& part, std::string_view key,
                                                   std::size_t size) const;
  base::Status read_matrix(const ConfigObject& part, const std::string& name);
  base::Status read_vector(const ConfigObject& part, const std::string& name);

  std::string name_;
  base::MappedFile mapping_;
  std::span<const std::byte> data_;  // of the sections, the tail not counted
  std::size_t data_begin_ = 0;
  PackedInfo info_;
  std::int64_t weight_bytes_ = 0;
  std::map<std::string, Matrix> matrices_;
  std::map<std::string, std::span<const std::byte>> vectors_;
};

// "int8", "int8_min", ...: how a header names a kind.
std::string_view kind_name(kernels::WeightKind kind);

}  // namespace vsurge::model
