#include "model/load_rows.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "model/test_files.h"

namespace vsurge::model {
namespace {

using kernels::WeightFormat;
using kernels::WeightKind;

// Random blocks of a type whose scales are small finite halves.
std::string random_blocks(TensorType type, std::int64_t rows, std::int64_t cols) {
  const TensorTypeInfo& info = type_info(type);
  const std::size_t blocks = static_cast<std::size_t>(rows * cols) / info.block_values;
  std::mt19937 random(static_cast<unsigned>(type));
  std::string bytes;
  for (std::size_t i = 0; i < blocks * info.block_bytes; ++i) {
    bytes += static_cast<char>(random() & 0xFF);
  }
  for (std::size_t b = 0; b < blocks; ++b) {
    const std::size_t at = b * info.block_bytes + (type == TensorType::kQ6_K ? 208 : 0);
    bytes[at + 1] = '\x2A';  // about 0.05
    if (type == TensorType::kQ4_1 || type == TensorType::kQ5_1 || type == TensorType::kQ4_K ||
        type == TensorType::kQ5_K) {
      bytes[at + 3] = '\x2B';
    }
  }
  return bytes;
}

// The value of every code as the kernels' format means it.
std::vector<float> meant(const tensor::RowSource& source, std::int64_t row) {
  const WeightFormat format = source.native();
  const auto cols = static_cast<std::size_t>(source.cols());
  const std::size_t group = static_cast<std::size_t>(format.group);
  std::vector<std::int16_t> codes(cols);
  std::vector<float> scales(cols / group), minima(cols / group);
  source.read_codes(row, codes.data(), scales.data(), minima.data());
  std::vector<float> values;
  for (std::size_t i = 0; i < cols; ++i) {
    const int zero = format.kind == WeightKind::kI4 ? 8 : 0;
    const float minimum = kernels::has_minimum(format.kind) ? minima[i / group] : 0.0f;
    values.push_back(scales[i / group] * static_cast<float>(codes[i] - zero) + minimum);
  }
  return values;
}

std::vector<float> floats(const tensor::RowSource& source, std::int64_t row) {
  std::vector<float> values(static_cast<std::size_t>(source.cols()));
  source.read_floats(row, values.data());
  return values;
}

TEST(LoadRows, PlainTypesWiden) {
  const std::vector<float> values = {1.5f, -2.0f, 0.25f, 100.0f};
  const std::string f32 = testing::raw_floats(values);
  EXPECT_EQ(floats(*tensor_rows(TensorType::kF32, testing::bytes_of(f32), 2, 2), 1),
            (std::vector{0.25f, 100.0f}));
  const std::string bf16("\xC0\x3F\x00\xC0", 4);
  EXPECT_EQ(floats(*tensor_rows(TensorType::kBF16, testing::bytes_of(bf16), 1, 2), 0),
            (std::vector{1.5f, -2.0f}));
  const std::string odd("x\x00\x3E\x00\xC0", 5);
  EXPECT_EQ(floats(*tensor_rows(TensorType::kF16, testing::bytes_of(odd).subspan(1), 1, 2), 0),
            (std::vector{1.5f, -2.0f}));
}

TEST(LoadRows, WideningChangesNoValue) {
  const std::vector<TensorType> types = {TensorType::kQ4_0, TensorType::kQ4_1, TensorType::kQ5_0,
                                         TensorType::kQ5_1, TensorType::kQ8_0, TensorType::kQ4_K,
                                         TensorType::kQ5_K, TensorType::kQ6_K};
  constexpr std::int64_t kRows = 3, kCols = 512;
  for (const TensorType a : types) {
    for (const TensorType b : types) {
      SCOPED_TRACE(fmt::format("{} with {}", type_info(a).name, type_info(b).name));
      const std::string bytes = random_blocks(a, kRows, kCols);
      const auto plain = tensor_rows(a, testing::bytes_of(bytes), kRows, kCols);
      const WeightFormat format = common_format(type_info(a).native, type_info(b).native);
      EXPECT_EQ(format, common_format(type_info(b).native, type_info(a).native));
      const auto wide = widened(tensor_rows(a, testing::bytes_of(bytes), kRows, kCols), format);
      EXPECT_EQ(wide->native(), format);
      const auto expected = floats(*plain, 2), found = meant(*wide, 2);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        // An offset of code and minimum cancels but for one rounding of the larger terms.
        ASSERT_NEAR(found[i], expected[i], 1e-5) << i;
      }
      EXPECT_EQ(floats(*wide, 2), expected);
    }
  }
}

TEST(LoadRows, CommonFormatOfMixtures) {
  const auto common = [](TensorType a, TensorType b) {
    return common_format(type_info(a).native, type_info(b).native);
  };
  EXPECT_EQ(common(TensorType::kQ4_K, TensorType::kQ6_K), (WeightFormat{WeightKind::kI8Min, 16}));
  EXPECT_EQ(common(TensorType::kQ4_0, TensorType::kQ4_1), (WeightFormat{WeightKind::kI4Min, 32}));
  EXPECT_EQ(common(TensorType::kQ4_0, TensorType::kQ8_0), (WeightFormat{WeightKind::kI8, 32}));
  EXPECT_EQ(common(TensorType::kQ8_0, TensorType::kF16), (WeightFormat{WeightKind::kF32, 0}));
  EXPECT_EQ(common(TensorType::kBF16, TensorType::kBF16), (WeightFormat{WeightKind::kBF16, 0}));
}

TEST(LoadRows, StackedRowsFollowEachOther) {
  const std::string a = random_blocks(TensorType::kQ4_K, 2, 256);
  const std::string b = random_blocks(TensorType::kQ6_K, 3, 256);
  const auto lone_a = tensor_rows(TensorType::kQ4_K, testing::bytes_of(a), 2, 256);
  const auto lone_b = tensor_rows(TensorType::kQ6_K, testing::bytes_of(b), 3, 256);
  std::vector<RowSourcePtr> parts;
  parts.push_back(tensor_rows(TensorType::kQ4_K, testing::bytes_of(a), 2, 256));
  parts.push_back(tensor_rows(TensorType::kQ6_K, testing::bytes_of(b), 3, 256));
  const auto all = stacked(std::move(parts));
  ASSERT_EQ(all->rows(), 5);
  EXPECT_EQ(floats(*all, 1), floats(*lone_a, 1));
  EXPECT_EQ(floats(*all, 2), floats(*lone_b, 0));
  EXPECT_EQ(floats(*all, 4), floats(*lone_b, 2));
}

// As llama.cpp's converter orders the rows of one head of 6: 0 3 1 4 2 5.
TEST(LoadRows, HalvesApartUndoesTheConverter) {
  const std::vector<float> in_file = {0, 3, 1, 4, 2, 5, 10, 13, 11, 14, 12, 15};
  const std::string bytes = testing::raw_floats(in_file);
  const auto rows = halves_apart(tensor_rows(TensorType::kF32, testing::bytes_of(bytes), 12, 1), 6);
  std::vector<float> found;
  found.reserve(12);
  for (std::int64_t row = 0; row < 12; ++row) found.push_back(floats(*rows, row)[0]);
  EXPECT_EQ(found, (std::vector<float>{0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15}));
}

}  // namespace
}  // namespace vsurge::model
