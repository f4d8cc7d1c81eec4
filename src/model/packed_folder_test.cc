// Packed folders: what is loaded from them, and what is refused.
#include "model/packed_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include "model/packed_parts.h"
#include "model/tiny_fixture.h"

namespace vsurge::model {
namespace {

namespace fs = std::filesystem;
using base::ErrorCode;
using ::testing::HasSubstr;
using testing::TempFolder;
using testing::TestTensors;

tensor::Backend& backend() {
  static auto made = tensor::make_cpu_backend({.threads = 2, .isa = "scalar"});
  CHECK(made.has_value());
  return **made;
}

std::string content(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_checkpoint(const TempFolder& folder, const TestTensors& tensors) {
  folder.write("config.json", testing::config_of("qwen3", "Qwen3ForCausalLM"));
  folder.write("model.safetensors", testing::safetensors_of(tensors));
}

base::Result<PackedModel> load(const fs::path& path, const LoadOptions& options = {}) {
  auto checkpoint = VSURGE_TRY(open_checkpoint(path));
  if (checkpoint->packed() != nullptr)
    return load_packed(std::move(checkpoint), backend(), options);
  PackedModel model;
  model.spec = VSURGE_TRY(read_spec(*checkpoint));
  model.weights = VSURGE_TRY(load_weights(*checkpoint, model.spec, backend(), options));
  return model;
}

// All parts by name, matrices with their formats.
std::map<std::string, std::string> parts_of(const DecoderWeights& weights) {
  std::map<std::string, std::string> parts;
  const auto text = [](const tensor::Buffer& buffer) {
    return std::string(reinterpret_cast<const char*>(buffer.data()), buffer.size());
  };
  for_each_part(
      weights,
      [&](const std::string& name, const tensor::Weight& w) {
        parts[name] = fmt::format("{} {} {} {} {} {} ", kind_name(w.format.kind), w.format.group,
                                  w.format.rotated, w.coarse, w.rows, w.cols) +
                      text(w.values) + text(w.scales) + text(w.minima);
      },
      [&](const std::string& name, const std::vector<float>& values) {
        parts[name] = testing::raw_floats(values);
      });
  return parts;
}

class PackedFolder : public ::testing::Test {
 protected:
  PackedFolder() { write_checkpoint(source_, tensors_); }
  base::Status pack(const LoadOptions& options = {}) const {
    return write_packed_folder(source_.path(), target_.path(), backend(), options);
  }
  fs::path file() const { return target_.path() / kPackedName; }

  TestTensors tensors_ = testing::tiny_tensors(false, true);
  TempFolder source_;
  TempFolder target_;
};

TEST_F(PackedFolder, GivesTheWeightsOfItsSource) {
  for (const WeightChoice choice : {WeightChoice::kAuto, WeightChoice::kF32, WeightChoice::kI8,
                                    WeightChoice::kI4, WeightChoice::kNF4}) {
    LoadOptions options;
    options.weights = choice;
    ASSERT_TRUE(pack(options)) << choice_name(choice);
    const auto want = load(source_.path(), options);
    const auto got = load(target_.path());
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(parts_of(got->weights), parts_of(want->weights)) << choice_name(choice);
    EXPECT_EQ(got->weights.parameters, want->weights.parameters);
    EXPECT_EQ(got->weights.bytes, want->weights.bytes);
    EXPECT_EQ(got->weights.format, want->weights.format);
    EXPECT_EQ(got->spec.rope.theta, want->spec.rope.theta);
    EXPECT_FALSE(got->weights.mapping.bytes().empty());
  }
}

TEST_F(PackedFolder, DoesNotDependOnThreads) {
  LoadOptions options;
  options.weights = WeightChoice::kI8;
  ASSERT_TRUE(pack(options));
  const std::string two = content(file());
  const auto one = tensor::make_cpu_backend({.threads = 1, .isa = "scalar"});
  ASSERT_TRUE(write_packed_folder(source_.path(), target_.path(), **one, options));
  EXPECT_EQ(content(file()), two);
}

TEST_F(PackedFolder, HeadHasAFormatOfItsOwn) {
  LoadOptions options;
  options.weights = WeightChoice::kI4;
  options.head = WeightChoice::kNF4;
  ASSERT_TRUE(pack(options));
  const auto got = load(target_.path());
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->weights.head.format.kind, kernels::WeightKind::kNF4);
  EXPECT_EQ(got->weights.layers[0].qkv.format.kind, kernels::WeightKind::kI4Min);
}

TEST_F(PackedFolder, WorksWithoutItsSource) {
  ASSERT_TRUE(pack());
  const auto want = parts_of(load(source_.path())->weights);
  fs::remove_all(source_.path());
  const auto got = load(target_.path());
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(parts_of(got->weights), want);
}

TEST_F(PackedFolder, IsPackedAnewWhenItsSourceChanges) {
  ASSERT_TRUE(pack());
  tensors_["model.norm.weight"].values[3] = 9;
  write_checkpoint(source_, tensors_);
  const auto got = load(target_.path());
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->weights.final_norm[3], 9);
  const auto again = load(target_.path());
  EXPECT_EQ(again->weights.final_norm[3], 9);
  EXPECT_FALSE(again->weights.mapping.bytes().empty());
}

TEST_F(PackedFolder, IsKeptWhenItsSourceIsOnlyTouched) {
  ASSERT_TRUE(pack());
  const std::string before = content(file());
  write_checkpoint(source_, tensors_);
  ASSERT_TRUE(load(target_.path()));
  EXPECT_EQ(content(file()), before);
}

// Puts `to` in the place of `from`, of the same length, in the header.
void change(const fs::path& path, const std::string& from, const std::string& to) {
  ASSERT_EQ(from.size(), to.size());
  std::string bytes = content(path);
  const std::size_t at = bytes.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  bytes.replace(at, from.size(), to);
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST_F(PackedFolder, IsPackedAnewForAnotherLayout) {
  ASSERT_TRUE(pack());
  const std::string now = fmt::format("\"layout\":{}", kernels::kWeightLayoutVersion);
  const std::string before = content(file());
  change(file(), now, "\"layout\":9");
  ASSERT_TRUE(load(target_.path()));
  EXPECT_EQ(content(file()), before);
  change(file(), now, "\"layout\":9");
  fs::remove_all(source_.path());
  const auto got = load(target_.path());
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, ErrorCode::kBadModel);
  EXPECT_THAT(got.error().message, HasSubstr("vsurge quantize " + source_.path().string()));
}

TEST_F(PackedFolder, RefusesOtherFormatsThanItHas) {
  LoadOptions options;
  options.weights = WeightChoice::kI8;
  ASSERT_TRUE(pack(options));
  EXPECT_TRUE(load(target_.path(), options));
  options.weights = WeightChoice::kI4;
  const auto got = load(target_.path(), options);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, ErrorCode::kUsage);
  options.weights = WeightChoice::kI8;
  options.head = WeightChoice::kI4;
  EXPECT_EQ(load(target_.path(), options).error().code, ErrorCode::kUsage);
}

