#include "facade/model_host.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/test_data.h"
#include "vsurge/vsurge.h"

namespace vsurge::facade {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "vsurge_host_XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  fs::path path;
};

TEST(PathInside, NothingOutsideIsFound) {
  const Folder outer;
  const fs::path folder = outer.path / "models";
  fs::create_directories(folder / "a" / "b");
  fs::create_directories(outer.path / "models-too");
  std::ofstream(folder / "m.gguf") << "x";
  fs::create_directory_symlink(outer.path / "models-too", folder / "out");
  fs::create_directory_symlink(folder / "a", folder / "in");
  const std::string root = fs::canonical(folder).string();
  EXPECT_EQ(path_inside(folder, "a").value(), root + "/a");
  EXPECT_EQ(path_inside(folder, "a/b").value(), root + "/a/b");
  EXPECT_EQ(path_inside(folder, "a/../m.gguf").value(), root + "/m.gguf");
  EXPECT_EQ(path_inside(folder, root + "/m.gguf").value(), root + "/m.gguf");
  EXPECT_EQ(path_inside(folder, "in").value(), root + "/a");
  for (const std::string& path :
       {std::string("none"), std::string(".."), std::string("../models-too"),
        std::string("a/../../models-too"), std::string("out"), std::string("out/.."),
        std::string("/etc/passwd"), std::string("."), std::string(""), root,
        fs::canonical(outer.path / "models-too").string(), std::string(5000, 'x')}) {
    const auto found = path_inside(folder, path);
    ASSERT_FALSE(found) << path;
    EXPECT_EQ(found.error().param, "path") << path;
  }
  EXPECT_FALSE(path_inside(outer.path / "none", "a"));
}

// The default model, several times.
class Hosted : public ::testing::Test {
 protected:
  void SetUp() override {
    path = base::default_model_path();
    if (!path) GTEST_SKIP() << "no default model: ./dev setup fetches it";
  }
  ModelSource source(const std::string& name, double memory = 1) const {
    return {.name = name,
            .model = AutoModelForCausalLM::from_pretrained(path->string(), {.verbose = false}),
            .processor = AutoTokenizer::from_pretrained(path->string()),
            .memory = memory};
  }

  std::optional<fs::path> path;
  SurgeOptions options{.max_concurrent_decodes = 4,
                       .max_length = 1 << 20,
                       .verbose = false,
                       .max_num_batched_tokens = 64,
                       .kv_cache_memory_bytes = 1024LL << 20};
};

TEST_F(Hosted, MemoryIsDividedByWeights) {
  const auto divided = divide_memory({source("a"), source("b", 2)}, options, 1);
  const std::int64_t a = divided.vsurge_map.at("a").kv_cache_bytes();
  const std::int64_t b = divided.vsurge_map.at("b").kv_cache_bytes();
  const std::int64_t page = 8LL << 20;  // no less than the page of any option
  EXPECT_EQ(divided.spare_bytes, 256LL << 20);
  EXPECT_LE(a, 256LL << 20);
  EXPECT_GT(a, (256LL << 20) - page);
  EXPECT_LE(b, 512LL << 20);
  EXPECT_GT(b, (512LL << 20) - page);
  EXPECT_EQ(divided.vsurge_map.at("a").vsurge_name(), "a");
  EXPECT_GT(divided.vsurge_map.at("a").max_length(), 1024);  // cut to the model's
}

