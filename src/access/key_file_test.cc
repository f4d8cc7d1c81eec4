#include "access/key_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

namespace vsurge::access {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class KeyFile : public ::testing::Test {
 protected:
  KeyFile() {
    std::string name = (fs::temp_directory_path() / "vsurge_keys_XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    path_ = folder_ / "keys";
  }
  ~KeyFile() override { fs::remove_all(folder_); }

  base::Status add(const std::string& name) {
    return update_key_file(path_, [&](std::vector<ApiKey>& keys) -> base::Status {
      keys.push_back({.id = "", .name = name});
      renew_secret(keys.back());
      return {};
    });
  }

  fs::path folder_;
  fs::path path_;
};

TEST_F(KeyFile, KeepsAllOfAKey) {
  ApiKey key{.id = "",
             .name = "alice",
             .role = Role::kReadonly,
             .models = {"a", "b \" é"},
             .limits = {.requests_per_minute = 1,
                        .requests_per_day = 2,
                        .tokens_per_minute = 3,
                        .tokens_per_day = 4,
                        .concurrent_requests = 5},
             .created = 6,
             .expires = 7};
  renew_secret(key);
  ApiKey plain{.id = "", .name = "bob", .created = 1};
  renew_secret(plain);
  const std::vector<ApiKey> keys = {key, plain};
  EXPECT_EQ(parse_key_file(key_file_text(keys)), keys);
  EXPECT_THAT(key_file_text({plain}), ::testing::Not(HasSubstr("per_minute")));
}

TEST_F(KeyFile, SaysWhatIsWrong) {
  ApiKey key{.id = "", .name = "alice", .created = 1};
  renew_secret(key);
  const std::string good = key_file_text({key});
  const auto broken = [&](std::string_view what, std::string_view by) {
    std::string text = good;
    text.replace(text.find(what), what.size(), by);
    const auto keys = parse_key_file(text);
    return keys ? "no error" : keys.error().message;
  };
  EXPECT_EQ(broken("\"vsurge_keys\":1", "\"vsurge_keys\":2"),
            "line 1: expected {\"vsurge_keys\":1}, the mark of a key file");
  EXPECT_EQ(broken("\"alice\"", "\"al ice\""), "line 2: 'name' must be letters, digits or . _ - @");
  EXPECT_EQ(broken("\"user\"", "\"root\""), "line 2: 'role' must be admin, user or readonly");
  EXPECT_EQ(broken("\"created\":1", "\"created\":-1"),
            "line 2: 'created' must be an integer above 0");
  EXPECT_EQ(broken("\"created\":1", "\"created\":1,\"more\":1"), "line 2: members that no key has");
  EXPECT_EQ(broken("\"salt\":\"", "\"salt\":\"0"), "line 2: 'salt' must be 32 digits of hex");
  EXPECT_EQ(broken("\"id\":\"", "\"id\":\"0"), "line 2: 'id' must be 12 digits of hex");
  EXPECT_EQ(broken("}\n{\"id\"", "}\nx{\"id\""), "line 2: not a JSON object");
  EXPECT_EQ(parse_key_file("").error().message,
            "line 1: expected {\"vsurge_keys\":1}, the mark of a key file");
  ApiKey twin = key;
  twin.id = "000000000000";
  EXPECT_EQ(parse_key_file(key_file_text({key, twin})).error().message,
            "line 3: a name or id that stood before");
  twin = key;
  twin.name = "bob";
  EXPECT_EQ(parse_key_file(key_file_text({key, twin})).error().message,
            "line 3: a name or id that stood before");
}

TEST_F(KeyFile, IsForItsOwnerAlone) {
  ASSERT_TRUE(add("alice"));
  struct stat status{};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_EQ(read_key_file(path_)->front().name, "alice");
  EXPECT_THAT(read_key_file(folder_ / "none").error().message, HasSubstr("cannot be read"));
}

// What is refused changes nothing.
TEST_F(KeyFile, KeepsTheOldKeysOnErrors) {
  ASSERT_TRUE(add("alice"));
  EXPECT_FALSE(add("alice"));
  EXPECT_FALSE(add("al ice"));
  EXPECT_EQ(read_key_file(path_)->size(), 1U);
  std::ofstream(path_) << "rubbish";
  EXPECT_FALSE(add("bob"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

// Writers that are killed at any point lose no key that was there, and the file is always whole.
TEST_F(KeyFile, SurvivesItsWriters) {
  ASSERT_TRUE(add("first"));
  std::size_t before = 1;
  for (int round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (int i = 0;; ++i) {
        if (!add("r" + std::to_string(round) + "." + std::to_string(i))) ::_exit(1);
      }
    }
    ::usleep(static_cast<useconds_t>(2000 + 700 * round));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    const auto keys = read_key_file(path_);
    ASSERT_TRUE(keys) << keys.error().message;
    EXPECT_GE(keys->size(), before);
    before = keys->size();
  }
  ASSERT_TRUE(add("last"));
  EXPECT_EQ(read_key_file(path_)->size(), before + 1);
}

// Each of many that write at the same time adds its keys.
TEST_F(KeyFile, WritersWaitForEachOther) {
  std::vector<pid_t> children;
  for (int child = 0; child < 4; ++child) {
    const pid_t id = ::fork();
    ASSERT_GE(id, 0);
    if (id != 0) {
      children.push_back(id);
      continue;
    }
    bool good = true;
    for (int i = 0; i < 5; ++i) {
      good = good && add(std::to_string(child) + "." + std::to_string(i)).has_value();
    }
    ::_exit(good ? 0 : 1);
  }
  for (const pid_t id : children) {
    int status = 1;
    ASSERT_EQ(::waitpid(id, &status, 0), id);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(read_key_file(path_)->size(), 20U);
}

}  // namespace
}  // namespace vsurge::access
