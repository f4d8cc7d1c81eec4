// One server on several listeners: TCP, Unix sockets, sockets that were handed over, a door for
// admins; with and without TLS.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <thread>

#include "tests/http_support.h"
#include "tests/tls_support.h"

namespace vsurge::test {
namespace {

using namespace std::chrono_literals;
using server::ListenAddress;
namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "vsurge_listen_XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path_); }
  std::string at(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

ListenAddress address(const std::string& text, bool admin = false) {
  auto parsed = server::parse_listen_address(text);
  if (!parsed) ADD_FAILURE() << parsed.error().message;
  parsed->admin = admin;
  return *parsed;
}

std::string own_name() {
  return "unix:" + std::to_string(::getuid());
}

TEST(HttpListeners, EachAnswersAndNamesWhoCame) {
  const Folder folder;
  const std::string path = folder.at("s");
  const std::string ruled = folder.at("admin");
  TestServer server([&](auto& options) {
    options.listen = {address("unix:" + path), address("tcp:127.0.0.1:0"),
                      address("unix:" + ruled + ",mode=0600", true)};
  });
  const auto urls = server.http->urls(api::Door::kPublic);
  ASSERT_EQ(urls.size(), 3U);
  EXPECT_EQ(urls[0], "http://127.0.0.1:" + std::to_string(server.port()));
  EXPECT_EQ(urls[1], "unix:" + path);
  const auto second = static_cast<std::uint16_t>(std::stoi(urls[2].substr(urls[2].rfind(':') + 1)));
  EXPECT_NE(second, server.port());
  EXPECT_EQ(server.http->urls(api::Door::kAdmin), std::vector<std::string>{"unix:" + ruled});
  EXPECT_EQ(Client(server.port()).get("/origin").body, "127.0.0.1 public");
  EXPECT_EQ(Client(second).get("/origin").body, "127.0.0.1 public");
  EXPECT_EQ(Client(path).get("/origin").body, own_name() + " public");
  EXPECT_EQ(Client(ruled).get("/origin").body, own_name() + " admin");
}

TEST(HttpListeners, UnixSocketsStreamAndNoticeWhoLeaves) {
  const Folder folder;
  const std::string path = folder.at("s");
  TestServer server([&](auto& options) {
    options.host.clear();
    options.listen = {address("unix:" + path)};
  });
  EXPECT_EQ(server.port(), 0);
  Client client(path);
  client.send(get_request("/stream?3") + post_request("/echo", std::string(1'000'000, 'x')));
  EXPECT_EQ(client.read_response().body, "data: 0\n\ndata: 1\n\ndata: 2\n\n");
  EXPECT_TRUE(client.read_response().body.ends_with(std::string(1'000'000, 'x')));
  for (int i = 0; i < 4; ++i) {
    Client leaving(path);
    leaving.send(get_request("/hold"));
    auto held = server.handler.take();
    if (i % 2 == 0) held.responder->begin_stream(200, {});
    i < 2 ? leaving.close() : leaving.half_close();
    EXPECT_TRUE(server.handler.wait_gone(i + 1, 5000));
  }
  client.close();
  EXPECT_TRUE(eventually([&] { return server.http->connections() == 0; }, 5000));
}

TEST(HttpListeners, SlowReadersOfUnixSocketsAreBounded) {
  const Folder folder;
  const std::string path = folder.at("s");
  TestServer server([&](auto& options) {
    options.listen = {address("unix:" + path)};
    options.limits.send_buffer_bytes = 16 * 1024;
    options.limits.stream_buffer_bytes_max = 64 * 1024;
  });
  Client client(path);
  client.send(get_request("/hold"));
  auto held = server.handler.take();
  held.responder->begin_stream(200, {});
  int written = 0;
  while (server.handler.gone() == 0 && written < 10'000) {
    held.responder->write(std::string(1000, 'x'));
    ++written;
    std::this_thread::sleep_for(100us);
  }
  EXPECT_EQ(server.handler.gone(), 1);
  EXPECT_LT(written, 1000) << "the kernel's buffer, and 64 KiB of ours";
}

TEST(HttpListeners, DrainingRemovesTheFileAndFinishesAnswers) {
  const Folder folder;
  const std::string path = folder.at("s");
  TestServer server([&](auto& options) { options.listen = {address("unix:" + path)}; });
  Client client(path);
  client.send(get_request("/hold"));
  auto held = server.handler.take();
  std::thread drainer([&] { EXPECT_TRUE(server.http->drain(20'000)); });
  EXPECT_TRUE(eventually([&] { return !fs::exists(path); }, 5000)) << "a successor may take it";
  EXPECT_FALSE(Client(path).connected());
  held.responder->send(200, {}, "at last");
  EXPECT_EQ(client.read_response().body, "at last");
  drainer.join();
}

TEST(HttpListeners, HandedSocketsOutliveTheServer) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::listen(fd, 16), 0);
  for (int round = 0; round < 2; ++round) {
    TestServer server([&](auto& options) {
      options.host.clear();
      options.listen = {address("fd:" + std::to_string(fd))};
    });
    EXPECT_EQ(Client(server.port()).get("/origin").body, "127.0.0.1 public");
  }
  ::close(fd);
}

TEST(HttpListeners, ThereIsOneAtLeast) {
  SteeredHandler handler;
  server::ServerOptions options;
  options.host.clear();
  const auto none = server::HttpServer::listen(options, handler);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, base::ErrorCode::kUsage);
}

TEST(HttpListeners, EachHasTlsOrNot) {
  const Folder folder;
  const Certificate certificate;
  TestServer server([&](auto& options) {
    with(certificate)(options);
    options.listen = {address("unix:" + folder.at("plain")), address("tcp:127.0.0.1:0,plain")};
  });
  EXPECT_TRUE(TlsClient(server.port()).is_answered());
  EXPECT_EQ(Client(folder.at("plain")).get("/echo").status, 200);
  const auto urls = server.http->urls(api::Door::kPublic);
  EXPECT_TRUE(urls[0].starts_with("https://"));
  ASSERT_TRUE(urls[2].starts_with("http://"));
  const auto plain = static_cast<std::uint16_t>(std::stoi(urls[2].substr(urls[2].rfind(':') + 1)));
  EXPECT_EQ(Client(plain).get("/echo").status, 200);
  EXPECT_FALSE(TlsClient(plain).connected());
}

TEST(HttpListeners, AdminsGetInWhenItIsFull) {
  const Folder folder;
  TestServer server([&](auto& options) {
    options.limits.connections_max = 2;
    options.listen = {address("unix:" + folder.at("s")),
                      address("unix:" + folder.at("admin"), true)};
  });
  Client first(server.port());
  Client second(folder.at("s"));
  EXPECT_EQ(first.get("/echo").status, 200);
  EXPECT_EQ(second.get("/echo").status, 200);
  Client third(folder.at("s"));
  EXPECT_EQ(third.read_response().status, 503);
  EXPECT_EQ(Client(folder.at("admin")).get("/origin").status, 200);
}

TEST(HttpListeners, BeatsStopWhenAThreadHangs) {
  TestServer server([](auto& options) { options.io_threads = 2; });
  EXPECT_TRUE(server.http->beats());
  EXPECT_TRUE(eventually([&] { return server.http->beats(); })) << "both have run their task";
  Client client(server.port());
  client.send(get_request("/hold"));
  const auto held = server.handler.take();
  std::promise<void> go_on;
  held.responder->post([&] { go_on.get_future().wait(); });
  EXPECT_TRUE(eventually([&] { return !server.http->beats(); }));
  std::this_thread::sleep_for(20ms);
  EXPECT_FALSE(server.http->beats());
  go_on.set_value();
  EXPECT_TRUE(eventually([&] { return server.http->beats(); }));
}

}  // namespace
}  // namespace vsurge::test
