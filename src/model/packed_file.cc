#include "model/packed_file.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <utility>

#include "base/limits.h"

namespace vsurge::model {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using kernels::WeightKind;

constexpr std::size_t kPrefixBytes = 16;  // magic and length
constexpr std::int64_t kFormat = 1;
constexpr IntegerRange kSide = {.min = 1, .max = std::int64_t{1} << 31};
constexpr IntegerRange kCount = {.min = 0, .max = std::int64_t{1} << 62};

constexpr std::array<std::pair<std::string_view, WeightKind>, 7> kKinds = {{
    {"float32", WeightKind::kF32},
    {"bfloat16", WeightKind::kBF16},
    {"int8", WeightKind::kI8},
    {"int8_min", WeightKind::kI8Min},
    {"int4", WeightKind::kI4},
    {"int4_min", WeightKind::kI4Min},
    {"nf4", WeightKind::kNF4},
}};

constexpr std::array<std::pair<std::string_view, WeightChoice>, 6> kChoices = {{
    {"none", WeightChoice::kAuto},
    {"float32", WeightChoice::kF32},
    {"bfloat16", WeightChoice::kBF16},
    {"8bit", WeightChoice::kI8},
    {"int4", WeightChoice::kI4},
    {"nf4", WeightChoice::kNF4},
}};

// The value that a word of the header stands for.
template <class Table>
auto word(const ConfigObject& object, std::string_view key, const Table& table)
    -> Result<typename Table::value_type::second_type> {
  const auto text = VSURGE_TRY(required(object, key, object.text(key)));
  std::vector<std::string_view> known;
  for (const auto& [name, value] : table) {
    if (name == text) return value;
    known.push_back(name);
  }
  return object.wrong(key, fmt::format("one of {}", fmt::join(known, ", ")));
}

Result<std::int64_t> integer(const ConfigObject& object, std::string_view key, IntegerRange range) {
  return required(object, key, object.integer(key, range));
}

Result<ConfigObject> inner(const ConfigObject& object, std::string_view key) {
  return required(object, key, object.object(key));
}

}  // namespace

std::string_view kind_name(WeightKind kind) {
  return std::ranges::find(kKinds, kind, [](const auto& row) { return row.second; })->first;
}

std::string_view choice_name(WeightChoice choice) {
  return std::ranges::find(kChoices, choice, [](const auto& row) { return row.second; })->first;
}

Result<PackedFile> PackedFile::open(const std::filesystem::path& path) {
  PackedFile file;
  file.name_ = path.string();
  file.mapping_ = VSURGE_TRY(base::MappedFile::open(path));
  VSURGE_TRY(file.read(file.mapping_.bytes()));
  return file;
}

Result<PackedFile> PackedFile::parse(std::string name, std::span<const std::byte> bytes) {
  PackedFile file;
  file.name_ = std::move(name);
  VSURGE_TRY(file.read(bytes));
  return file;
}

base::Status PackedFile::read(std::span<const std::byte> bytes) {
  if (bytes.size() < kPrefixBytes ||
      std::memcmp(bytes.data(), kPackedMagic.data(), kPackedMagic.size()) != 0) {
    return fail(ErrorCode::kBadModel, "{}: expected a file of packed weights, found something else",
                name_);
  }
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data() + kPackedMagic.size(), sizeof length);
  const std::size_t most =
      std::min(bytes.size() - kPrefixBytes, base::CheckpointLimits{}.packed_header_bytes_max);
  if (length > most) {
    return fail(ErrorCode::kBadModel, "{}: header: expected at most {} bytes, found {}", name_,
                most, length);
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kPrefixBytes, length);
  const Config header = VSURGE_TRY(Config::parse(name_, text));
  const ConfigObject root = header.root();
  VSURGE_TRY(read_info(root));
  if (outdated()) return {};
  const auto size = VSURGE_TRY(integer(root, "bytes", kCount));
  if (!std::cmp_equal(size, bytes.size())) {
    return fail(ErrorCode::kBadModel, "{}: expected {} bytes, found {}: not all of it was copied",
                name_, size, bytes.size());
  }
  data_begin_ = (kPrefixBytes + length + kPackedDataUnit - 1) / kPackedDataUnit * kPackedDataUnit;
  if (data_begin_ + kPackedTail > bytes.size()) {
    return fail(ErrorCode::kBadModel, "{}: expected data at byte {}, found the end", name_,
                data_begin_);
  }
  data_ = bytes.subspan(data_begin_, bytes.size() - data_begin_ - kPackedTail);
  const ConfigObject matrices = VSURGE_TRY(inner(root, "matrices"));
  for (const std::string& name : matrices.keys()) {
    const ConfigObject part = VSURGE_TRY(inner(matrices, name));
    VSURGE_TRY(read_matrix(part, name));
  }
  const ConfigObject vectors = VSURGE_TRY(inner(root, "vectors"));
  for (const std::string& name : vectors.keys()) {
    const ConfigObject part = VSURGE_TRY(inner(vectors, name));
    VSURGE_TRY(read_vector(part, name));
  }
  return {};
}