TEST_F(PackedFolder, RefusesTargetsWithOtherThings) {
  EXPECT_EQ(write_packed_folder(source_.path(), source_.path(), backend(), {}).error().code,
            ErrorCode::kUsage);
  target_.write("diary.txt", "dear diary");
  const auto status = pack();
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("diary.txt"));
  EXPECT_FALSE(fs::exists(file()));
  fs::remove(target_.path() / "diary.txt");
  ASSERT_TRUE(pack());
  const TempFolder other;
  EXPECT_EQ(write_packed_folder(target_.path(), other.path(), backend(), {}).error().code,
            ErrorCode::kUsage);
}

TEST_F(PackedFolder, IsReadableByOthersAndLeavesNoPart) {
  ASSERT_TRUE(pack());
  for (const auto& entry : fs::directory_iterator(target_.path())) {
    EXPECT_FALSE(entry.path().filename().string().starts_with('.')) << entry.path();
  }
  struct stat info{};
  ASSERT_EQ(::stat(file().c_str(), &info), 0);
  EXPECT_NE(info.st_mode & S_IRUSR, 0U);
}

TEST_F(PackedFolder, DamageIsNamed) {
  ASSERT_TRUE(pack());
  const std::string good = content(file());
  const auto message = [&](const std::string& bytes) {
    std::ofstream(file(), std::ios::binary) << bytes;
    const auto got = load(target_.path());
    EXPECT_FALSE(got);
    if (got) return std::string();
    EXPECT_EQ(got.error().code, ErrorCode::kBadModel);
    EXPECT_THAT(got.error().message, HasSubstr(kPackedName));
    return got.error().message;
  };
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::uint64_t length = 0;
    std::memcpy(&length, good.data() + 8, sizeof length);
    std::string header = good.substr(16, length);
    header.replace(header.find(from), from.size(), to);
    std::string bytes = good.substr(0, 8) + testing::raw<std::uint64_t>(header.size()) + header;
    bytes.resize(kPackedDataUnit);
    return message(bytes + good.substr(kPackedDataUnit));
  };
  EXPECT_THAT(message(""), HasSubstr("something else"));
  EXPECT_THAT(message("vsurge x" + good.substr(8)), HasSubstr("something else"));
  EXPECT_THAT(message(good.substr(0, 20)), HasSubstr("header"));
  EXPECT_THAT(message(good.substr(0, good.size() - 1)), HasSubstr("not all of it"));
  EXPECT_THAT(message(good + "x"), HasSubstr("not all of it"));
  EXPECT_THAT(changed("\"format\":1", "\"format\":2"), HasSubstr("format"));
  EXPECT_THAT(changed("\"kind\":\"bfloat16\"", "\"kind\":\"bfloat61\""), HasSubstr("kind"));
  EXPECT_THAT(changed("\"rows\":40", "\"rows\":41"), HasSubstr("[40, 64]"));
  EXPECT_THAT(changed("\"rows\":40", "\"rows\":-1"), HasSubstr("rows"));
  EXPECT_THAT(changed("\"values\":8192", "\"values\":8193"), HasSubstr("multiple of"));
  EXPECT_THAT(changed("\"values\":8192", "\"values\":4096000000000000000"), HasSubstr("within"));
  EXPECT_THAT(changed("\"values\":8192", "\"values\":9999999999999999999"), HasSubstr("values"));
  EXPECT_THAT(changed("\"final_norm\"", "\"final_worm\""), HasSubstr("final_norm"));
}

TEST(PackedGguf, KeepsMetadataAndDivisors) {
  const TempFolder source, target;
  const TestTensors tensors = testing::tiny_tensors();
  testing::GgufWriter writer = testing::as_gguf(tensors, "llama");
  const std::vector<float> divisors = {1, 1, 1, 2, 2, 4, 8, 8};
  writer.tensor("rope_freqs.weight", {8}, 0, testing::raw_floats(divisors));
  const auto path = source.write("m.gguf", writer.file());
  LoadOptions options;
  options.weights = WeightChoice::kI8;
  const auto status = write_packed_folder(path, target.path(), backend(), options);
  ASSERT_TRUE(status) << status.error().message;
  const auto want = load(path, options);
  fs::remove(path);
  const auto got = load(target.path());
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(parts_of(got->weights), parts_of(want->weights));
  EXPECT_EQ(got->spec.rope.divisors, divisors);
  EXPECT_EQ(got->spec.generation.eos_tokens, want->spec.generation.eos_tokens);
}

}  // namespace
}  // namespace vsurge::model
