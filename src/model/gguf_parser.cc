#include "model/gguf_parser.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/escape.h"

namespace vsurge::model {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

constexpr std::uint64_t kElementsMax = std::uint64_t{1} << 60;
constexpr std::uint32_t kDimensionsMax = 4;  // ggml's
constexpr std::size_t kEntryBytesMin = 8 + 4 + 1;
constexpr std::size_t kTensorBytesMin = 8 + 4 + 8 + 4 + 8;
constexpr std::int64_t kAlignmentDefault = 32;
constexpr std::int64_t kAlignmentMax = 1 << 20;

std::string printable(std::string_view text) {
  return base::shorten(base::escape_for_line(text), 100);
}

// ggml's numbers of tensor types.
struct FileType {
  std::uint32_t number;
  TensorType type;
};
constexpr std::array<FileType, kTensorTypes> kFileTypes = {{{0, TensorType::kF32},
                                                            {1, TensorType::kF16},
                                                            {2, TensorType::kQ4_0},
                                                            {3, TensorType::kQ4_1},
                                                            {6, TensorType::kQ5_0},
                                                            {7, TensorType::kQ5_1},
                                                            {8, TensorType::kQ8_0},
                                                            {12, TensorType::kQ4_K},
                                                            {13, TensorType::kQ5_K},
                                                            {14, TensorType::kQ6_K},
                                                            {30, TensorType::kBF16}}};

std::optional<TensorType> type_of(std::uint32_t number) {
  for (const FileType& row : kFileTypes) {
    if (row.number == number) return row.type;
  }
  return std::nullopt;
}

// Of a value; 0 for strings and arrays, which have no fixed size.
std::size_t value_bytes(GgufType type) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kBool:
      return 1;
    case GgufType::kU16:
    case GgufType::kI16:
      return 2;
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kF32:
      return 4;
    case GgufType::kU64:
    case GgufType::kI64:
    case GgufType::kF64:
      return 8;
    case GgufType::kString:
    case GgufType::kArray:
      break;
  }
  return 0;
}

bool known(std::uint32_t type) {
  return type <= static_cast<std::uint32_t>(GgufType::kF64);
}

}  // namespace

std::uint32_t gguf_number(TensorType type) {
  const auto* row = std::ranges::find(kFileTypes, type, &FileType::type);
  CHECK(row != kFileTypes.end());
  return row->number;
}

std::unexpected<base::Error> GgufParser::wrong(std::string_view what, std::string_view expected,
                                               std::string_view found) const {
  return fail(ErrorCode::kBadModel, "{}: {} at byte {}: expected {}, found {}", file_.name_, what,
              at_, expected, found);
}

template <class T>
Result<T> GgufParser::value(std::string_view what) {
  if (bytes_.size() - at_ < sizeof(T)) return wrong(what, "more bytes", "the end of the file");
  T result{};
  std::memcpy(&result, bytes_.data() + at_, sizeof(T));
  at_ += sizeof(T);
  return result;
}

Result<std::string_view> GgufParser::string(std::string_view what, std::uint64_t size_max) {
  const auto size = VSURGE_TRY(value<std::uint64_t>(what));
  const std::uint64_t most = std::min<std::uint64_t>(size_max, bytes_.size() - at_);
  if (size > most) {
    return wrong(what, fmt::format("a string of at most {} bytes", most), fmt::format("{}", size));
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes_.data() + at_), size);
  at_ += size;
  return text;
}

Result<GgufParser::Header> GgufParser::header() {
  const auto magic = VSURGE_TRY(value<std::uint32_t>("the magic number"));
  if (magic != 0x46554747) return wrong("the magic number", "GGUF", "something else");
  const auto version = VSURGE_TRY(value<std::uint32_t>("the version"));
  if (version == 0x02000000 || version == 0x03000000) {
    return wrong("the version", "a little-endian file", "a big-endian one");
  }
  if (version != 2 && version != 3) {
    return wrong("the version", "2 or 3", fmt::format("{}", version));
  }
  file_.version_ = static_cast<int>(version);
  Header header;
  header.tensors = VSURGE_TRY(value<std::uint64_t>("the number of tensors"));
  header.entries = VSURGE_TRY(value<std::uint64_t>("the number of metadata entries"));
  const std::size_t rest = bytes_.size() - at_;
  const auto tensors_max = std::min(limits_.tensors_max, rest / kTensorBytesMin);
  if (header.tensors > tensors_max) {
    return wrong("the number of tensors", fmt::format("at most {}", tensors_max),
                 fmt::format("{}", header.tensors));
  }
  const auto entries_max =
      std::min<std::uint64_t>(limits_.gguf_metadata_entries_max, rest / kEntryBytesMin);
  if (header.entries > entries_max) {
    return wrong("the number of metadata entries", fmt::format("at most {}", entries_max),
                 fmt::format("{}", header.entries));
  }
  return header;
}