base::Status PackedFile::read_info(const ConfigObject& root) {
  const auto format = VSURGE_TRY(integer(root, "format", kCount));
  if (format != kFormat) return root.wrong("format", fmt::format("{}", kFormat));
  info_.layout = static_cast<int>(VSURGE_TRY(integer(root, "layout", {.min = 1, .max = 1 << 20})));
  info_.weights = VSURGE_TRY(word(root, "weights", kChoices));
  if (root.has("head")) info_.head = VSURGE_TRY(word(root, "head", kChoices));
  info_.parameters = VSURGE_TRY(integer(root, "parameters", kCount));
  info_.format = VSURGE_TRY(required(root, "weight_format", root.text("weight_format")));
  info_.source.hash = VSURGE_TRY(required(root, "checkpoint", root.text("checkpoint")));
  const ConfigObject source = VSURGE_TRY(inner(root, "source"));
  info_.source.path = VSURGE_TRY(required(source, "path", source.text("path")));
  const ConfigObject files = VSURGE_TRY(inner(source, "files"));
  for (const std::string& name : files.keys()) {
    info_.source.stamps[name] = VSURGE_TRY(required(files, name, files.text(name)));
  }
  return {};
}

Result<std::span<const std::byte>> PackedFile::section(const ConfigObject& part,
                                                       std::string_view key,
                                                       std::size_t size) const {
  const auto offset = static_cast<std::size_t>(VSURGE_TRY(integer(part, key, kCount)));
  if (offset % kPackedSectionUnit != 0) {
    return part.wrong(key, fmt::format("a multiple of {}", kPackedSectionUnit));
  }
  if (offset > data_.size() || size > data_.size() - offset) {
    return part.wrong(key, fmt::format("{} bytes within {} of data", size, data_.size()));
  }
  return data_.subspan(offset, size);
}

base::Status PackedFile::read_matrix(const ConfigObject& part, const std::string& name) {
  Matrix matrix;
  matrix.format.kind = VSURGE_TRY(word(part, "kind", kKinds));
  matrix.format.group =
      static_cast<int>(VSURGE_TRY(part.integer("group", {.min = 0, .max = 256})).value_or(0));
  matrix.format.rotated = VSURGE_TRY(part.boolean("rotated")).value_or(false);
  matrix.one_plane = VSURGE_TRY(part.boolean("one_plane")).value_or(false);
  matrix.rows = VSURGE_TRY(integer(part, "rows", kSide));
  matrix.cols = VSURGE_TRY(integer(part, "cols", kSide));
  const auto bytes = tensor::weight_bytes(matrix.format, matrix.rows, matrix.cols);
  if (!bytes) {
    return part.wrong("kind",
                      fmt::format("a format that the kernels have, for {} columns", matrix.cols));
  }
  matrix.values = VSURGE_TRY(section(part, "values", bytes->values));
  std::size_t all = bytes->values;
  if (kernels::is_integer(matrix.format.kind)) {
    matrix.scales = VSURGE_TRY(section(part, "scales", bytes->scales));
    all += bytes->scales;
  }
  if (kernels::has_minimum(matrix.format.kind)) {
    matrix.minima = VSURGE_TRY(section(part, "minima", bytes->scales));
    all += bytes->scales;
  }
  if (all > data_.size()) return part.wrong("values", "sections that do not overlap");
  weight_bytes_ += static_cast<std::int64_t>(all);
  matrices_.emplace(name, matrix);
  return {};
}

