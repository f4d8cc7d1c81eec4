#include "model/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>

#include "model/test_files.h"

namespace vsurge::model {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::TempFolder;

std::string shard(const std::vector<std::string>& names) {
  testing::TestTensors tensors;
  for (const std::string& name : names) tensors[name] = {{2}, {1, 2}};
  return testing::safetensors_of(tensors);
}

std::string refusal(const fs::path& path) {
  const auto result = open_checkpoint(path);
  EXPECT_FALSE(result.has_value());
  if (result) return "";
  EXPECT_EQ(result.error().code, base::ErrorCode::kBadModel);
  return result.error().message;
}

TEST(Checkpoint, OneFile) {
  const TempFolder folder;
  folder.write("config.json", R"({"model_type": "llama"})");
  folder.write("generation_config.json", "{}");
  folder.write("model.safetensors", shard({"a", "b"}));
  const auto checkpoint = open_checkpoint(folder.path());
  ASSERT_TRUE(checkpoint) << checkpoint.error().message;
  ASSERT_NE((*checkpoint)->find("b"), nullptr);
  EXPECT_EQ((*checkpoint)->find("c"), nullptr);
  EXPECT_NE((*checkpoint)->config(), nullptr);
  EXPECT_NE((*checkpoint)->generation_config(), nullptr);
  EXPECT_EQ((*checkpoint)->gguf(), nullptr);
  const TensorInfo& b = *(*checkpoint)->find("b");
  const std::string expected = testing::raw_floats(std::vector<float>{1, 2});
  const auto bytes = (*checkpoint)->bytes(b);
  EXPECT_TRUE(std::ranges::equal(bytes, testing::bytes_of(expected)));
  (*checkpoint)->release(b);
  EXPECT_TRUE(std::ranges::equal(bytes, testing::bytes_of(expected)));
}

class Shards : public ::testing::Test {
 protected:
  Shards() {
    folder.write("config.json", "{}");
    folder.write("one.safetensors", shard({"a", "b"}));
    folder.write("two.safetensors", shard({"c"}));
  }
  void index(const std::string& map, const std::string& metadata = "") {
    folder.write("model.safetensors.index.json", "{" + metadata + "\"weight_map\": {" + map + "}}");
  }
  TempFolder folder;
};

TEST_F(Shards, OpenThroughTheIndex) {
  index(R"("a": "one.safetensors", "b": "one.safetensors", "c": "two.safetensors")",
        R"("metadata": {"total_size": 24},)");
  const auto checkpoint = open_checkpoint(folder.path());
  ASSERT_TRUE(checkpoint) << checkpoint.error().message;
  EXPECT_EQ((*checkpoint)->tensors().size(), 3u);
  EXPECT_EQ((*checkpoint)->file_name(*(*checkpoint)->find("c")), "two.safetensors");
}

TEST_F(Shards, WrongTotalIsNoReasonToRefuse) {
  index(R"("c": "two.safetensors")", R"("metadata": {"total_size": 1},)");
  EXPECT_TRUE(open_checkpoint(folder.path()));
}

TEST_F(Shards, SingleFileComesFirst) {
  index(R"("a": "one.safetensors", "b": "one.safetensors")");
  folder.write("model.safetensors", shard({"z"}));
  const auto checkpoint = open_checkpoint(folder.path());
  ASSERT_TRUE(checkpoint);
  EXPECT_EQ((*checkpoint)->tensors().size(), 1u);
}

TEST_F(Shards, IndexMustAgreeWithTheShards) {
  index(R"("a": "one.safetensors", "b": "one.safetensors", "d": "two.safetensors")");
  EXPECT_THAT(refusal(folder.path()), HasSubstr("/weight_map/c"));
  index(R"("a": "one.safetensors", "b": "one.safetensors", "c": "one.safetensors")");
  EXPECT_THAT(refusal(folder.path()), HasSubstr("/weight_map/c: expected a tensor"));
  index(R"("a": "one.safetensors", "b": "two.safetensors", "c": "two.safetensors")");
  EXPECT_THAT(refusal(folder.path()), HasSubstr("/weight_map/b"));
  index(R"("a": "one.safetensors")");  // b is extra
  EXPECT_THAT(refusal(folder.path()), HasSubstr("/weight_map/b"));
  index(R"("a": "three.safetensors")");
  EXPECT_THAT(refusal(folder.path()), HasSubstr("three.safetensors"));
  folder.write("two.safetensors", shard({"a"}));
  index(R"("a": "one.safetensors", "b": "one.safetensors", "c": "two.safetensors")");
  EXPECT_THAT(refusal(folder.path()), HasSubstr("tensor a is in both"));
}

TEST_F(Shards, PathsStayInTheFolder) {
  const TempFolder outside;
  outside.write("two.safetensors", shard({"c"}));
  for (const std::string& name :
       {"../" + outside.path().filename().string() + "/two.safetensors",
        (outside.path() / "two.safetensors").string(), std::string("./two.safetensors"),
        std::string(".."), std::string(""), std::string("a\\\\b"), std::string("\\u0000"),
        std::string(300, 'x')}) {
    index("\"c\": \"" + name + "\"");
    EXPECT_THAT(refusal(folder.path()), HasSubstr("plain name")) << name;
  }
  index("\"c\": 3");
  EXPECT_THAT(refusal(folder.path()), HasSubstr("/weight_map/c"));
}

TEST_F(Shards, LinksStayInTheFolder) {
  const TempFolder outside;
  outside.write("two.safetensors", shard({"c"}));
  fs::create_symlink(outside.path() / "two.safetensors", folder.path() / "out.safetensors");
  fs::create_symlink("two.safetensors", folder.path() / "in.safetensors");
  fs::create_symlink("cycle.safetensors", folder.path() / "cycle.safetensors");
  fs::create_symlink("nowhere", folder.path() / "dangling.safetensors");
  index(R"("c": "in.safetensors")");
  EXPECT_TRUE(open_checkpoint(folder.path()));
  index(R"("c": "out.safetensors")");
  EXPECT_THAT(refusal(folder.path()), HasSubstr("found a link to"));
  index(R"("c": "cycle.safetensors")");
  EXPECT_THAT(refusal(folder.path()), HasSubstr("cannot open"));
  index(R"("c": "dangling.safetensors")");
  EXPECT_THAT(refusal(folder.path()), HasSubstr("cannot open"));
}

// models--x/snapshots/<revision>/file links to models--x/blobs/<digest>.
TEST(Checkpoint, LinksOfTheHubsCache) {
  const TempFolder cache;
  const fs::path model = cache.path() / "models--x";
  fs::create_directories(model / "snapshots" / "rev");
  fs::create_directories(model / "blobs");
  cache.write("models--x/blobs/1", "{}");
  cache.write("models--x/blobs/2", shard({"a"}));
  fs::create_symlink("../../blobs/1", model / "snapshots/rev/config.json");
  fs::create_symlink("../../blobs/2", model / "snapshots/rev/model.safetensors");
  EXPECT_TRUE(open_checkpoint(model / "snapshots/rev"));
  fs::remove(model / "snapshots/rev/model.safetensors");
  cache.write("models--x/stray", shard({"a"}));
  fs::create_symlink("../../stray", model / "snapshots/rev/model.safetensors");
  EXPECT_THAT(refusal(model / "snapshots/rev"), HasSubstr("found a link to"));
}

TEST(Checkpoint, WhatIsNoFileIsRefusedAtOnce) {
  const TempFolder folder;
  EXPECT_THAT(refusal(folder.path() / "absent"), HasSubstr("No such file"));
  EXPECT_THAT(refusal(folder.path()), HasSubstr("config.json"));
  folder.write("config.json", "{}");
  EXPECT_THAT(refusal(folder.path()), HasSubstr("found neither"));
  ASSERT_EQ(::mkfifo((folder.path() / "model.safetensors").c_str(), 0600), 0);
  EXPECT_THAT(refusal(folder.path()), HasSubstr("regular file"));
  EXPECT_THAT(refusal(folder.path() / "model.safetensors"), HasSubstr("regular file"));
  fs::remove(folder.path() / "model.safetensors");
  fs::create_directory(folder.path() / "model.safetensors");
  EXPECT_THAT(refusal(folder.path()), HasSubstr("regular file"));
}

#ifdef __SANITIZE_THREAD__
constexpr std::uintmax_t kGiantBytes = 1ULL << 36;  // it leaves no room for more
#else
constexpr std::uintmax_t kGiantBytes = 1ULL << 40;
#endif

// A terabyte that is not there is refused by its shapes, before any of it is touched.
TEST(Checkpoint, SparseGiantIsRefusedByItsHeader) {
  const TempFolder folder;
  folder.write("config.json", "{}");
  const fs::path path = folder.write("model.safetensors", shard({"a"}));
  std::error_code error;
  fs::resize_file(path, kGiantBytes, error);
  if (error) GTEST_SKIP() << "the file system has no sparse file of a terabyte";
  EXPECT_THAT(refusal(folder.path()), HasSubstr("bytes as its tensors need"));
}

TEST(Checkpoint, Gguf) {
  const TempFolder folder;
  testing::GgufWriter writer;
  writer.text("general.architecture", "llama");
  writer.tensor("a", {2}, 0, testing::raw_floats(std::vector<float>{1, 2}));
  const auto checkpoint = open_checkpoint(folder.write("m.gguf", writer.file()));
  ASSERT_TRUE(checkpoint) << checkpoint.error().message;
  ASSERT_NE((*checkpoint)->gguf(), nullptr);
  EXPECT_EQ((*checkpoint)->config(), nullptr);
  EXPECT_EQ((*checkpoint)->bytes(*(*checkpoint)->find("a")).size(), 8u);
  testing::GgufWriter split = writer;
  split.u32("split.count", 2);
  EXPECT_THAT(refusal(folder.write("s.gguf", split.file())), HasSubstr("split.count"));
  testing::GgufWriter unknown = writer;
  unknown.info("iq", {256}, 16, 32);
  EXPECT_THAT(refusal(folder.write("u.gguf", unknown.file())), HasSubstr("tensor iq"));
}

}  // namespace
}  // namespace vsurge::model
