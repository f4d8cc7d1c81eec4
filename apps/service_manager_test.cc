#include "service_manager.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

namespace vsurge::apps {
namespace {

// A datagram socket of a name in the abstract space, as systemd may use.
class Listener {
 public:
  Listener() : name_("@vsurge_notify_" + std::to_string(getpid())) {
    fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name_.data() + 1, name_.size() - 1);
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&address), length), 0);
  }
  ~Listener() { close(fd_); }
  std::string take() const {
    char room[64];
    const auto count = recv(fd_, room, sizeof room, 0);
    return count < 0 ? "nothing" : std::string(room, static_cast<std::size_t>(count));
  }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
  int fd_ = -1;
};

TEST(ServiceManager, IsToldWhenItAsked) {
  const Listener listener;
  const ServiceManager manager([&](const char* name) {
    return std::string_view(name) == "NOTIFY_SOCKET" ? listener.name().c_str() : nullptr;
  });
  EXPECT_TRUE(manager.tell("READY=1"));
  EXPECT_TRUE(manager.tell("STOPPING=1"));
  EXPECT_EQ(listener.take(), "READY=1");
  EXPECT_EQ(listener.take(), "STOPPING=1");
  EXPECT_EQ(listener.take(), "nothing");
}

TEST(ServiceManager, IsNotThere) {
  EXPECT_TRUE(ServiceManager([](const char*) -> const char* { return nullptr; }).tell("READY=1"));
  const std::string long_name(200, 'a');
  for (const std::string& socket : {std::string("/nowhere/at/all"), long_name}) {
    const ServiceManager manager([&](const char*) { return socket.c_str(); });
    const auto told = manager.tell("READY=1");
    ASSERT_FALSE(told);
    EXPECT_EQ(told.error().code, base::ErrorCode::kEnvironment);
  }
}

}  // namespace
}  // namespace vsurge::apps