base::Status PackedFile::read_vector(const ConfigObject& part, const std::string& name) {
  const auto size = static_cast<std::size_t>(VSURGE_TRY(integer(part, "size", kSide)));
  const auto values = VSURGE_TRY(section(part, "values", size * sizeof(float)));
  weight_bytes_ += static_cast<std::int64_t>(values.size());
  vectors_.emplace(name, values);
  return {};
}

Result<tensor::Weight> PackedFile::matrix(const std::string& name, std::int64_t rows,
                                          std::int64_t cols) const {
  const auto found = matrices_.find(name);
  if (found == matrices_.end()) {
    return fail(ErrorCode::kBadModel, "{}: matrix {}: expected [{}, {}], found none", name_, name,
                rows, cols);
  }
  const Matrix& from = found->second;
  if (from.rows != rows || from.cols != cols) {
    return fail(ErrorCode::kBadModel, "{}: matrix {}: expected [{}, {}], found [{}, {}]", name_,
                name, rows, cols, from.rows, from.cols);
  }
  tensor::Weight weight;
  weight.format = from.format;
  weight.rows = rows;
  weight.cols = cols;
  weight.values = tensor::Buffer::view(from.values);
  weight.scales = tensor::Buffer::view(from.scales);
  weight.minima = tensor::Buffer::view(from.minima);
  weight.one_plane = from.one_plane;
  return weight;
}

Result<std::vector<float>> PackedFile::vector(const std::string& name, std::int64_t size) const {
  const auto found = vectors_.find(name);
  const std::size_t bytes = static_cast<std::size_t>(size) * sizeof(float);
  if (found == vectors_.end() || found->second.size() != bytes) {
    return fail(ErrorCode::kBadModel, "{}: vector {}: expected [{}], found {}", name_, name, size,
                found == vectors_.end()
                    ? "none"
                    : fmt::format("[{}]", found->second.size() / sizeof(float)));
  }
  std::vector<float> values(static_cast<std::size_t>(size));
  std::memcpy(values.data(), found->second.data(), bytes);
  return values;
}

base::Status PackedFile::populate(base::ThreadPool& pool, const Progress& progress) const {
  constexpr std::size_t kPiece = std::size_t{32} << 20;
  constexpr std::size_t kSlab = std::size_t{1} << 30;  // between two words of progress
  mapping_.prefer_huge_pages();
  const std::size_t size = data_.size();
  for (std::size_t slab = 0; slab < size; slab += kSlab) {
    if (progress) progress(static_cast<std::int64_t>(slab), static_cast<std::int64_t>(size));
    const std::size_t end = std::min(size, slab + kSlab);
    std::atomic<bool> failed = false;
    const auto pieces = static_cast<std::int64_t>((end - slab + kPiece - 1) / kPiece);
    pool.parallel_for(pieces, 1, [&](std::int64_t piece, std::int64_t last, int) {
      for (; piece < last; ++piece) {
        const std::size_t at = slab + static_cast<std::size_t>(piece) * kPiece;
        const std::size_t count = std::min(kPiece, end - at);
        if (!mapping_.populate(data_begin_ + at, count)) failed = true;
      }
    });
    if (failed) {
      return fail(ErrorCode::kEnvironment, "{}: cannot read {} bytes at byte {}", name_, end - slab,
                  data_begin_ + slab);
    }
  }
  if (progress) progress(static_cast<std::int64_t>(size), static_cast<std::int64_t>(size));
  return {};
}

}  // namespace vsurge::model
