// Clients that leave in every state of a connection, by FIN and by RST, plain and over TLS: the
// handler is told where a request is in progress, and nothing of the connection stays.
#include <gtest/gtest.h>

#include <cstddef>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "tests/http_support.h"
#include "tests/tls_support.h"

namespace vsurge::test {
namespace {

struct State {
  const char* name;
  std::string bytes;   // what the client had sent
  bool held = false;   // a request of it is in the handler's hands
  bool begun = false;  // and its stream has begun
  bool idle = false;   // its last request was answered
};

std::vector<State> states() {
  const std::string body = "POST /echo HTTP/1.1\r\nHost: h\r\n";
  return {
      {.name = "silent", .bytes = ""},
      {.name = "in the header", .bytes = "POST /echo HTTP/1.1\r\nHo"},
      {.name = "in the body", .bytes = body + "Content-Length: 100\r\n\r\nabc"},
      {.name = "in a chunk", .bytes = body + "Transfer-Encoding: chunked\r\n\r\n5\r\nab"},
      {.name = "told to go on",
       .bytes = body + "Expect: 100-continue\r\nContent-Length: 100\r\n\r\n"},
      {.name = "idle", .bytes = get_request("/echo"), .idle = true},
      {.name = "waiting", .bytes = get_request("/hold"), .held = true},
      {.name = "streaming", .bytes = get_request("/hold"), .held = true, .begun = true},
      {.name = "waiting, with a next one",
       .bytes = get_request("/hold") + get_request("/echo"),
       .held = true},
      {.name = "streaming, in the next header",
       .bytes = get_request("/hold") + "GET /ec",
       .held = true,
       .begun = true},
  };
}

std::ptrdiff_t open_files() {
  const auto entries = std::filesystem::directory_iterator("/proc/self/fd");
  return std::distance(begin(entries), end(entries));
}

// Brings a client into `state`, lets it leave; what the handler still holds it may answer late.
void leave_in(TestServer& server, const State& state, bool by_reset, bool tls) {
  std::unique_ptr<TlsClient> secure;
  std::unique_ptr<Client> plain;
  if (tls) secure = std::make_unique<TlsClient>(server.port());
  if (!tls) plain = std::make_unique<Client>(server.port());
  Client& socket = tls ? secure->socket() : *plain;
  ASSERT_TRUE(socket.connected());
  if (!state.bytes.empty()) tls ? secure->send(state.bytes) : void(plain->send(state.bytes));
  SteeredHandler::Held held;
  const int gone = server.handler.gone();
  if (state.held) held = server.handler.take();
  if (state.begun) held.responder->begin_stream(200, {});
  if (state.idle) {
    const auto answer = tls ? secure->read_until("GET /echo") : plain->read_response().body;
    EXPECT_NE(answer.find("GET /echo"), std::string::npos);
  }
  by_reset ? socket.reset() : socket.close();
  if (state.held) {
    EXPECT_TRUE(server.handler.wait_gone(gone + 1, 20'000));
    held.responder->write("late");
    held.responder->end();
  }
  EXPECT_TRUE(eventually([&] { return server.http->connections() == 0; }, 20'000));
  EXPECT_EQ(server.handler.gone(), gone + (state.held ? 1 : 0));
}

class Disconnects : public testing::TestWithParam<bool> {};

TEST_P(Disconnects, LeaveNothingBehind) {
  const bool tls = GetParam();
  const Certificate certificate;
  TestServer server([&](auto& options) {
    if (tls) with(certificate)(options);
    options.limits.header_timeout_ms = 60'000;  // they leave; no deadline ends them
  });
  const auto files = open_files();
  for (const State& state : states()) {
    for (const bool by_reset : {false, true}) {
      SCOPED_TRACE(std::string(state.name) + (by_reset ? ", RST" : ", FIN"));
      leave_in(server, state, by_reset, tls);
      if (tls) {
        EXPECT_TRUE(TlsClient(server.port()).is_answered());
      } else {
        EXPECT_EQ(Client(server.port()).get("/echo").status, 200);
      }
      EXPECT_TRUE(eventually([&] { return open_files() == files; }, 20'000));
    }
  }
}

TEST(HttpsServer, NoticesAClientThatLeavesBeforeTheHandshake) {
  const Certificate certificate;
  TestServer server([&](auto& options) {
    with(certificate)(options);
    options.limits.header_timeout_ms = 60'000;
  });
  for (const std::string& bytes : {std::string(), std::string("\x16\x03\x01\x02\x00\x01", 6)}) {
    for (const bool by_reset : {false, true}) {
      Client client(server.port());
      client.send(bytes);
      EXPECT_TRUE(eventually([&] { return server.http->connections() == 1; }, 20'000));
      by_reset ? client.reset() : client.close();
      EXPECT_TRUE(eventually([&] { return server.http->connections() == 0; }, 20'000));
    }
  }
  EXPECT_TRUE(TlsClient(server.port()).is_answered());
}

INSTANTIATE_TEST_SUITE_P(, Disconnects, testing::Bool(),
                         [](const auto& tls) { return tls.param ? "Tls" : "Plain"; });

}  // namespace
}  // namespace vsurge::test
