#include "model_list.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace vsurge::apps {
namespace {

namespace fs = std::filesystem;

std::string refusal(const ModelListOptions& options) {
  try {
    list_models(options);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  return "";
}

TEST(ModelList, TakesNamesAndAliasesApart) {
  const auto models = list_models({.models = {"chat,gpt-4o=/models/a=b", "org/embed=/models/c"}});
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0].names, (std::vector<std::string>{"chat", "gpt-4o"}));
  EXPECT_EQ(models[0].path, "/models/a=b");
  EXPECT_EQ(models[1].names, (std::vector<std::string>{"org/embed"}));
  EXPECT_EQ(models[1].memory, 1);
}

TEST(ModelList, OneWithoutANameIsAsItAlwaysWas) {
  EXPECT_TRUE(is_single({}, list_models({})));
  const ModelListOptions plain{.models = {"/models/a"}};
  const auto models = list_models(plain);
  EXPECT_TRUE(is_single(plain, models));
  EXPECT_EQ(models.front().path, "/models/a");
  EXPECT_FALSE(is_single({.models = {"n=/models/a"}}, list_models({.models = {"n=/models/a"}})));
  EXPECT_FALSE(is_single({.models = {}, .folder = "/models"}, list_models({})));
}

TEST(ModelList, APathThatIsThereIsNotTakenApart) {
  std::string name = (fs::temp_directory_path() / "vsurge_list_XXXXXX").string();
  const fs::path folder = ::mkdtemp(name.data());
  const fs::path model = folder / "a=b.gguf";
  std::ofstream(model) << "x";
  const auto models = list_models({.models = {model.string()}});
  EXPECT_TRUE(models.front().names.empty());
  EXPECT_EQ(models.front().path, model.string());
  fs::remove_all(folder);
}

TEST(ModelList, WeightsGoByAnyName) {
  const auto models = list_models(
      {.models = {"a,b=/x", "c=/y", "/models/plain.gguf"}, .memory = {"b=2", "plain=0.5"}});
  EXPECT_EQ(models[0].memory, 2);
  EXPECT_EQ(models[1].memory, 1);
  EXPECT_EQ(models[2].memory, 0.5);
}

TEST(ModelList, SaysWhatIsWrong) {
  for (const char* text : {"=/x", "a,=/x", ",a=/x", "a="}) {
    EXPECT_NE(refusal({.models = {text}}).find("NAME=PATH"), std::string::npos) << text;
  }
  EXPECT_NE(refusal({.models = {"a=/x", "a=/y"}}).find("'a'"), std::string::npos);
  EXPECT_NE(refusal({.models = {"/x/a", "b,a=/y"}}).find("'a'"), std::string::npos);
  for (const char* text : {"a", "a=", "a=0", "a=-1", "a=x", "a=1e9", "a=1x", "a=nan"}) {
    EXPECT_NE(refusal({.models = {"a=/x"}, .memory = {text}}).find("NAME=WEIGHT"),
              std::string::npos)
        << text;
  }
  EXPECT_NE(refusal({.models = {"a=/x"}, .memory = {"b=1"}}).find("'b'"), std::string::npos);
  EXPECT_NE(refusal({.models = {"a=/x"}, .models_max = 2}).find("--model-folder"),
            std::string::npos);
  EXPECT_NE(
      refusal({.models = {"a=/x", "b=/y"}, .folder = "/m", .models_max = 1}).find("--models-max"),
      std::string::npos);
}

}  // namespace
}  // namespace vsurge::apps
