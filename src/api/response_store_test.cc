#include "api/response_store.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include <filesystem>
#include <fstream>

namespace vsurge::api {
namespace {

StoredResponse response(const std::string& id, std::size_t bytes = 1) {
  return {id, "", std::string(bytes, 'o'), "[1]", "[2]", "[3]"};
}

class ResponseStores : public ::testing::TestWithParam<bool> {
 protected:
  ResponseStores() {
    std::string name = (std::filesystem::temp_directory_path() / "vsurge-store-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    path_ = folder_ / "responses.sqlite";
  }
  ~ResponseStores() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  std::unique_ptr<ResponseStore> open(const ResponseStoreLimits& limits) {
    if (!GetParam()) return make_memory_store(limits);
    auto store = open_file_store(path_, limits);
    EXPECT_TRUE(store.has_value()) << store.error().message;
    return std::move(*store);
  }
  std::filesystem::path folder_, path_;
};

TEST_P(ResponseStores, PutFindErase) {
  const auto store = open({});
  ASSERT_TRUE(store->put(response("a")).has_value());
  const auto found = store->response("a").value();
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->object, "o");
  EXPECT_EQ(found->input, "[1]");
  EXPECT_EQ(found->history, "[2]");
  EXPECT_EQ(found->output, "[3]");
  EXPECT_FALSE(store->response("b").value().has_value());
  EXPECT_TRUE(store->erase_response("a").value());
  EXPECT_FALSE(store->erase_response("a").value());
  ASSERT_TRUE(store->put(StoredConversation{"c", "", 7, "{}", "[]"}).has_value());
  ASSERT_TRUE(store->put(StoredConversation{"c", "", 7, "{}", "[9]"}).has_value());
  EXPECT_EQ(store->conversation("c").value()->items, "[9]");
  EXPECT_TRUE(store->erase_conversation("c").value());
}

TEST_P(ResponseStores, OldestGoFirst) {
  const auto store = open({.entries_max = 2, .conversations_max = 1, .bytes_max = 1000});
  for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(store->put(response(id)).has_value());
  EXPECT_FALSE(store->response("a").value().has_value());
  EXPECT_TRUE(store->response("c").value().has_value());
  ASSERT_TRUE(store->put(response("d", 990)).has_value());
  EXPECT_FALSE(store->response("c").value().has_value()) << "by their bytes";
  EXPECT_TRUE(store->response("d").value().has_value());
  for (const char* id : {"x", "y"}) {
    ASSERT_TRUE(store->put(StoredConversation{id, "", 0, "{}", "[]"}).has_value());
  }
  EXPECT_FALSE(store->conversation("x").value().has_value());
  EXPECT_TRUE(store->conversation("y").value().has_value());
}

INSTANTIATE_TEST_SUITE_P(Both, ResponseStores, ::testing::Bool(),
                         [](const auto& each) { return each.param ? "file" : "memory"; });

class ResponseFile : public ResponseStores {};

TEST_P(ResponseFile, OutlivesItsStore) {
  ASSERT_TRUE(open({})->put(response("kept")).has_value());
  EXPECT_TRUE(open({})->response("kept").value().has_value());
}

TEST_P(ResponseFile, OfSomethingElseIsRefused) {
  std::ofstream(path_) << "this is a letter, not a database, and long enough to be seen as one";
  const auto letter = open_file_store(path_, {});
  ASSERT_FALSE(letter.has_value());
  EXPECT_EQ(letter.error().code, base::ErrorCode::kEnvironment);
  const auto nowhere = open_file_store("/no/such/folder/file", {});
  ASSERT_FALSE(nowhere.has_value());
  EXPECT_NE(nowhere.error().message.find("/no/such/folder/file"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(File, ResponseFile, ::testing::Values(true),
                         [](const auto&) { return "file"; });

}  // namespace
}  // namespace vsurge::api