base::Status GgufParser::entry() {
  const auto key = VSURGE_TRY(string("a metadata key", limits_.tensor_name_bytes_max));
  const auto type = VSURGE_TRY(value<std::uint32_t>(printable(key)));
  if (!known(type)) return wrong(printable(key), "a known type", fmt::format("{}", type));
  GgufFile::Entry entry;
  entry.type = static_cast<GgufType>(type);
  if (entry.type == GgufType::kArray) {
    VSURGE_TRY(array(key, entry));
  } else {
    entry.offset = at_;
    VSURGE_TRY(skip(key, entry.type, 1));
  }
  if (!file_.entries_.emplace(key, entry).second) {
    return fail(ErrorCode::kBadModel, "{}: metadata key {} is there twice", file_.name_,
                printable(key));
  }
  return {};
}

base::Status GgufParser::array(std::string_view key, GgufFile::Entry& entry) {
  const auto type = VSURGE_TRY(value<std::uint32_t>(printable(key)));
  if (!known(type))
    return wrong(printable(key), "elements of a known type", fmt::format("{}", type));
  entry.type = static_cast<GgufType>(type);
  if (entry.type == GgufType::kArray) {
    return wrong(printable(key), "an array of plain values", "an array of arrays");
  }
  entry.array = true;
  entry.count = VSURGE_TRY(value<std::uint64_t>(printable(key)));
  if (entry.count > limits_.gguf_array_elements_max) {
    return wrong(printable(key),
                 fmt::format("at most {} elements", limits_.gguf_array_elements_max),
                 fmt::format("{}", entry.count));
  }
  entry.offset = at_;
  return skip(key, entry.type, entry.count);
}

base::Status GgufParser::skip(std::string_view key, GgufType type, std::uint64_t count) {
  if (type == GgufType::kString) {
    const std::string name = printable(key);
    for (std::uint64_t i = 0; i < count; ++i) {
      VSURGE_TRY(string(name, limits_.gguf_string_bytes_max));
    }
    return {};
  }
  const std::size_t width = value_bytes(type);
  if (count > (bytes_.size() - at_) / width) {
    return wrong(printable(key), fmt::format("{} values of {} bytes", count, width),
                 "the end of the file");
  }
  at_ += static_cast<std::size_t>(count) * width;
  return {};
}

// Reads the shape (innermost side first in the file); its product is the result.
Result<std::uint64_t> GgufParser::shape(TensorInfo& info) {
  const std::string name = printable(info.name);
  const auto dimensions = VSURGE_TRY(value<std::uint32_t>(name));
  if (dimensions < 1 || dimensions > kDimensionsMax) {
    return wrong(name, fmt::format("1 to {} dimensions", kDimensionsMax),
                 fmt::format("{}", dimensions));
  }
  std::uint64_t elements = 1;
  for (std::uint32_t i = 0; i < dimensions; ++i) {
    const auto side = VSURGE_TRY(value<std::uint64_t>(name));
    if (side < 1 || side > limits_.dimension_max) {
      return wrong(name, fmt::format("sides from 1 to {}", limits_.dimension_max),
                   fmt::format("{}", side));
    }
    if (__builtin_mul_overflow(elements, side, &elements) || elements > kElementsMax) {
      return wrong(name, "a product of sides below 2^60", "more");
    }
    info.shape.insert(info.shape.begin(), static_cast<std::int64_t>(side));
  }
  return elements;
}

