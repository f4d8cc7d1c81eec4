// For tests alone: folders that go away, and writers of tiny safetensors and GGUF files.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vsurge::model::testing {

// Bytes of a number, as they lie in memory.
template <class T>
std::string raw(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

inline std::string raw_floats(std::span<const float> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// A new folder, removed with all it holds at the end.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "vsurge-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() { std::filesystem::remove_all(path_); }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, std::string_view bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

// The length and the header in front of `data`.
inline std::string safetensors_file(std::string_view header, std::string_view data) {
  return raw<std::uint64_t>(header.size()) + std::string(header) + std::string(data);
}

// F32 tensors by name with their shapes, filled with small random numbers.
struct TestTensor {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};
using TestTensors = std::map<std::string, TestTensor>;

inline TestTensor random_tensor(std::vector<std::int64_t> shape, std::mt19937& random) {
  TestTensor tensor{std::move(shape), {}};
  std::size_t count = 1;
  for (const std::int64_t side : tensor.shape) count *= static_cast<std::size_t>(side);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (std::size_t i = 0; i < count; ++i) tensor.values.push_back(uniform(random));
  return tensor;
}

inline std::string safetensors_of(const TestTensors& tensors) {
  std::string header, data;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t begin = data.size();
    data += raw_floats(tensor.values);
    header += fmt::format(R"({}"{}":{{"dtype":"F32","shape":[{}],"data_offsets":[{},{}]}})",
                          header.empty() ? "" : ",", name, fmt::join(tensor.shape, ","), begin,
                          data.size());
  }
  return safetensors_file(fmt::format("{{{}}}", header), data);
}

// Puts a GGUF file together piece by piece; what is wrong in it is up to the test.
class GgufWriter {
 public:
  static std::string string(std::string_view text) {
    return raw<std::uint64_t>(text.size()) + std::string(text);
  }
  GgufWriter& entry(std::string_view key, std::uint32_t type, const std::string& value) {
    entries_ += string(key) + raw(type) + value;
    ++entry_count;
    return *this;
  }
  GgufWriter& u32(std::string_view key, std::uint32_t value) { return entry(key, 4, raw(value)); }
  GgufWriter& f32(std::string_view key, float value) { return entry(key, 6, raw(value)); }
  GgufWriter& text(std::string_view key, std::string_view value) {
    return entry(key, 8, string(value));
  }
  // `shape`: innermost first, as in the file. `type` is ggml's number.
  GgufWriter& info(std::string_view name, const std::vector<std::uint64_t>& shape,
                   std::uint32_t type, std::uint64_t offset) {
    infos_ += string(name) + raw(static_cast<std::uint32_t>(shape.size()));
    for (const std::uint64_t side : shape) infos_ += raw(side);
    infos_ += raw(type) + raw(offset);
    ++tensor_count;
    return *this;
  }
  // A tensor with its data, outermost side first.
  GgufWriter& tensor(std::string_view name, const std::vector<std::int64_t>& shape,
                     std::uint32_t type, std::string_view bytes) {
    data_.resize((data_.size() + 31) / 32 * 32);
    info(name, {shape.rbegin(), shape.rend()}, type, data_.size());
    data_ += bytes;
    return *this;
  }
  std::string file() const {
    std::string all =
        raw(magic) + raw(version) + raw(tensor_count) + raw(entry_count) + entries_ + infos_;
    all.resize((all.size() + 31) / 32 * 32);
    return all + data_;
  }

  std::uint32_t magic = 0x46554747;
  std::uint32_t version = 3;
  std::uint64_t tensor_count = 0;
  std::uint64_t entry_count = 0;

 private:
  std::string entries_;
  std::string infos_;
  std::string data_;
};

}  // namespace vsurge::model::testing
