#include "model/safetensors.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/system/errc.hpp>
#include <cstdint>
#include <cstring>
#include <limits>
#include <unordered_set>
#include <utility>

#include "base/escape.h"
#include "base/limits.h"

namespace vsurge::model {
namespace {

namespace json = boost::json;
using base::ErrorCode;
using base::fail;
using Code = boost::system::error_code;

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kDimensionsMax = 8;

std::string printable(std::string_view name) {
  return base::shorten(base::escape_for_line(name), 100);
}

std::optional<TensorType> type_of(std::string_view dtype) {
  if (dtype == "F32") return TensorType::kF32;
  if (dtype == "F16") return TensorType::kF16;
  if (dtype == "BF16") return TensorType::kBF16;
  return std::nullopt;
}

// Takes the parser's events and makes tensors of them, without a tree between: a header may have a
// million of them. Whatever does not belong at its place ends the parse with an error.
class HeaderHandler {
 public:
  static constexpr std::size_t max_object_size = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::size_t max_array_size = 64;
  static constexpr std::size_t max_key_size = 1 << 20;
  static constexpr std::size_t max_string_size = max_object_size;

  std::string file;
  std::size_t data_begin = 0;  // in the file
  std::size_t data_size = 0;
  std::vector<TensorInfo> tensors;
  base::Status status;

  bool on_document_begin(Code&) { return true; }
  bool on_document_end(Code&) { return true; }

  bool on_object_begin(Code& code) {
    if (place_ == Place::kStart) return enter(Place::kTop);
    if (place_ == Place::kTop && key_ == "__metadata__") {
      if (std::exchange(metadata_, true)) return refuse(code, "__metadata__ is there twice");
      return enter(Place::kMetadata);
    }
    if (place_ != Place::kTop) return misplaced(code, "an object");
    if (tensors.size() >= limits_.tensors_max) {
      return refuse(code, fmt::format("more than {} tensors", limits_.tensors_max));
    }
    if (key_.size() > limits_.tensor_name_bytes_max) {
      return refuse(code, fmt::format("a tensor's name of {} bytes, expected at most {}",
                                      key_.size(), limits_.tensor_name_bytes_max));
    }
    tensor_ = Tensor{};
    tensor_.name = key_;
    return enter(Place::kTensor);
  }
  bool on_object_end(std::size_t, Code& code) {
    if (place_ == Place::kTop) return enter(Place::kEnd);
    if (place_ == Place::kTensor && !finish_tensor(code)) return false;
    return enter(Place::kTop);
  }

  bool on_array_begin(Code& code) {
    if (place_ != Place::kTensor) return misplaced(code, "a list");
    if (key_ == "shape" && !std::exchange(tensor_.has_shape, true)) return enter(Place::kShape);
    if (key_ == "data_offsets" && !std::exchange(tensor_.has_offsets, true)) {
      return enter(Place::kOffsets);
    }
    return misplaced(code, "a list");
  }
  bool on_array_end(std::size_t, Code&) { return enter(Place::kTensor); }

  bool on_key_part(json::string_view part, std::size_t, Code&) {
    partial_.append(part);
    return true;
  }
  bool on_key(json::string_view part, std::size_t, Code&) {
    key_ = std::exchange(partial_, {}).append(part);
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, Code&) {
    if (place_ != Place::kMetadata) partial_.append(part);
    return true;
  }
  bool on_string(json::string_view part, std::size_t, Code& code) {
    const std::string text = std::exchange(partial_, {}).append(part);
    if (place_ == Place::kMetadata) return true;
    if (place_ != Place::kTensor || key_ != "dtype" || tensor_.has_type) {
      return misplaced(code, "a string");
    }
    tensor_.has_type = true;
    if (const auto type = type_of(text)) {
      tensor_.type = *type;
      return true;
    }
    return refuse(code, fmt::format("tensor {}: dtype: expected F32, F16 or BF16, found {}",
                                    printable(tensor_.name), printable(text)));
  }

  bool on_number_part(json::string_view, Code&) { return true; }
  bool on_int64(std::int64_t value, json::string_view, Code& code) {
    if (value < 0) return misplaced(code, "a negative number");
    return on_uint64(static_cast<std::uint64_t>(value), {}, code);
  }
  bool on_uint64(std::uint64_t value, json::string_view, Code& code) {
    if (place_ != Place::kShape && place_ != Place::kOffsets) return misplaced(code, "a number");
    auto& list = place_ == Place::kShape ? tensor_.shape : tensor_.offsets;
    if (list.size() >= kDimensionsMax) return misplaced(code, "too long a list");
    list.push_back(value);
    return true;
  }
  bool on_double(double, json::string_view, Code& code) {
    return misplaced(code, "a number that is not whole, or too large");
  }
  bool on_bool(bool, Code& code) { return misplaced(code, "a boolean"); }
  bool on_null(Code& code) { return misplaced(code, "null"); }
  bool on_comment_part(json::string_view, Code&) { return true; }
  bool on_comment(json::string_view, Code&) { return true; }

 private:
  enum class Place : std::uint8_t { kStart, kTop, kMetadata, kTensor, kShape, kOffsets, kEnd };
  struct Tensor {
    std::string name;
    TensorType type = TensorType::kF32;
    std::vector<std::uint64_t> shape;
    std::vector<std::uint64_t> offsets;
    bool has_type = false;
    bool has_shape = false;
    bool has_offsets = false;
  };