base::Status GgufParser::tensor() {
  TensorInfo info;
  info.name = VSURGE_TRY(string("a tensor's name", limits_.tensor_name_bytes_max));
  const std::string name = printable(info.name);
  const std::uint64_t elements = VSURGE_TRY(shape(info));
  const auto number = VSURGE_TRY(value<std::uint32_t>(name));
  info.offset = VSURGE_TRY(value<std::uint64_t>(name));  // from the start of the data
  const auto type = type_of(number);
  if (!type) {
    if (file_.unsupported_.empty()) {
      std::vector<std::string_view> have;
      have.reserve(std::size(kFileTypes));
      for (const FileType& row : kFileTypes) have.push_back(type_info(row.type).name);
      file_.unsupported_ = fmt::format("tensor {}: expected a type of {}, found ggml type {}", name,
                                       fmt::join(have, ", "), number);
    }
    return {};
  }
  info.type = *type;
  const auto row = static_cast<std::uint64_t>(info.shape.back());
  const auto size = tensor_bytes(*type, elements);
  if (row % type_info(*type).block_values != 0 || !size) {
    return wrong(name,
                 fmt::format("rows of whole {} blocks of {} values", type_info(*type).name,
                             type_info(*type).block_values),
                 fmt::format("{}", row));
  }
  info.size = *size;
  file_.tensors_.push_back(std::move(info));
  return {};
}

Result<std::size_t> GgufParser::alignment() const {
  const auto set = VSURGE_TRY(file_.integer("general.alignment", {.min = 8, .max = kAlignmentMax}));
  const auto value = static_cast<std::uint64_t>(set.value_or(kAlignmentDefault));
  if (!std::has_single_bit(value)) {
    return file_.wrong("general.alignment", "a power of two");
  }
  return value;
}

// From offsets in the data to offsets in the file; no tensor beyond its end or over another.
base::Status GgufParser::place_tensors() {
  const std::size_t align = VSURGE_TRY(alignment());
  const std::size_t begin = (at_ + align - 1) / align * align;
  const std::size_t data_size = begin <= bytes_.size() ? bytes_.size() - begin : 0;
  std::unordered_set<std::string_view> names;
  std::vector<const TensorInfo*> by_offset;
  for (TensorInfo& tensor : file_.tensors_) {
    const std::string name = printable(tensor.name);
    if (!names.insert(tensor.name).second) {
      return fail(ErrorCode::kBadModel, "{}: tensor {} is there twice", file_.name_, name);
    }
    if (tensor.offset % align != 0) {
      return fail(ErrorCode::kBadModel, "{}: tensor {}: expected an offset aligned to {}, found {}",
                  file_.name_, name, align, tensor.offset);
    }
    const bool outside = tensor.offset > data_size || tensor.size > data_size - tensor.offset;
    if (outside && file_.body_ == GgufFile::Body::kCut) {
      tensor.offset = tensor.size = 0;
      continue;
    }
    if (outside) {
      return fail(ErrorCode::kBadModel,
                  "{}: tensor {}: expected {} bytes at byte {} of the data, found {} bytes of data",
                  file_.name_, name, tensor.size, tensor.offset, data_size);
    }
    tensor.offset += begin;
    by_offset.push_back(&tensor);
  }
  std::ranges::sort(by_offset, {}, &TensorInfo::offset);
  for (std::size_t i = 1; i < by_offset.size(); ++i) {
    const TensorInfo &before = *by_offset[i - 1], &after = *by_offset[i];
    if (before.offset + before.size > after.offset) {
      return fail(ErrorCode::kBadModel, "{}: tensors {} and {} overlap at byte {}", file_.name_,
                  printable(before.name), printable(after.name), after.offset);
    }
  }
  return {};
}

base::Status GgufParser::parse() {
  const Header counts = VSURGE_TRY(header());
  const std::size_t begin = at_;
  for (std::uint64_t i = 0; i < counts.entries; ++i) VSURGE_TRY(entry());
  file_.entry_bytes_ = bytes_.subspan(begin, at_ - begin);
  for (std::uint64_t i = 0; i < counts.tensors; ++i) VSURGE_TRY(tensor());
  return place_tensors();
}

}  // namespace vsurge::model