TEST_F(Hosted, SaysWhatCannotBeDivided) {
  const auto refusal = [&](const std::vector<ModelSource>& sources, double spare = 0) {
    try {
      divide_memory(sources, options, spare);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(refusal({}), "");
  EXPECT_NE(refusal({{.name = "a", .model = {}, .processor = {}}}).find("'a'"), std::string::npos);
  const ModelSource a = source("a");
  EXPECT_NE(refusal({a, a}).find("twice"), std::string::npos);
  EXPECT_NE(refusal({a}, -1).find("spare"), std::string::npos);
  ModelSource weightless = a;
  weightless.memory = 0;
  EXPECT_NE(refusal({weightless}).find("memory"), std::string::npos);
  options.kv_cache_memory_bytes = 16LL << 20;
  const std::string small = refusal({a});
  EXPECT_NE(small.find("model 'a': "), std::string::npos) << small;
  EXPECT_NE(small.find("one context"), std::string::npos) << small;
}

TEST_F(Hosted, ModelsComeAndGoWithinTheirMemory) {
  options.max_length = 256;
  const ApiServerOptions api{.runtime_models = {.folder = path->parent_path().string(),
                                                .models_max = 2,
                                                .kv_cache_bytes = 64LL << 20,
                                                .pretrained = {.verbose = false},
                                                .surge = options}};
  ModelHost host(api);
  const std::string file = path->filename().string();
  EXPECT_FALSE(host.check({.names = {"a"}, .path = "../x"}));
  EXPECT_TRUE(host.check({.names = {"a"}, .path = file}));
  EXPECT_TRUE(host.check({.names = {file}, .path = ""}));
  const auto a = host.load({.names = {"a", "aa"}, .path = file, .max_length = 128});
  ASSERT_TRUE(a) << a.error().message;
  EXPECT_EQ(a->options.context_max, 128);
  EXPECT_EQ(a->options.model_names, (std::vector<std::string>{"a", "aa"}));
  const auto b = host.load({.names = {"b"}, .path = file});
  ASSERT_TRUE(b) << b.error().message;
  std::int64_t bytes = 0;
  for (const HostedModel& model : host.models()) {
    bytes += model.surge->pages * model.surge->page_bytes;
  }
  EXPECT_LE(bytes, 64LL << 20);
  const auto c = host.load({.names = {"c"}, .path = file});
  ASSERT_FALSE(c);
  EXPECT_EQ(c.error().code, base::ErrorCode::kConflict);
  const std::int64_t taken = taken_by_all_surges();
  EXPECT_TRUE(host.stop("a"));
  host.release("a");
  host.release("a");
  EXPECT_LT(taken_by_all_surges(), taken);
  EXPECT_EQ(host.models().size(), 1u);
  EXPECT_TRUE(host.load({.names = {"c"}, .path = file}));
}

TEST_F(Hosted, ALoadThatFailsTakesNothing) {
  const Folder folder;
  fs::create_directories(folder.path / "bad");
  std::ofstream(folder.path / "bad" / "config.json") << "{";
  const ApiServerOptions api{.runtime_models = {.folder = folder.path.string(),
                                                .models_max = 1,
                                                .kv_cache_bytes = 1 << 20,
                                                .pretrained = {.verbose = false},
                                                .surge = options}};
  ModelHost host(api);
  for (int i = 0; i < 3; ++i) {
    const auto bad = host.load({.names = {"a"}, .path = "bad"});
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().code, base::ErrorCode::kBadModel) << bad.error().message;
  }
  EXPECT_TRUE(host.models().empty());
}

TEST_F(Hosted, AServerHasTheNamesOfItsMap) {
  options.max_length = 256;
  const auto map_of = [&] { return divide_memory({source("a")}, options).vsurge_map; };
  EXPECT_NO_THROW(vSurgeApiServer(map_of(), {.model_aliases = {{"a", {"b"}}}}));
  EXPECT_THROW(vSurgeApiServer(map_of(), {.model_aliases = {{"a", {"a"}}}}), Error);
  EXPECT_THROW(vSurgeApiServer(map_of(), {.model_aliases = {{"none", {"b"}}}}), Error);
  EXPECT_THROW(vSurgeApiServer(map_of(), {.served_model_names = {"c"}}), Error);
  EXPECT_THROW(vSurgeApiServer(std::map<std::string, vSurge>()), Error);
}

}  // namespace
}  // namespace vsurge::facade
