#include "model/packed_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/test_data.h"
#include "model/packed_parts.h"
#include "model/packed_source.h"
#include "model/tiny_fixture.h"

namespace vsurge::model {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::TempFolder;

std::unique_ptr<tensor::Backend> make_backend(int threads = 2) {
  auto made = tensor::make_cpu_backend({.threads = threads, .isa = "scalar"});
  CHECK(made.has_value());
  return std::move(*made);
}

void write_model(const TempFolder& folder, unsigned seed = 7) {
  folder.write("config.json", testing::config_of("qwen3", "Qwen3ForCausalLM"));
  folder.write("tokenizer.json", "{}");
  folder.write("model.safetensors",
               testing::safetensors_of(testing::tiny_tensors(false, true, true, seed)));
}

// Everything that the weights hold, as one text.
std::string content(const DecoderWeights& weights) {
  std::string all = fmt::format("{} {} {}", weights.parameters, weights.bytes, weights.format);
  for_each_part(
      weights,
      [&](const std::string& name, const tensor::Weight& w) {
        all += fmt::format("{} {} {} {} {}", name, format_name(w.format), w.format.rotated,
                           w.one_plane, w.rows);
        for (const auto* part : {&w.values, &w.scales, &w.minima}) {
          all.append(reinterpret_cast<const char*>(part->data()), part->size());
        }
      },
      [&](const std::string& name, const std::vector<float>& values) {
        all += name + testing::raw_floats(values);
      });
  return all;
}

base::Result<DecoderWeights> load(const fs::path& path, tensor::Backend& backend,
                                  const LoadOptions& options = {}) {
  auto checkpoint = VSURGE_TRY(open_checkpoint(path));
  if (checkpoint->packed() != nullptr) {
    PackedModel model = VSURGE_TRY(load_packed(std::move(checkpoint), backend, options));
    return std::move(model.weights);
  }
  const DecoderSpec spec = VSURGE_TRY(read_spec(*checkpoint));
  return load_weights(*checkpoint, spec, backend, options);
}

std::string file_content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

LoadOptions formats(WeightChoice weights, std::optional<WeightChoice> head = {}) {
  LoadOptions options;
  options.weights = weights;
  options.head = head;
  return options;
}

class PackedFolder : public ::testing::Test {
 protected:
  PackedFolder() { write_model(source); }
  void pack(const LoadOptions& options = formats(WeightChoice::kI8)) {
    const auto status = write_packed_folder(source.path(), out, *backend, options);
    ASSERT_TRUE(status) << status.error().message;
  }
  std::string loaded() {
    const auto weights = load(out, *backend);
    return weights ? content(*weights) : weights.error().message;
  }

  std::unique_ptr<tensor::Backend> backend = make_backend();
  TempFolder source, home;
  fs::path out = home.path() / "packed";
};

TEST_F(PackedFolder, HoldsWhatLoadingTheCheckpointGives) {
  using enum WeightChoice;
  for (const LoadOptions& options :
       {formats(kAuto), formats(kF32), formats(kI8), formats(kI4), formats(kNF4),
        formats(kI4, kAuto), formats(kI8, kI4), formats(kAuto, kI8)}) {
    pack(options);
    const auto weights = load(source.path(), *backend, options);
    ASSERT_TRUE(weights);
    EXPECT_EQ(loaded(), content(*weights)) << choice_name(options.weights);
    // Asked for the same formats again, it has them.
    EXPECT_TRUE(load(out, *backend, options));
  }
}

TEST_F(PackedFolder, IsTheSameBytesWhateverTheThreads) {
  pack(formats(WeightChoice::kI4));
  const std::string two = file_content(out / kPackedName);
  for (const int threads : {1, 3, 7}) {
    backend = make_backend(threads);
    pack(formats(WeightChoice::kI4));
    EXPECT_EQ(file_content(out / kPackedName), two) << threads;
  }
}

TEST_F(PackedFolder, RefusesOtherFormatsThanItsOwn) {
  pack(formats(WeightChoice::kI8));
  const auto other = load(out, *backend, formats(WeightChoice::kI4));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, base::ErrorCode::kUsage);
  EXPECT_THAT(other.error().message, HasSubstr("(8bit), found int4"));
  const auto head = load(out, *backend, formats(WeightChoice::kI8, WeightChoice::kI4));
  ASSERT_FALSE(head);
  EXPECT_THAT(head.error().message, HasSubstr("the head as it was packed (by default)"));
}

TEST_F(PackedFolder, ServesWithoutItsSource) {
  pack();
  const std::string before = loaded();
  fs::remove(source.path() / "model.safetensors");
  EXPECT_EQ(loaded(), before);
  fs::remove_all(source.path());
  EXPECT_EQ(loaded(), before);
}

