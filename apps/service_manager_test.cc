#include "service_manager.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <map>
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
    char room[256];
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

// A manager that finds these variables.
ServiceManager with(std::map<std::string, std::string, std::less<>> variables) {
  return ServiceManager([&](const char* name) {
    const auto found = variables.find(std::string_view(name));
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(ServiceManager, Reloading) {
  const Listener listener;
  EXPECT_TRUE(with({{"NOTIFY_SOCKET", listener.name()}}).tell_reloading());
  const std::string told = listener.take();
  ASSERT_TRUE(told.starts_with("RELOADING=1\nMONOTONIC_USEC=")) << told;
  EXPECT_GT(std::stoll(told.substr(told.rfind('=') + 1)), 0);
}

TEST(ServiceManager, Watchdog) {
  const std::string own = std::to_string(getpid());
  EXPECT_EQ(with({}).watchdog_s(), std::nullopt);
  EXPECT_EQ(with({{"WATCHDOG_USEC", "1500000"}}).watchdog_s(), 1.5);
  EXPECT_EQ(with({{"WATCHDOG_USEC", "1500000"}, {"WATCHDOG_PID", own}}).watchdog_s(), 1.5);
  EXPECT_EQ(with({{"WATCHDOG_USEC", "1500000"}, {"WATCHDOG_PID", "1"}}).watchdog_s(), std::nullopt);
  for (const char* text : {"", "0", "-1", "x", "1s", "99999999999999999999"}) {
    EXPECT_EQ(with({{"WATCHDOG_USEC", text}}).watchdog_s(), std::nullopt) << text;
  }
}

TEST(ServiceManager, Sockets) {
  const std::string own = std::to_string(getpid());
  const auto none = with({{"LISTEN_PID", "1"}, {"LISTEN_FDS", "2"}}).sockets();
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->listen.empty()) << "they are another process's";
  EXPECT_TRUE(with({{"LISTEN_FDS", "2"}}).sockets()->listen.empty());
  const auto plain = with({{"LISTEN_PID", own}, {"LISTEN_FDS", "2"}}).sockets();
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->listen, (std::vector<std::string>{"fd:3", "fd:4"}));
  const auto named = with({{"LISTEN_PID", own},
                           {"LISTEN_FDS", "4"},
                           {"LISTEN_FDNAMES", "vsurge.socket:admin:administrator"}})
                         .sockets();
  ASSERT_TRUE(named);
  EXPECT_EQ(named->listen, (std::vector<std::string>{"fd:3", "fd:5", "fd:6"}));
  EXPECT_EQ(named->admin_listen, std::vector<std::string>{"fd:4"});
  for (const char* count : {"x", "-1", "257", "1 "}) {
    const auto wrong = with({{"LISTEN_PID", own}, {"LISTEN_FDS", count}}).sockets();
    ASSERT_FALSE(wrong) << count;
    EXPECT_EQ(wrong.error().code, base::ErrorCode::kUsage);
  }
}

}  // namespace
}  // namespace vsurge::apps
