#include "model/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "base/limits.h"
#include "model/test_files.h"

namespace vsurge::model {
namespace {

using testing::GgufWriter;
using ::testing::HasSubstr;
using testing::raw;

base::Result<GgufFile> parse(const std::string& bytes) {
  return GgufFile::parse("m.gguf", testing::bytes_of(bytes));
}

std::string refusal(const std::string& bytes) {
  const auto result = parse(bytes);
  EXPECT_FALSE(result.has_value());
  if (result) return "";
  EXPECT_EQ(result.error().code, base::ErrorCode::kBadModel);
  EXPECT_THAT(result.error().message, HasSubstr("m.gguf"));
  return result.error().message;
}

std::string strings(const std::vector<std::string>& texts) {
  std::string value = raw<std::uint32_t>(8) + raw<std::uint64_t>(texts.size());
  for (const std::string& text : texts) value += GgufWriter::string(text);
  return value;
}

TEST(Gguf, ReadsValuesOfAllTypes) {
  GgufWriter writer;
  writer.u32("u32", 7).f32("f32", 0.5f).text("text", "hello");
  writer.entry("u8", 0, raw<std::uint8_t>(255)).entry("i8", 1, raw<std::int8_t>(-1));
  writer.entry("u16", 2, raw<std::uint16_t>(65535)).entry("i16", 3, raw<std::int16_t>(-2));
  writer.entry("i32", 5, raw<std::int32_t>(-3)).entry("bool", 7, raw<std::uint8_t>(1));
  writer.entry("u64", 10, raw<std::uint64_t>(1ULL << 40));
  writer.entry("i64", 11, raw<std::int64_t>(-4)).entry("f64", 12, raw<double>(2.5));
  writer.entry("words", 9, strings({"a", "", "bc"}));
  writer.entry("ints", 9, raw<std::uint32_t>(5) + raw<std::uint64_t>(2) + raw(1) + raw(-2));
  writer.entry("floats", 9, raw<std::uint32_t>(6) + raw<std::uint64_t>(1) + raw(1.5f));
  const std::string bytes = writer.file();
  const auto file = parse(bytes);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->version(), 3);
  for (const auto& [key, value] :
       std::vector<std::pair<const char*, std::int64_t>>{{"u32", 7},
                                                         {"u8", 255},
                                                         {"i8", -1},
                                                         {"u16", 65535},
                                                         {"i16", -2},
                                                         {"i32", -3},
                                                         {"u64", 1LL << 40},
                                                         {"i64", -4}}) {
    EXPECT_EQ(file->integer(key, {}).value(), value) << key;
    EXPECT_EQ(file->number(key, {}).value(), static_cast<double>(value)) << key;
  }
  EXPECT_EQ(file->number("f32", {}).value(), 0.5);
  EXPECT_EQ(file->number("f64", {}).value(), 2.5);
  EXPECT_EQ(file->text("text").value(), "hello");
  EXPECT_EQ(file->boolean("bool").value(), true);
  EXPECT_EQ(file->texts("words").value(), (std::vector<std::string_view>{"a", "", "bc"}));
  EXPECT_EQ(file->integers("ints", {}).value(), (std::vector<std::int64_t>{1, -2}));
  EXPECT_EQ(file->numbers("floats").value(), (std::vector<float>{1.5f}));
  EXPECT_EQ(file->integer("none", {}).value(), std::nullopt);
  EXPECT_FALSE(file->has("none"));
}

TEST(Gguf, RefusesValuesOfOtherTypes) {
  GgufWriter writer;
  writer.u32("n", 7).text("t", "x\n").entry("w", 9, strings({"a"})).f32("nan", NAN);
  writer.entry("b", 7, raw<std::uint8_t>(2)).entry("big", 10, raw<std::uint64_t>(1ULL << 63));
  const std::string bytes = writer.file();
  const auto file = parse(bytes);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_THAT(file->integer("n", {.min = 8, .max = 9}).error().message,
              HasSubstr("m.gguf: n: expected whole numbers from 8 to 9, found 7"));
  EXPECT_THAT(file->integer("t", {}).error().message, HasSubstr("found \"x\\n\""));
  EXPECT_FALSE(file->integer("w", {}));
  EXPECT_FALSE(file->integer("big", {}));
  EXPECT_FALSE(file->number("nan", {}));
  EXPECT_FALSE(file->number("t", {}));
  EXPECT_FALSE(file->text("w"));
  EXPECT_FALSE(file->text("n"));
  EXPECT_FALSE(file->texts("n"));
  EXPECT_FALSE(file->boolean("b"));
  EXPECT_FALSE(file->boolean("n"));
  EXPECT_FALSE(file->integers("t", {}));
}

TEST(Gguf, PlacesTensors) {
  GgufWriter writer;
  writer.tensor("a", {2, 3}, 0, std::string(24, 'a')).tensor("q", {1, 32}, 8, std::string(34, 'q'));
  const std::string bytes = writer.file();
  const auto file = parse(bytes);
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_EQ(file->tensors().size(), 2u);
  const TensorInfo& q = file->tensors()[1];
  EXPECT_EQ(q.type, TensorType::kQ8_0);
  EXPECT_EQ(file->tensors()[0].shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(bytes.substr(q.offset, q.size), std::string(34, 'q'));
}

TEST(Gguf, EveryCutIsRefused) {
  GgufWriter writer;
  writer.u32("n", 7).text("t", "x").entry("w", 9, strings({"a", "b"}));
  writer.tensor("a", {2, 3}, 0, std::string(24, 'a'));
  const std::string bytes = writer.file();
  ASSERT_TRUE(parse(bytes));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(parse(bytes.substr(0, size))) << size;
  }
}

TEST(Gguf, RefusesOtherFilesAndVersions) {
  GgufWriter writer;
  writer.magic = 0x47475546;
  EXPECT_THAT(refusal(writer.file()), HasSubstr("magic"));
  writer.magic = GgufWriter().magic;
  for (const std::uint32_t version : {0u, 1u, 4u, 99u}) {
    writer.version = version;
    EXPECT_THAT(refusal(writer.file()), HasSubstr("expected 2 or 3"));
  }
  writer.version = 0x03000000;
  EXPECT_THAT(refusal(writer.file()), HasSubstr("big-endian"));
  writer.version = 2;
  EXPECT_TRUE(parse(writer.file()));
}

TEST(Gguf, BoundsCountsAndLengths) {
  for (const std::uint64_t count : {~0ULL, 1ULL << 40, 100'000ULL}) {
    GgufWriter many_entries, many_tensors;
    many_entries.entry_count = count;
    EXPECT_THAT(refusal(many_entries.file()), HasSubstr("metadata entries"));
    many_tensors.tensor_count = count;
    EXPECT_THAT(refusal(many_tensors.file()), HasSubstr("number of tensors"));
    GgufWriter text, array, words;
    text.entry("t", 8, raw(count));
    EXPECT_THAT(refusal(text.file()), HasSubstr("t at byte"));
    array.entry("a", 9, raw<std::uint32_t>(4) + raw(count));
    EXPECT_THAT(refusal(array.file()), HasSubstr("a at byte"));
    words.entry("w", 9, raw<std::uint32_t>(8) + raw(count));
    EXPECT_THAT(refusal(words.file()), HasSubstr("w at byte"));
  }
}

TEST(Gguf, RefusesWrongMetadata) {
  GgufWriter nested;
  nested.entry("n", 9, raw<std::uint32_t>(9) + raw<std::uint64_t>(1));
  EXPECT_THAT(refusal(nested.file()), HasSubstr("array of arrays"));
  GgufWriter unknown;
  unknown.entry("n", 13, raw<std::uint32_t>(9));
  EXPECT_THAT(refusal(unknown.file()), HasSubstr("known type"));
  GgufWriter unknown_element;
  unknown_element.entry("n", 9, raw<std::uint32_t>(99) + raw<std::uint64_t>(0));
  EXPECT_THAT(refusal(unknown_element.file()), HasSubstr("known type"));
  GgufWriter twice;
  twice.u32("n", 1).u32("n", 1);
  EXPECT_THAT(refusal(twice.file()), HasSubstr("n is there twice"));
  GgufWriter long_key;
  long_key.u32(std::string(base::CheckpointLimits{}.tensor_name_bytes_max + 1, 'k'), 1);
  EXPECT_THAT(refusal(long_key.file()), HasSubstr("metadata key"));
  for (const std::uint32_t alignment : {0u, 7u, 24u, 1u << 30}) {
    GgufWriter wrong;
    wrong.u32("general.alignment", alignment);
    EXPECT_THAT(refusal(wrong.file()), HasSubstr("general.alignment"));
  }
}

TEST(Gguf, RefusesWrongTensors) {
  const std::string data(64, 'd');
  const auto refuse = [&](const std::vector<std::uint64_t>& shape, std::uint32_t type,
                          std::uint64_t offset) {
    GgufWriter writer;
    writer.info("bad", shape, type, offset);
    return refusal(writer.file() + data);
  };
  EXPECT_THAT(refuse({}, 0, 0), HasSubstr("dimensions"));
  EXPECT_THAT(refuse({1, 1, 1, 1, 1}, 0, 0), HasSubstr("dimensions"));
  EXPECT_THAT(refuse({0}, 0, 0), HasSubstr("sides"));
  EXPECT_THAT(refuse({1ULL << 32}, 0, 0), HasSubstr("sides"));
  EXPECT_THAT(refuse({1 << 30, 1 << 30, 1 << 30}, 0, 0), HasSubstr("product"));
  EXPECT_THAT(refuse({16, 2}, 8, 0), HasSubstr("whole Q8_0 blocks"));
  EXPECT_THAT(refuse({17}, 0, 0), HasSubstr("expected 68 bytes"));
  EXPECT_THAT(refuse({4}, 0, 8), HasSubstr("aligned"));
  EXPECT_THAT(refuse({4}, 0, ~31ULL), HasSubstr("at byte"));
  EXPECT_THAT(refuse({1 << 30, 1 << 20}, 0, 0), HasSubstr("bytes of data"));
}

TEST(Gguf, RefusesTwinsAndOverlaps) {
  GgufWriter twins, overlap;
  twins.info("a", {4}, 0, 0).info("a", {4}, 0, 32);
  EXPECT_THAT(refusal(twins.file() + std::string(64, 'd')), HasSubstr("a is there twice"));
  overlap.info("a", {9}, 0, 0).info("b", {4}, 0, 32);
  EXPECT_THAT(refusal(overlap.file() + std::string(64, 'd')), HasSubstr("a and b overlap"));
}

TEST(Gguf, RemembersTypesItHasNot) {
  GgufWriter writer;
  writer.info("iq", {256}, 16, 0);
  const std::string bytes = writer.file();
  const auto file = parse(bytes);  // its metadata can be of use all the same
  ASSERT_TRUE(file);
  EXPECT_THAT(file->unsupported(), HasSubstr("tensor iq: expected a type of F32, F16"));
  EXPECT_TRUE(file->tensors().empty());
}

}  // namespace
}  // namespace vsurge::model
