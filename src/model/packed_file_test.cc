#include "model/packed_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace vsurge::model {
namespace {

using ::testing::HasSubstr;

// 20 x 64 in int8 with minimum: two panels of 64 * 16 bytes, one group of 64 each.
constexpr const char* kHeader =
    R"({"format":1,"layout":2,"bytes":@BYTES@,"weights":"8bit","parameters":1280,)"
    R"("weight_format":"int8 g64 with minimum","checkpoint":"00",)"
    R"("source":{"path":"/gone","files":{"a":"1 2 3"}},)"
    R"("matrices":{"m":{"kind":"int8_min","group":64,"rotated":true,"rows":20,"cols":64,)"
    R"("values":0,"scales":4096,"minima":8192}},"vectors":{"v":{"size":3,"values":12288}}})";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

// A file around a header, aligned as parse() wants it.
class File {
 public:
  explicit File(const std::string& header = kHeader, std::size_t data = 16384) {
    constexpr std::size_t kSize = 4 << 20;
    storage_.resize(kSize + 64);
    const std::size_t all = kPackedDataUnit + data + kPackedTail;
    std::string text = header;
    if (text.find("@BYTES@") != std::string::npos) {
      text = replaced(text, "@BYTES@", std::to_string(all));
    }
    begin_ = -reinterpret_cast<std::uintptr_t>(storage_.data()) % 64;
    const std::uint64_t length = text.size();
    std::memcpy(at(0), kPackedMagic.data(), 8);
    std::memcpy(at(8), &length, 8);
    std::memcpy(at(16), text.data(), text.size());
    size = all;
  }
  std::byte* at(std::size_t i) { return storage_.data() + begin_ + i; }
  base::Result<PackedFile> parse() { return PackedFile::parse("w", {at(0), size}); }
  std::string fault() {
    const auto file = parse();
    if (file) return "";
    EXPECT_EQ(file.error().code, base::ErrorCode::kBadModel);
    return file.error().message;
  }

  std::size_t size = 0;

