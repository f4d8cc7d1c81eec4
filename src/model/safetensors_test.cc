#include "model/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "base/limits.h"
#include "model/test_files.h"

namespace vsurge::model {
namespace {

using ::testing::HasSubstr;

base::Result<std::vector<TensorInfo>> parse(const std::string& file) {
  return parse_safetensors("m.safetensors", testing::bytes_of(file));
}

// The message of the refusal of this header over 8 bytes of data.
std::string refusal(const std::string& header, std::size_t data = 8) {
  const auto result = parse(testing::safetensors_file(header, std::string(data, '\0')));
  EXPECT_FALSE(result.has_value()) << header;
  if (result) return "";
  EXPECT_EQ(result.error().code, base::ErrorCode::kBadModel);
  EXPECT_THAT(result.error().message, HasSubstr("m.safetensors"));
  return result.error().message;
}

std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"a":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}}";
}

TEST(Safetensors, ReadsTensorsByPlace) {
  const auto tensors =
      parse(testing::safetensors_file(R"({"__metadata__":{"format":"pt"},)"
                                      R"("b":{"data_offsets":[4,8],"dtype":"BF16","shape":[1,2]},)"
                                      R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}   )",
                                      "01234567"));
  ASSERT_TRUE(tensors) << tensors.error().message;
  ASSERT_EQ(tensors->size(), 2u);
  EXPECT_EQ((*tensors)[0].name, "a");
  EXPECT_EQ((*tensors)[0].elements(), 1);
  EXPECT_EQ((*tensors)[1].name, "b");
  EXPECT_EQ((*tensors)[1].type, TensorType::kBF16);
  EXPECT_EQ((*tensors)[1].shape, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ((*tensors)[1].offset, (*tensors)[0].offset + 4);
}

TEST(Safetensors, TakesEmptyTensorsAndMisalignedData) {
  EXPECT_TRUE(parse(testing::safetensors_file(one("F32", "[0,7]", "[0,0]"), "")));
  EXPECT_TRUE(parse(testing::safetensors_file(one("F16", "[4]", "[0,8]") + " ", "01234567")));
}

TEST(Safetensors, RefusesLengthsBeforeAllocating) {
  for (const std::uint64_t length : {~0ULL, 1ULL << 63, 1ULL << 40, 101'000'000ULL, 16ULL, 3ULL}) {
    const auto result = parse(testing::raw(length) + "{}");
    ASSERT_FALSE(result) << length;
    EXPECT_THAT(result.error().message, HasSubstr(fmt::format("found {}", length)));
  }
  EXPECT_FALSE(parse(""));
  EXPECT_FALSE(parse("1234567"));
}

TEST(Safetensors, RefusesWrongOffsets) {
  for (const char* offsets :
       {"[8,0]", "[-1,8]", "[0.0,8.0]", "[0,4,8]", R"(["0","8"])", "[0,16]", "[0]", "[]", "8",
        "[18446744073709551608,0]", "[0,18446744073709551616]", "null", "[[0,8]]"}) {
    EXPECT_THAT(refusal(one("F32", "[2]", offsets)), HasSubstr("tensor a")) << offsets;
  }
}

TEST(Safetensors, RefusesWrongShapes) {
  std::string many = "[1";
  for (int i = 0; i < 1000; ++i) many += ",1";
  const std::string long_shape = many + "]";
  for (const std::string& shape : {std::string("[3]"), std::string("[4294967296,4294967296]"),
                                   std::string("[2147483648,2147483648,2147483648]"),
                                   std::string("[-2]"), std::string("[2.0]"), std::string("[true]"),
                                   std::string("\"2\""), long_shape, std::string("{}")}) {
    EXPECT_THAT(refusal(one("F32", shape, "[0,8]")), HasSubstr("tensor a")) << shape;
  }
}

TEST(Safetensors, RefusesTypesItHasNot) {
  EXPECT_THAT(refusal(one("F64", "[1]", "[0,8]")),
              HasSubstr("expected F32, F16 or BF16, found F64"));
  EXPECT_THAT(refusal(one("F8_E4M3", "[8]", "[0,8]")), HasSubstr("F8_E4M3"));
}

TEST(Safetensors, RefusesWhatIsThereTwice) {
  const std::string a = R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  const std::string b = R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]})";
  EXPECT_THAT(refusal("{" + a + "," + b + "}"), HasSubstr("tensor a is there twice"));
  EXPECT_THAT(refusal(R"({"__metadata__":{},"__metadata__":{}})"), HasSubstr("twice"));
  refusal(R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})");
  refusal(R"({"a":{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}})");
}

TEST(Safetensors, RefusesHolesAndOverlaps) {
  const std::string a = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)";
  EXPECT_THAT(refusal(a + R"("b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})"),
              HasSubstr("overlaps"));
  EXPECT_THAT(refusal(a + R"("b":{"dtype":"F16","shape":[1],"data_offsets":[6,8]}})"),
              HasSubstr("hole"));
  EXPECT_THAT(refusal(one("F32", "[1]", "[0,4]")), HasSubstr("expected"));  // 4 bytes left over
}

TEST(Safetensors, RefusesWrongHeaders) {
  for (const char* header :
       {"", "[]", "1", "{", "{}x", R"({"a":1})", R"({"a":[]})", R"({"a":{}})", R"({"a":"x"})",
        R"({"__metadata__":{"a":1}})", R"({"__metadata__":[]})", R"({"a":{"b":{"c":{}}}})",
        R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1}})", "{\"\xFF\":{}}"}) {
    refusal(header);
  }
  const std::string name(base::CheckpointLimits{}.tensor_name_bytes_max + 1, 'n');
  EXPECT_THAT(refusal("{\"" + name + "\":{}}"), HasSubstr("name"));
}

// Names of outside are printed safely.
TEST(Safetensors, EscapesNames) {
  const std::string message = refusal("{\"a\\u001b[31m\":{}}");
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
}

TEST(Safetensors, BoundsTheNumberOfTensors) {
  std::string header = "{";
  const std::size_t most = base::CheckpointLimits{}.tensors_max;
  for (std::size_t i = 0; i <= most; ++i) {
    header += (i > 0 ? ",\"" : "\"") + std::to_string(i) +
              R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
  }
  const auto start = std::chrono::steady_clock::now();
  const auto result = parse(testing::safetensors_file(header + "}", ""));
  ASSERT_FALSE(result);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

}  // namespace
}  // namespace vsurge::model
