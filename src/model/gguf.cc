#include "model/gguf.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/escape.h"
#include "model/gguf_parser.h"

namespace vsurge::model {
namespace {

using base::Result;

static_assert(std::endian::native == std::endian::little);

constexpr std::size_t kFoundBytesMax = 80;

template <class T>
T load(std::span<const std::byte> bytes, std::size_t offset) {
  T value{};
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

template <class T>
T element(std::span<const std::byte> bytes, std::size_t offset, std::size_t index) {
  return load<T>(bytes, offset + index * sizeof(T));
}

}  // namespace

Result<GgufFile> GgufFile::open(const std::filesystem::path& path, Body body) {
  GgufFile file;
  file.body_ = body;
  file.mapping_ = VSURGE_TRY(base::MappedFile::open(path));
  file.name_ = path.string();
  file.bytes_ = file.mapping_.bytes();
  VSURGE_TRY(GgufParser(file).parse());
  return file;
}

Result<GgufFile> GgufFile::parse(std::string name, std::span<const std::byte> bytes) {
  GgufFile file;
  file.name_ = std::move(name);
  file.bytes_ = bytes;
  VSURGE_TRY(GgufParser(file).parse());
  return file;
}

const GgufFile::Entry* GgufFile::find(std::string_view key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

// What the value is, for messages.
std::string GgufFile::found(std::string_view key) const {
  const Entry* entry = find(key);
  if (entry == nullptr) return "nothing";
  if (entry->array) return fmt::format("an array of {} values", entry->count);
  if (entry->type == GgufType::kString) {
    const auto text = texts(key);
    return fmt::format("\"{}\"", base::shorten(base::escape_for_line((**text)[0]), kFoundBytesMax));
  }
  if (entry->type == GgufType::kBool) {
    return load<std::uint8_t>(bytes_, entry->offset) != 0 ? "true" : "false";
  }
  if (entry->type == GgufType::kF32) return fmt::format("{}", load<float>(bytes_, entry->offset));
  if (entry->type == GgufType::kF64) return fmt::format("{}", load<double>(bytes_, entry->offset));
  if (entry->type == GgufType::kU64) {
    return fmt::format("{}", load<std::uint64_t>(bytes_, entry->offset));
  }
  const auto value = integer_at(key, *entry, 0, {});
  return value ? fmt::format("{}", *value) : "a number";
}

std::unexpected<base::Error> GgufFile::wrong(std::string_view key,
                                             std::string_view expected) const {
  return base::fail(base::ErrorCode::kBadModel, "{}: {}: expected {}, found {}", name_, key,
                    expected, found(key));
}

Result<std::int64_t> GgufFile::integer_at(std::string_view key, const Entry& entry,
                                          std::size_t index, IntegerRange range) const {
  std::int64_t value = 0;
  bool fits = true;
  switch (entry.type) {
    case GgufType::kU8:
      value = element<std::uint8_t>(bytes_, entry.offset, index);
      break;
    case GgufType::kI8:
      // NOLINTNEXTLINE(bugprone-signed-char-misuse): a number, not a character
      value = element<std::int8_t>(bytes_, entry.offset, index);
      break;
    case GgufType::kU16:
      value = element<std::uint16_t>(bytes_, entry.offset, index);
      break;
    case GgufType::kI16:
      value = element<std::int16_t>(bytes_, entry.offset, index);
      break;
    case GgufType::kU32:
      value = element<std::uint32_t>(bytes_, entry.offset, index);
      break;
    case GgufType::kI32:
      value = element<std::int32_t>(bytes_, entry.offset, index);
      break;
    case GgufType::kU64: {
      const auto wide = element<std::uint64_t>(bytes_, entry.offset, index);
      fits = std::in_range<std::int64_t>(wide);
      value = static_cast<std::int64_t>(wide);
      break;
    }
    case GgufType::kI64:
      value = element<std::int64_t>(bytes_, entry.offset, index);
      break;
    default:
      fits = false;
  }
  if (!fits || value < range.min || value > range.max) {
    return wrong(key, fmt::format("whole numbers from {} to {}", range.min, range.max));
  }
  return value;
}

Result<std::optional<std::int64_t>> GgufFile::integer(std::string_view key,
                                                      IntegerRange range) const {
  const Entry* entry = find(key);
  if (entry == nullptr) return std::nullopt;
  if (entry->array) return wrong(key, "one whole number");
  return VSURGE_TRY(integer_at(key, *entry, 0, range));
}

Result<std::optional<double>> GgufFile::number(std::string_view key, NumberRange range) const {
  const Entry* entry = find(key);
  if (entry == nullptr) return std::nullopt;
  if (entry->array) return wrong(key, "one number");
  double value = 0;
  if (entry->type == GgufType::kF32) {
    value = static_cast<double>(load<float>(bytes_, entry->offset));
  } else if (entry->type == GgufType::kF64) {
    value = load<double>(bytes_, entry->offset);
  } else {
    value = static_cast<double>(VSURGE_TRY(integer_at(key, *entry, 0, {})));
  }
  if (!std::isfinite(value) || value < range.min || value > range.max) {
    return wrong(key, fmt::format("a number from {} to {}", range.min, range.max));
  }
  return value;
}

Result<std::optional<bool>> GgufFile::boolean(std::string_view key) const {
  const Entry* entry = find(key);
  if (entry == nullptr) return std::nullopt;
  const bool is_bool = !entry->array && entry->type == GgufType::kBool;
  if (!is_bool || load<std::uint8_t>(bytes_, entry->offset) > 1) return wrong(key, "a boolean");
  return load<std::uint8_t>(bytes_, entry->offset) != 0;
}

Result<std::optional<std::string_view>> GgufFile::text(std::string_view key) const {
  const Entry* entry = find(key);
  if (entry == nullptr) return std::nullopt;
  if (entry->array) return wrong(key, "one string");
  return (*VSURGE_TRY(texts(key)))[0];
}

Result<std::optional<std::vector<std::string_view>>> GgufFile::texts(std::string_view key) const {
  const Entry* entry = find(key);
  if (entry == nullptr) return std::nullopt;
  if (entry->type != GgufType::kString) return wrong(key, "strings");
  std::vector<std::string_view> texts;
  texts.reserve(entry->count);
  std::size_t at = entry->offset;
  for (std::uint64_t i = 0; i < entry->count; ++i) {  // lengths were checked by the parser
    const auto size = load<std::uint64_t>(bytes_, at);
    at += sizeof size;
    texts.emplace_back(reinterpret_cast<const char*>(bytes_.data() + at), size);
    at += size;
  }
  return texts;
}

Result<std::optional<std::vector<std::int64_t>>> GgufFile::integers(std::string_view key,
                                                                    IntegerRange range) const {
  const Entry* entry = find(key);
  if (entry == nullptr) return std::nullopt;
  std::vector<std::int64_t> values;
  values.reserve(entry->count);
  for (std::uint64_t i = 0; i < entry->count; ++i) {
    values.push_back(VSURGE_TRY(integer_at(key, *entry, i, range)));
  }
  return values;
}

Result<std::optional<std::vector<float>>> GgufFile::numbers(std::string_view key) const {
  const Entry* entry = find(key);
  if (entry == nullptr) return std::nullopt;
  std::vector<float> values;
  values.reserve(entry->count);
  for (std::uint64_t i = 0; i < entry->count; ++i) {
    if (entry->type == GgufType::kF32) {
      values.push_back(element<float>(bytes_, entry->offset, i));
    } else if (entry->type == GgufType::kF64) {
      values.push_back(static_cast<float>(element<double>(bytes_, entry->offset, i)));
    } else {
      values.push_back(static_cast<float>(VSURGE_TRY(integer_at(key, *entry, i, {}))));
    }
  }
  return values;
}

}  // namespace vsurge::model