 private:
  std::vector<std::byte> storage_;
  std::size_t begin_ = 0;
};

std::string fault_with(const std::string& from, const std::string& to) {
  return File(replaced(kHeader, from, to)).fault();
}

TEST(PackedFile, GivesViewsOfItsParts) {
  File file;
  const float values[] = {1, 2, 3};
  std::memcpy(file.at(kPackedDataUnit + 12288), values, sizeof values);
  const auto packed = file.parse();
  ASSERT_TRUE(packed) << packed.error().message;
  EXPECT_EQ(packed->info().weights, WeightChoice::kI8);
  EXPECT_FALSE(packed->info().head);
  EXPECT_EQ(packed->info().source.stamps.at("a"), "1 2 3");
  EXPECT_EQ(packed->parts(), 2u);
  EXPECT_EQ(packed->weight_bytes(), 2048 + 2 * 64 + 12);
  const auto matrix = packed->matrix("m", 20, 64);
  ASSERT_TRUE(matrix);
  EXPECT_EQ(matrix->values.data(), file.at(kPackedDataUnit));
  EXPECT_EQ(matrix->values.size(), 2048u);
  EXPECT_EQ(matrix->scales.data(), file.at(kPackedDataUnit + 4096));
  EXPECT_EQ(matrix->minima.size(), 64u);
  EXPECT_TRUE(matrix->format.rotated);
  EXPECT_EQ(packed->vector("v", 3).value(), (std::vector<float>{1, 2, 3}));
}

TEST(PackedFile, NamesAPartOfOtherSides) {
  File file;
  const auto packed = file.parse();
  ASSERT_TRUE(packed);
  EXPECT_THAT(packed->matrix("m", 20, 32).error().message, HasSubstr("[20, 32], found [20, 64]"));
  EXPECT_THAT(packed->matrix("n", 1, 1).error().message, HasSubstr("found none"));
  EXPECT_THAT(packed->vector("v", 4).error().message, HasSubstr("[4], found [3]"));
  EXPECT_THAT(packed->vector("m", 4).error().message, HasSubstr("found none"));
}

TEST(PackedFile, RefusesWhatIsNoSuchFile) {
  File file;
  *file.at(0) = std::byte{'x'};
  EXPECT_THAT(file.fault(), HasSubstr("found something else"));
  EXPECT_THAT(PackedFile::parse("w", {}).error().message, HasSubstr("found something else"));
  File longer;
  const std::uint64_t length = std::uint64_t{1} << 63;
  std::memcpy(longer.at(8), &length, 8);
  EXPECT_THAT(longer.fault(), HasSubstr("header: expected at most"));
  EXPECT_THAT(File("{").fault(), HasSubstr("w: "));
}

TEST(PackedFile, RefusesAFileThatWasCut) {
  File file;
  --file.size;
  EXPECT_THAT(file.fault(), HasSubstr("not all of it was copied"));
  File header_only;
  header_only.size = 100;
  EXPECT_THAT(header_only.fault(), HasSubstr("header: expected at most 84 bytes"));
  File without_data(replaced(kHeader, "@BYTES@", "4000"));
  without_data.size = 4000;
  EXPECT_THAT(without_data.fault(), HasSubstr("expected data at byte 2097152"));
}

TEST(PackedFile, RefusesSectionsOutsideTheData) {
  EXPECT_THAT(fault_with(R"("values":0)", R"("values":16384)"), HasSubstr("/matrices/m/values"));
  EXPECT_THAT(fault_with(R"("scales":4096)", R"("scales":4611686018427383808)"),
              HasSubstr("64 bytes within 16384"));
  EXPECT_THAT(fault_with(R"("minima":8192)", R"("minima":8200)"), HasSubstr("a multiple of 4096"));
  EXPECT_THAT(fault_with(R"("minima":8192)", R"("minima":-4096)"), HasSubstr("minima"));
  EXPECT_THAT(fault_with(R"("values":12288)", R"("values":20480)"), HasSubstr("/vectors/v/values"));
  EXPECT_THAT(fault_with(R"("size":3)", R"("size":2147483648)"), HasSubstr("/vectors/v/values"));
}

TEST(PackedFile, RefusesFormatsThatTheKernelsDoNotHave) {
  EXPECT_THAT(fault_with("int8_min", "int3"), HasSubstr("one of float32, bfloat16"));
  EXPECT_THAT(fault_with(R"("group":64)", R"("group":48)"), HasSubstr("a format"));
  EXPECT_THAT(fault_with(R"("group":64)", R"("group":128)"), HasSubstr("a format"));
  EXPECT_THAT(fault_with("int8_min", "bfloat16"), HasSubstr("a format"));
  // 2^31 x 2^31: more bytes than a number of 64 bits holds.
  const std::string huge =
      replaced(kHeader, R"("rows":20,"cols":64)", R"("rows":2147483648,"cols":2147483648)");
  EXPECT_NE(File(replaced(huge, R"("int8_min","group":64,"rotated":true)", R"("float32")")).fault(),
            "");
  EXPECT_NE(File(huge).fault(), "");
}

TEST(PackedFile, RefusesAHeaderWithoutItsFields) {
  EXPECT_THAT(fault_with(R"("format":1)", R"("format":2)"), HasSubstr("/format"));
  EXPECT_THAT(fault_with(R"("layout":2,)", ""), HasSubstr("/layout"));
  EXPECT_THAT(fault_with(R"("8bit")", R"("7bit")"), HasSubstr("/weights"));
  EXPECT_THAT(fault_with(R"("rows":20)", R"("rows":0)"), HasSubstr("/matrices/m/rows"));
  EXPECT_THAT(fault_with(R"("minima":8192)", R"("least":8192)"), HasSubstr("/matrices/m/minima"));
  EXPECT_THAT(fault_with(R"("vectors")", R"("other")"), HasSubstr("/vectors"));
}

// What sections mean may be anything then: only where the weights came from is read.
TEST(PackedFile, ReadsNoPartsOfAnotherLayout) {
  std::string header = replaced(kHeader, R"("layout":2)", R"("layout":3)");
  header = replaced(header, R"("int8_min")", R"("int5")");
  File file(header);
  const auto packed = file.parse();
  ASSERT_TRUE(packed) << packed.error().message;
  EXPECT_TRUE(packed->outdated());
  EXPECT_EQ(packed->info().source.path, "/gone");
  EXPECT_EQ(packed->parts(), 0u);
}

}  // namespace
}  // namespace vsurge::model
