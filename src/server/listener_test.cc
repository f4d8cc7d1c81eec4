#include "server/listener.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace vsurge::server {
namespace {

namespace fs = std::filesystem;

class ListenerTest : public ::testing::Test {
 protected:
  ListenerTest() {
    std::string name = (fs::temp_directory_path() / "vsurge_listener_XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    address_.kind = ListenAddress::Kind::kUnix;
    address_.path = folder_ / "s";
  }
  ~ListenerTest() override { fs::remove_all(folder_); }

  base::Result<Listener> open() const { return Listener::open(address_, false, {}); }
  std::string refusal() const {
    const auto listener = open();
    EXPECT_FALSE(listener);
    if (listener) return "";
    EXPECT_EQ(listener.error().code, base::ErrorCode::kEnvironment);
    return listener.error().message;
  }
  // A socket's file as a process leaves it that was killed.
  void leave_file() const {
    auto listener = open();
    ASSERT_TRUE(listener);
    const fs::path aside = folder_ / "aside";
    fs::rename(address_.path, aside);
    listener->close();  // looks for its file in vain
    fs::rename(aside, address_.path);
  }
  int connect() const {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, address_.path.data(), address_.path.size());
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0) return fd;
    ::close(fd);
    return -1;
  }

  fs::path folder_;
  ListenAddress address_;
};

TEST_F(ListenerTest, UnixSocketsHaveTheirModeAndAreRemoved) {
  address_.mode = 0620;
  {
    const auto listener = open();
    ASSERT_TRUE(listener) << listener.error().message;
    struct stat file{};
    ASSERT_EQ(::lstat(address_.path.c_str(), &file), 0);
    EXPECT_TRUE(S_ISSOCK(file.st_mode));
    EXPECT_EQ(file.st_mode & 0777U, 0620U);
    EXPECT_EQ(listener->url(), "unix:" + address_.path);
    EXPECT_EQ(listener->family(), AF_UNIX);
    EXPECT_EQ(listener->port(), 0);
    EXPECT_FALSE(listener->tls());
  }
  EXPECT_FALSE(fs::exists(address_.path));
}

TEST_F(ListenerTest, ReplacesAFileOnWhichNobodyListens) {
  leave_file();
  ASSERT_TRUE(fs::exists(address_.path));
  const auto listener = open();
  ASSERT_TRUE(listener) << listener.error().message;
  const int client = connect();
  EXPECT_GE(client, 0);
  ::close(client);
}

TEST_F(ListenerTest, LeavesTheSocketsOfOthersAlone) {
  const auto first = open();
  ASSERT_TRUE(first);
  EXPECT_NE(refusal().find("another process listens"), std::string::npos);
  const int client = connect();
  EXPECT_GE(client, 0) << "the first one still listens";
  ::close(client);
}

TEST_F(ListenerTest, LeavesOtherFilesAlone) {
  std::ofstream(address_.path) << "mine";
  EXPECT_NE(refusal().find("no socket"), std::string::npos);
  EXPECT_EQ(fs::file_size(address_.path), 4U);
  fs::remove(address_.path);
  fs::create_symlink("/nowhere", address_.path);
  EXPECT_NE(refusal().find("no socket"), std::string::npos);
  address_.path = "/nowhere/s";
  EXPECT_NE(refusal().find("/nowhere/s"), std::string::npos);
}

TEST_F(ListenerTest, RemovesOnlyItsOwnFile) {
  auto listener = open();
  ASSERT_TRUE(listener);
  fs::remove(address_.path);
  const auto second = open();  // has taken its place
  ASSERT_TRUE(second);
  listener->close();
  EXPECT_TRUE(fs::exists(address_.path));
}

TEST_F(ListenerTest, TakesOverWhatListensAlready) {
  auto owner = open();
  ASSERT_TRUE(owner);
  ListenAddress handed;
  handed.kind = ListenAddress::Kind::kDescriptor;
  handed.descriptor = owner->descriptor();
  {
    const auto listener = Listener::open(handed, false, {});
    ASSERT_TRUE(listener) << listener.error().message;
    EXPECT_NE(listener->descriptor(), handed.descriptor);
    EXPECT_EQ(listener->url(), "unix:" + address_.path);
  }
  EXPECT_TRUE(fs::exists(address_.path)) << "the file is the owner's";
  const int client = connect();
  EXPECT_GE(client, 0) << "and so is the socket";
  const int other = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  for (const int wrong : {client, other, null, 9999}) {
    handed.descriptor = wrong;
    EXPECT_FALSE(Listener::open(handed, false, {})) << wrong;
  }
  for (const int fd : {client, other, null}) ::close(fd);
}

TEST_F(ListenerTest, TcpAndTls) {
  ListenAddress tcp;
  tcp.host = "127.0.0.1";
  const auto plain = Listener::open(tcp, false, {});
  ASSERT_TRUE(plain);
  EXPECT_GT(plain->port(), 0);
  EXPECT_EQ(plain->url(), "http://127.0.0.1:" + std::to_string(plain->port()));
  const auto secured = Listener::open(tcp, true, {});
  ASSERT_TRUE(secured);
  EXPECT_TRUE(secured->tls());
  EXPECT_TRUE(secured->url().starts_with("https://"));
  EXPECT_FALSE(Listener::open(address_, true, {})->tls()) << "Unix sockets want no TLS";
  tcp.tls = false;
  EXPECT_FALSE(Listener::open(tcp, true, {})->tls());
  address_.tls = true;
  EXPECT_TRUE(Listener::open(address_, true, {})->tls());
  const auto without_files = Listener::open(address_, false, {});
  ASSERT_FALSE(without_files);
  EXPECT_EQ(without_files.error().code, base::ErrorCode::kUsage);
  tcp.port = plain->port();
  EXPECT_EQ(Listener::open(tcp, false, {}).error().code, base::ErrorCode::kEnvironment);
}

TEST_F(ListenerTest, PeersHaveNames) {
  const auto listener = open();
  ASSERT_TRUE(listener);
  const int client = connect();
  const int accepted = ::accept4(listener->descriptor(), nullptr, nullptr, SOCK_CLOEXEC);
  const auto peer = peer_of(accepted);
  ASSERT_TRUE(peer);
  EXPECT_EQ(peer->name, "unix:" + std::to_string(::getuid()));
  EXPECT_EQ(peer->client, "") << "this machine is not limited";
  for (const int fd : {client, accepted}) ::close(fd);
  EXPECT_FALSE(peer_of(-1));
}

}  // namespace
}  // namespace vsurge::server
