#include "model/gguf_blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "model/load_rows.h"

namespace vsurge::model {
namespace {

struct Golden {
  std::vector<std::byte> bytes;
  std::vector<float> values;
};

std::optional<TensorType> type_named(const std::string& name) {
  for (std::size_t i = 0; i < kTensorTypes; ++i) {
    const auto type = static_cast<TensorType>(i);
    if (type_info(type).name == name) return type;
  }
  return std::nullopt;
}

// Made by tools/oracle/gguf_blocks.py.
std::map<TensorType, Golden> read_golden() {
  std::map<TensorType, Golden> all;
  std::ifstream file(VSURGE_SOURCE_DIR "/src/model/gguf_blocks_golden.txt");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name, hex;
    words >> name >> hex;
    Golden& golden = all[type_named(name).value()];
    for (std::size_t i = 0; i < hex.size(); i += 2) {
      golden.bytes.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    }
    for (std::string word; words >> word;) golden.values.push_back(std::stof(word));
  }
  return all;
}

TEST(GgufBlocks, FloatsEqualGgmls) {
  const auto all = read_golden();
  ASSERT_EQ(all.size(), kTensorTypes - 3);
  for (const auto& [type, golden] : all) {
    SCOPED_TRACE(type_info(type).name);
    ASSERT_EQ(golden.bytes.size(), type_info(type).block_bytes);
    ASSERT_EQ(golden.values.size(), type_info(type).block_values);
    const auto cols = static_cast<std::int64_t>(golden.values.size());
    std::vector<float> out(golden.values.size());
    tensor_rows(type, golden.bytes, 1, cols)->read_floats(0, out.data());
    EXPECT_EQ(out, golden.values);
  }
}

TEST(GgufBlocks, CodesStayInTheirRange) {
  for (const auto& [type, golden] : read_golden()) {
    SCOPED_TRACE(type_info(type).name);
    std::vector<std::int16_t> codes(golden.values.size());
    std::vector<float> scales(16), minima(16);
    decode_block(type, golden.bytes.data(), codes.data(), scales.data(), minima.data());
    int low = 0, high = 255;
    switch (type_info(type).native.kind) {
      case kernels::WeightKind::kI4:
      case kernels::WeightKind::kI4Min:
        high = 15;
        break;
      case kernels::WeightKind::kI8:
        low = -128;
        high = 127;
        break;
      default:
        break;
    }
    for (const std::int16_t code : codes) {
      EXPECT_GE(code, low);
      EXPECT_LE(code, high);
    }
  }
}

TEST(GgufBlocks, HalfToFloatIsExact) {
  EXPECT_EQ(half_to_float(0x0000), 0.0f);
  EXPECT_TRUE(std::signbit(half_to_float(0x8000)));
  EXPECT_EQ(half_to_float(0x3C00), 1.0f);
  EXPECT_EQ(half_to_float(0xC000), -2.0f);
  EXPECT_EQ(half_to_float(0x7BFF), 65504.0f);
  EXPECT_EQ(half_to_float(0x0001), std::ldexp(1.0f, -24));
  EXPECT_EQ(half_to_float(0x83FF), -std::ldexp(1023.0f, -24));
  EXPECT_EQ(half_to_float(0x7C00), INFINITY);
  EXPECT_TRUE(std::isnan(half_to_float(0x7E00)));
}

}  // namespace
}  // namespace vsurge::model
