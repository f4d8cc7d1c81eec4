#include "access/gatekeeper.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "access/key_file.h"

namespace vsurge::access {
namespace {

namespace fs = std::filesystem;

constexpr base::Nanoseconds kSecond = 1'000'000'000;

std::int64_t wall = 1000;
std::int64_t wall_clock() {
  return wall;
}

class GatekeeperTest : public ::testing::Test {
 protected:
  GatekeeperTest() {
    std::string name = (fs::temp_directory_path() / "vsurge_gate_XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    wall = 1000;
  }
  ~GatekeeperTest() override { fs::remove_all(folder_); }

  // The text of the key.
  std::string add(ApiKey key) {
    std::string text = renew_secret(key);
    const auto added = update_key_file(path(), [&](std::vector<ApiKey>& keys) -> base::Status {
      keys.push_back(key);
      return {};
    });
    EXPECT_TRUE(added) << added.error().message;
    return text;
  }
  fs::path path() const { return folder_ / "keys"; }
  std::unique_ptr<Gatekeeper> open() {
    auto made = Gatekeeper::open({.key_file = path(), .unix_seconds = wall_clock});
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }

  fs::path folder_;
};

TEST_F(GatekeeperTest, SeesChangesWithinASecond) {
  const std::string alice = add({.id = "", .name = "alice"});
  const auto gatekeeper = open();
  ASSERT_NE(gatekeeper->find(alice, 0), nullptr);
  const std::string bob = add({.id = "", .name = "bob"});
  EXPECT_EQ(gatekeeper->find(bob, kSecond - 1), nullptr);
  ASSERT_NE(gatekeeper->find(bob, kSecond), nullptr);
  ASSERT_TRUE(update_key_file(path(), [](std::vector<ApiKey>& keys) -> base::Status {
    keys.erase(keys.begin());
    return {};
  }));
  EXPECT_EQ(gatekeeper->find(alice, 2 * kSecond), nullptr);
  EXPECT_NE(gatekeeper->find(bob, 2 * kSecond), nullptr);
}

TEST_F(GatekeeperTest, ABrokenFileChangesNothing) {
  const std::string alice = add({.id = "", .name = "alice"});
  const auto gatekeeper = open();
  std::ofstream(path()) << "rubbish";
  EXPECT_NE(gatekeeper->find(alice, kSecond), nullptr);
  fs::remove(path());
  EXPECT_NE(gatekeeper->find(alice, 2 * kSecond), nullptr);
  const std::string bob = add({.id = "", .name = "bob"});
  EXPECT_NE(gatekeeper->find(bob, 3 * kSecond), nullptr);
  EXPECT_EQ(gatekeeper->find(alice, 3 * kSecond), nullptr);
}

TEST_F(GatekeeperTest, KeysExpire) {
  const std::string alice = add({.id = "", .name = "alice", .expires = 1001});
  const auto gatekeeper = open();
  EXPECT_NE(gatekeeper->find(alice, 0), nullptr);
  wall = 1001;
  EXPECT_EQ(gatekeeper->find(alice, 0), nullptr);
}

TEST_F(GatekeeperTest, CountsByKey) {
  const std::string a = add({.id = "", .name = "a", .limits = {.requests_per_minute = 1}});
  const std::string b = add({.id = "", .name = "b", .limits = {.requests_per_minute = 1}});
  const auto gatekeeper = open();
  const auto key_a = gatekeeper->find(a, 0);
  const auto key_b = gatekeeper->find(b, 0);
  EXPECT_FALSE(gatekeeper->begin(*key_a, 0));
  EXPECT_TRUE(gatekeeper->begin(*key_a, 0));
  EXPECT_FALSE(gatekeeper->begin(*key_b, 0));
  gatekeeper->end(key_a->id, 10, 0);
  EXPECT_EQ(gatekeeper->standings(key_a->id, 0).requests->remaining, 0);
  EXPECT_FALSE(gatekeeper->standings(key_a->id, 0).tokens);
  EXPECT_FALSE(gatekeeper->standings("nobody", 0).requests);
}

TEST_F(GatekeeperTest, PlainKeysAndFaults) {
  const auto gatekeeper = Gatekeeper::open({.plain_keys = {"long enough"}});
  ASSERT_TRUE(gatekeeper);
  EXPECT_EQ((*gatekeeper)->find("long enough", 0)->name, "api-key-1");
  EXPECT_EQ((*gatekeeper)->find("", 0), nullptr);
  EXPECT_EQ(Gatekeeper::open({.plain_keys = {"short"}}).error().code, base::ErrorCode::kUsage);
  EXPECT_EQ(Gatekeeper::open({.key_file = path()}).error().code, base::ErrorCode::kEnvironment);
}

}  // namespace
}  // namespace vsurge::access