  bool enter(Place place) {
    place_ = place;
    return true;
  }
  bool refuse(Code& code, std::string what) {
    code = make_error_code(boost::system::errc::invalid_argument);
    status = fail(ErrorCode::kBadModel, "{}: header: {}", file, what);
    return false;
  }
  bool misplaced(Code& code, const char* what) {
    if (place_ == Place::kStart)
      return refuse(code, fmt::format("expected an object, found {}", what));
    if (place_ == Place::kTop || place_ == Place::kMetadata) {
      return refuse(code, fmt::format("{}: found {}", printable(key_), what));
    }
    return refuse(code,
                  fmt::format("tensor {}: {}: expected dtype, shape and data_offsets once each, in "
                              "whole numbers, found {}",
                              printable(tensor_.name), printable(key_), what));
  }

  bool finish_tensor(Code& code) {
    const auto wrong = [&](const std::string& what) {
      return refuse(code, fmt::format("tensor {}: {}", printable(tensor_.name), what));
    };
    if (!tensor_.has_type || !tensor_.has_shape || !tensor_.has_offsets) {
      return wrong("expected dtype, shape and data_offsets");
    }
    TensorInfo info;
    std::uint64_t elements = 1;
    for (const std::uint64_t side : tensor_.shape) {
      if (side > limits_.dimension_max) {
        return wrong(
            fmt::format("shape: expected sides up to {}, found {}", limits_.dimension_max, side));
      }
      if (__builtin_mul_overflow(elements, side, &elements) || elements > kElementsMax) {
        return wrong("shape: the product of its sides is too large");
      }
      info.shape.push_back(static_cast<std::int64_t>(side));
    }
    if (tensor_.offsets.size() != 2 || tensor_.offsets[0] > tensor_.offsets[1] ||
        tensor_.offsets[1] > data_size) {
      return wrong(fmt::format("data_offsets: expected two ascending numbers up to {}, found [{}]",
                               data_size, fmt::join(tensor_.offsets, ", ")));
    }
    const std::size_t size = tensor_.offsets[1] - tensor_.offsets[0];
    const auto needed = tensor_bytes(tensor_.type, elements);
    if (!needed || *needed != size) {
      return wrong(fmt::format("shape {} of {} needs {} bytes, data_offsets give {}",
                               shape_text(info.shape), type_info(tensor_.type).name,
                               needed.value_or(0), size));
    }
    info.name = std::move(tensor_.name);
    info.type = tensor_.type;
    info.offset = data_begin + tensor_.offsets[0];
    info.size = size;
    tensors.push_back(std::move(info));
    return true;
  }

  static constexpr std::uint64_t kElementsMax = std::uint64_t{1} << 60;
  const base::CheckpointLimits limits_;
  Place place_ = Place::kStart;
  std::string key_;
  std::string partial_;
  bool metadata_ = false;
  Tensor tensor_;
};

// No name twice, no byte of the data in two tensors or in none.
base::Status check_layout(const std::string& name, std::vector<TensorInfo>& tensors,
                          std::size_t data_begin, std::size_t file_size) {
  std::ranges::sort(tensors, [](const TensorInfo& a, const TensorInfo& b) {
    return std::pair(a.offset, a.size) < std::pair(b.offset, b.size);
  });
  std::unordered_set<std::string_view> names;
  std::size_t end = data_begin;
  for (const TensorInfo& tensor : tensors) {
    if (!names.insert(tensor.name).second) {
      return fail(ErrorCode::kBadModel, "{}: header: tensor {} is there twice", name,
                  printable(tensor.name));
    }
    if (tensor.offset != end) {
      return fail(ErrorCode::kBadModel,
                  "{}: header: tensor {}: expected its data at byte {} of the data, found {} ({})",
                  name, printable(tensor.name), end - data_begin, tensor.offset - data_begin,
                  tensor.offset < end ? "it overlaps the one before" : "a hole before it");
    }
    end += tensor.size;
  }
  if (end != file_size) {
    return fail(ErrorCode::kBadModel, "{}: expected {} bytes as its tensors need, found {}", name,
                end, file_size);
  }
  return {};
}

}  // namespace

base::Result<std::vector<TensorInfo>> parse_safetensors(const std::string& name,
                                                        std::span<const std::byte> bytes) {
  if (bytes.size() < kLengthBytes) {
    return fail(ErrorCode::kBadModel, "{}: expected at least {} bytes, found {}", name,
                kLengthBytes, bytes.size());
  }
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  const std::size_t length_max =
      std::min(base::CheckpointLimits{}.safetensors_header_bytes_max, bytes.size() - kLengthBytes);
  if (length > length_max) {
    return fail(ErrorCode::kBadModel, "{}: header: expected a length of at most {}, found {}", name,
                length_max, length);
  }
  json::parse_options options;
  options.max_depth = 4;
  json::basic_parser<HeaderHandler> parser(options);
  HeaderHandler& handler = parser.handler();
  handler.file = name;
  handler.data_begin = kLengthBytes + length;
  handler.data_size = bytes.size() - handler.data_begin;
  const char* text = reinterpret_cast<const char*>(bytes.data() + kLengthBytes);
  Code code;
  std::size_t done = parser.write_some(false, text, length, code);
  VSURGE_TRY(std::move(handler.status));
  while (!code && done < length && text[done] == ' ') ++done;  // padding
  if (code || done < length) {
    return fail(ErrorCode::kBadModel, "{}: header: expected JSON, found {} at byte {}", name,
                code ? code.message() : "more text", kLengthBytes + done);
  }
  std::vector<TensorInfo> tensors = std::move(handler.tensors);
  VSURGE_TRY(check_layout(name, tensors, kLengthBytes + length, bytes.size()));
  return tensors;
}

}  // namespace vsurge::model