TEST_F(PackedFolder, IsPackedAnewWhenItsSourceChanged) {
  pack();
  const std::string before = loaded();
  write_model(source, 8);
  const std::string after = loaded();
  EXPECT_NE(after, before);
  EXPECT_EQ(after, content(load(source.path(), *backend, formats(WeightChoice::kI8)).value()));
  const std::string file = file_content(out / kPackedName);
  EXPECT_EQ(loaded(), after);  // from the folder now
  EXPECT_EQ(file_content(out / kPackedName), file);
}

TEST_F(PackedFolder, StaysWhenItsSourceWasOnlyTouched) {
  pack();
  const std::string file = file_content(out / kPackedName);
  write_model(source);
  EXPECT_NE(loaded(), "");
  EXPECT_EQ(file_content(out / kPackedName), file);
}

TEST_F(PackedFolder, AsksForANewStartWhenTheTokenizerChangedToo) {
  pack();
  write_model(source, 8);
  source.write("tokenizer.json", "{\"a\": 1}");
  EXPECT_THAT(loaded(), HasSubstr("start again"));
  EXPECT_EQ(file_content(out / "tokenizer.json"), "{\"a\": 1}");
  EXPECT_EQ(loaded(), content(load(source.path(), *backend, formats(WeightChoice::kI8)).value()));
}

// Turns the number of the layout in a written file into 7.
void make_outdated(const fs::path& path) {
  std::string bytes = file_content(path);
  const std::string now = fmt::format("\"layout\":{},", kernels::kWeightLayoutVersion);
  const auto at = bytes.find(now);
  ASSERT_NE(at, std::string::npos);
  bytes[at + 9] = '7';
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST_F(PackedFolder, OfAnotherLayoutIsPackedAnewOrSaysWhatToRun) {
  pack();
  const std::string before = loaded();
  make_outdated(out / kPackedName);
  EXPECT_EQ(loaded(), before);
  make_outdated(out / kPackedName);
  fs::remove_all(source.path());
  EXPECT_THAT(loaded(), HasSubstr("run: vsurge quantize " + source.path().string() +
                                  " --format 8bit -o " + out.string()));
}

TEST_F(PackedFolder, KeepsOutOfFoldersThatAreNotItsOwn) {
  fs::create_directory(out);
  std::ofstream(out / "notes.txt") << "mine";
  auto status = write_packed_folder(source.path(), out, *backend, {});
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("found notes.txt in it"));
  status = write_packed_folder(source.path(), source.path(), *backend, {});
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("another folder than the source"));
  fs::remove(out / "notes.txt");
  pack();
  status = write_packed_folder(out, home.path() / "again", *backend, {});
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("found a packed folder"));
}

TEST_F(PackedFolder, ThatWasNotFinishedIsNone) {
  pack();
  fs::rename(out / kPackedName, out / ".weights.vsurge.part");
  EXPECT_THAT(loaded(), HasSubstr("found neither"));
  pack();  // takes the place of what was left
  EXPECT_FALSE(fs::exists(out / ".weights.vsurge.part"));
  EXPECT_EQ(loaded(), content(load(source.path(), *backend, formats(WeightChoice::kI8)).value()));
}

TEST_F(PackedFolder, MustHaveThePartsOfItsSpec) {
  pack();
  std::string config = file_content(out / "config.json");
  config.replace(config.find("\"intermediate_size\": 96"), 23, "\"intermediate_size\": 64");
  std::ofstream(out / "config.json") << config;
  EXPECT_THAT(loaded(), HasSubstr("matrix layers.0.gate_up: expected [128, 64], found [192, 64]"));
  config.replace(config.find("\"num_hidden_layers\": 2"), 22, "\"num_hidden_layers\": 1");
  config.replace(config.find("\"intermediate_size\": 64"), 23, "\"intermediate_size\": 96");
  std::ofstream(out / "config.json") << config;
  EXPECT_THAT(loaded(), HasSubstr("parts of family qwen3"));
}

TEST(PackedGguf, KeepsTheMetadataWithoutTheTensors) {
  const auto path = base::default_model_path();
  if (!path) GTEST_SKIP() << "the default model is not there";
  const auto backend = make_backend();
  const TempFolder home;
  const auto status = write_packed_folder(*path, home.path(), *backend, {});
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_LT(fs::file_size(home.path() / kMetadataName), 4u << 20);
  const auto weights = load(home.path(), *backend);
  ASSERT_TRUE(weights) << weights.error().message;
  EXPECT_EQ(content(*weights), content(load(*path, *backend).value()));
}

}  // namespace
}  // namespace vsurge::model
