// The HTTP server over loopback: requests, answers, streams, clients that leave, the end.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <thread>

#include "tests/http_support.h"

namespace vsurge::test {
namespace {

using namespace std::chrono_literals;

TEST(HttpServer, AnswersAndKeepsTheConnection) {
  TestServer server;
  Client client(server.port());
  for (int i = 0; i < 3; ++i) {
    client.send(
        "POST /echo%20a/b?x=%201 HTTP/1.1\r\nHost: h\r\nX-Thing:  v \r\nContent-Length: 5\r\n"
        "\r\nhello");
    const auto response = client.read_response();
    EXPECT_EQ(response.status, 200);
    EXPECT_TRUE(response.whole);
    EXPECT_EQ(response.body, "POST /echo a/b?x=%201\nhost=h\nx-thing=v\ncontent-length=5\n\nhello");
    EXPECT_TRUE(response.headers.contains("date"));
    EXPECT_FALSE(response.headers.contains("connection"));
  }
  EXPECT_EQ(server.http->connections(), 1u);
}

TEST(HttpServer, ReadsABodyInChunksAndInPieces) {
  TestServer server;
  Client client(server.port());
  const std::string request =
      "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3;ext=1\r\nabc\r\n00A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
  for (const char byte : request) {
    client.send({&byte, 1});
    std::this_thread::sleep_for(200us);
  }
  const auto response = client.read_response();
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(response.body.ends_with("\n\nabc0123456789")) << response.body;
  EXPECT_EQ(response.body.find("trailer"), std::string::npos);
}

TEST(HttpServer, AnswersPipelinedRequestsInOrder) {
  TestServer server;
  Client client(server.port());
  std::string all;
  for (int i = 0; i < 1000; ++i) all += get_request("/echo?" + std::to_string(i));
  std::jthread sender([&] { client.send(all); });
  for (int i = 0; i < 1000; ++i) {
    const auto response = client.read_response();
    ASSERT_TRUE(response.body.starts_with("GET /echo?" + std::to_string(i) + "\n")) << i;
  }
}

TEST(HttpServer, HoldsPipelinedRequestsBackUntilTheFirstIsAnswered) {
  TestServer server;
  Client client(server.port());
  client.send(get_request("/hold?1") + get_request("/echo?2") + get_request("/stream?3"));
  auto held = server.handler.take();
  ASSERT_TRUE(held.responder);
  std::this_thread::sleep_for(50ms);
  client.send(get_request("/hold?4"));
  std::this_thread::sleep_for(50ms);
  std::jthread other([&] { held.responder->send(200, {}, "first"); });
  other.join();
  EXPECT_EQ(client.read_response().body, "first");
  EXPECT_TRUE(client.read_response().body.starts_with("GET /echo?2"));
  EXPECT_EQ(client.read_response().body, "data: 0\n\ndata: 1\n\ndata: 2\n\n");
  auto last = server.handler.take();
  ASSERT_TRUE(last.responder);
  last.responder->send(200, {}, "fourth");
  EXPECT_EQ(client.read_response().body, "fourth");
  EXPECT_EQ(server.handler.gone(), 0);
}

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

TEST(HttpServer, PipelinedRequestsCostNothingWhileTheyWait) {
  TestServer server;
  Client client(server.port());
  client.send(get_request("/hold"));
  auto held = server.handler.take();
  ASSERT_TRUE(held.responder);
  client.send(get_request("/echo?2"));
  std::this_thread::sleep_for(50ms);
  const double before = cpu_seconds();
  std::this_thread::sleep_for(1s);
  EXPECT_LT(cpu_seconds() - before, 0.5) << "a thread runs in circles";
  held.responder->send(200, {}, "first");
  EXPECT_EQ(client.read_response().body, "first");
  EXPECT_TRUE(client.read_response().body.starts_with("GET /echo?2"));
}

TEST(HttpServer, PipelinedRequestsEndWithABadOneOrAClose) {
  TestServer server;
  const std::string close = get_request("/echo?close", "Connection: close\r\n");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"GET /bad HTTP/1.1\r\n\r\n", "HTTP/1.1 400"},  // no Host
      {close, "HTTP/1.1 200"},
  };
  for (const auto& [middle, status] : cases) {
    Client client(server.port());
    client.send(get_request("/echo?1") + middle + get_request("/echo?3"));
    EXPECT_TRUE(client.read_response().body.starts_with("GET /echo?1"));
    const auto rest = client.read_to_end(5000);
    EXPECT_TRUE(rest.starts_with(status)) << rest;
    EXPECT_EQ(rest.find("/echo?3"), std::string::npos) << rest;
  }
}

TEST(HttpServer, RootPathMayStandBeforeEveryPath) {
  TestServer server([](auto& options) { options.root_path = "/llm"; });
  Client client(server.port());
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"/llm/echo?q", "/echo?q"}, {"/echo", "/echo?"}, {"/llm", "/?"}, {"/llmecho", "/llmecho?"}};
  for (const auto& [sent, seen] : cases) {
    EXPECT_TRUE(client.get(sent).body.starts_with("GET " + seen + "\n")) << sent;
  }
}

TEST(HttpServer, WritesOfOneTurnLeaveAsOneChunk) {
  TestServer server;
  Client client(server.port());
  client.send(get_request("/stream?100"));
  const auto response = client.read_response();
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(response.whole);
  EXPECT_EQ(response.chunks.size(), 1u);
  EXPECT_TRUE(response.body.ends_with("data: 99\n\n"));
  EXPECT_EQ(response.headers.at("content-type"), "text/event-stream");
  EXPECT_EQ(client.get("/echo").status, 200) << "the connection is kept after a stream";
}

TEST(HttpServer, StreamsFromAnotherThreadArriveAtOnce) {
  TestServer server;
  Client client(server.port());
  client.send(get_request("/hold"));
  auto held = server.handler.take();
  held.responder->begin_stream(200, {});
  for (int i = 0; i < 3; ++i) {
    held.responder->write("frame " + std::to_string(i));
    std::this_thread::sleep_for(50ms);
  }
  held.responder->end();
  const auto response = client.read_response();
  EXPECT_TRUE(response.whole);
  EXPECT_EQ(response.chunks, (std::vector<std::string>{"frame 0", "frame 1", "frame 2"}));
  held.responder->write("late");
  held.responder->send(200, {}, "later");
  EXPECT_TRUE(client.get("/echo").body.starts_with("GET /echo"));
}

TEST(HttpServer, TasksOfAConnectionRunOneByOneInOrder) {
  TestServer server([](auto& options) { options.io_threads = 2; });
  Client client(server.port());
  client.send(get_request("/hold"));
  auto held = server.handler.take();
  held.responder->begin_stream(200, {});
  int count = 0;  // not atomic: the tasks must not run at once
  for (int i = 0; i < 1000; ++i) {
    held.responder->post([&count, responder = held.responder.get(), i] {
      if (count == i) ++count;
      responder->write("x");
    });
  }
  held.responder->post([&] {
    held.responder->write(std::to_string(count));
    held.responder->end();
  });
  EXPECT_TRUE(client.read_response().body.ends_with("x1000"));
}

TEST(HttpServer, AbortedStreamsHaveNoProperEnd) {
  TestServer server;
  Client client(server.port());
  client.send(get_request("/hold"));
  auto held = server.handler.take();
  held.responder->begin_stream(200, {});
  held.responder->write("error event");
  held.responder->abort();
  const auto response = client.read_response();
  EXPECT_EQ(response.body, "error event");
  EXPECT_FALSE(response.whole);
  EXPECT_TRUE(client.wait_closed(5000));
}

TEST(HttpServer, ForgottenRequestsAreAnsweredWith500) {
  TestServer server;
  Client client(server.port());
  EXPECT_EQ(client.get("/drop").status, 500);
  client.send(get_request("/hold"));
  server.handler.take();  // and dropped, on this thread
  EXPECT_EQ(client.read_response().status, 500);
  client.send(get_request("/hold"));
  {
    auto held = server.handler.take();
    held.responder->begin_stream(200, {});
    held.responder->write("some");
  }
  const auto response = client.read_response();
  EXPECT_EQ(response.body, "some");
  EXPECT_FALSE(response.whole);
}

TEST(HttpServer, HeadHasNoBody) {
  TestServer server;
  Client client(server.port());
  client.send("HEAD /echo HTTP/1.1\r\nHost: h\r\n\r\n");
  const auto response = client.read_response(true);
  EXPECT_EQ(response.status, 200);
  EXPECT_GT(std::stoi(response.headers.at("content-length")), 0);
  client.send("HEAD /stream?5 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(client.read_response(true).status, 200);
  EXPECT_TRUE(client.get("/echo").body.starts_with("GET /echo")) << "no stray bytes between";
}

TEST(HttpServer, ServesHttp10) {
  TestServer server;
  {
    Client client(server.port());
    client.send("GET /echo HTTP/1.0\r\n\r\n");
    EXPECT_TRUE(client.read_response().body.starts_with("GET /echo"));
    EXPECT_TRUE(client.wait_closed(5000));
  }
  {
    Client client(server.port());
    client.send("GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(client.read_response().headers.at("connection"), "keep-alive");
    client.send("GET /stream?2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const auto response = client.read_response();
    EXPECT_FALSE(response.headers.contains("transfer-encoding"));
    EXPECT_EQ(response.headers.at("connection"), "close");
    EXPECT_EQ(response.body, "data: 0\n\ndata: 1\n\n");
    EXPECT_TRUE(response.whole);
  }
}

TEST(HttpServer, ClosesWhenAsked) {
  TestServer server;
  Client client(server.port());
  client.send(get_request("/echo", "Connection: foo, Close\r\n"));
  EXPECT_EQ(client.read_response().headers.at("connection"), "close");
  EXPECT_TRUE(client.wait_closed(5000));
}

struct Leaving {
  bool hard;         // by reset instead of an orderly end
  bool streaming;    // while an answer is under way
  std::string more;  // bytes of a next request, not read yet
};

// A client leaves; whether its request was told so in time: within 100 ms, or what is sent behind
// the request is looked through now and then. It must be within 10 s.
bool is_noticed_in_time(TestServer& server, const Leaving& leaving) {
  const int before = server.handler.gone();
  Client client(server.port());
  client.send(get_request("/hold"));
  auto held = server.handler.take();
  if (leaving.streaming) {
    held.responder->begin_stream(200, {});
    held.responder->write("x");
  }
  client.send(leaving.more);
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(server.handler.gone(), before);
  leaving.hard ? client.reset() : client.close();
  const bool in_time = server.handler.wait_gone(before + 1, leaving.more.empty() ? 100 : 500);
  EXPECT_TRUE(server.handler.wait_gone(before + 1, 10'000));
  held.responder->write("into the void");
  held.responder->end();
  return in_time;
}

TEST(HttpServer, NoticesAClientThatLeavesWhileItWaits) {
  TestServer server;
  for (const bool hard : {false, true}) {
    for (const bool streaming : {false, true}) {
      for (const std::string more : {"", "GET /echo HTTP/1.1\r\n"}) {
        const Leaving leaving{hard, streaming, more};
        // A busy machine may be late, but not always.
        EXPECT_TRUE(is_noticed_in_time(server, leaving) || is_noticed_in_time(server, leaving) ||
                    is_noticed_in_time(server, leaving))
            << hard << streaming << more;
      }
    }
  }
  EXPECT_TRUE(eventually([&] { return server.http->connections() == 0; }));
}

TEST(HttpServer, NoticesAClientThatHadLeftBeforeTheHandlerWasDone) {
  TestServer server;
  {
    Client client(server.port());
    client.send(get_request("/hold"));
  }  // closed before the server may have looked
  EXPECT_TRUE(server.handler.wait_gone(1, 1000));
}

TEST(HttpServer, AnswersGivenAtOnceReachAHalfClosedClient) {
  TestServer server;
  Client client(server.port());
  client.send(get_request("/echo?1") + get_request("/echo?2"));
  client.half_close();
  EXPECT_TRUE(client.read_response().body.starts_with("GET /echo?1"));
  EXPECT_TRUE(client.read_response().body.starts_with("GET /echo?2"));
  EXPECT_TRUE(client.wait_closed(5000));
}

TEST(HttpServer, OnGoneIsNotCalledAfterTheAnswer) {
  TestServer server;
  {
    Client client(server.port());
    client.send(get_request("/hold"));
    auto held = server.handler.take();
    held.responder->send(200, {}, "done");
    EXPECT_EQ(client.read_response().body, "done");
  }
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(server.handler.gone(), 0);
}

TEST(HttpServer, LateOnGoneIsCalledAtOnce) {
  TestServer server;
  Client client(server.port());
  client.send(get_request("/hold"));
  auto held = server.handler.take();
  client.close();
  EXPECT_TRUE(server.handler.wait_gone(1, 1000));
  std::atomic<bool> called{false};
  held.responder->on_gone([&] { called = true; });
  EXPECT_TRUE(eventually([&] { return called.load(); }));
}

TEST(HttpServer, ThousandConnectionsAtOnce) {
  TestServer server([](auto& options) { options.io_threads = 2; });
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 1000; ++i) {
    clients.push_back(std::make_unique<Client>(server.port()));
    ASSERT_TRUE(clients.back()->connected()) << i;
  }
  for (auto& client : clients) client->send(get_request("/hold"));
  std::vector<SteeredHandler::Held> held;
  for (std::size_t i = 0; i < clients.size(); ++i) held.push_back(server.handler.take());
  EXPECT_EQ(server.http->connections(), 1000u);
  for (auto& one : held) {
    ASSERT_TRUE(one.responder);
    one.responder->begin_stream(200, {});
  }
  for (int round = 0; round < 3; ++round) {
    for (auto& one : held) one.responder->write("token ");
  }
  for (auto& one : held) one.responder->end();
  for (auto& client : clients) EXPECT_EQ(client->read_response().body, "token token token ");
  clients.clear();
  EXPECT_TRUE(eventually([&] { return server.http->connections() == 0; }, 5000));
}

TEST(HttpServerEnd, DrainFinishesAnswersAndClosesTheIdle) {
  TestServer server;
  Client idle(server.port());
  Client busy(server.port());
  EXPECT_EQ(idle.get("/echo").status, 200);
  busy.send(get_request("/hold"));
  auto held = server.handler.take();
  held.responder->begin_stream(200, {});
  std::jthread drainer([&] { server.http->drain(); });
  EXPECT_TRUE(idle.wait_closed(2000));
  EXPECT_TRUE(eventually([&] { return !Client(server.port()).connected(); }));
  held.responder->write("still here");
  held.responder->end();
  const auto response = busy.read_response();
  EXPECT_EQ(response.body, "still here");
  EXPECT_TRUE(response.whole);
  EXPECT_TRUE(busy.wait_closed(2000));
  EXPECT_EQ(server.handler.gone(), 0);
}

TEST(HttpServerEnd, DrainEndsWhatTakesTooLong) {
  TestServer server([](auto& options) { options.limits.drain_timeout_ms = 200; });
  Client busy(server.port());
  busy.send(get_request("/hold"));
  auto held = server.handler.take();
  const auto begin = std::chrono::steady_clock::now();
  server.http->drain();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
  EXPECT_EQ(server.handler.gone(), 1);
  EXPECT_EQ(server.http->connections(), 0u);
  held.responder->send(200, {}, "too late");  // after the end of the server: nothing happens
}

TEST(HttpServerEnd, AnswersMayStillEndWellAfterTheDrainTime) {
  TestServer server;
  {
    Client busy(server.port());
    busy.send(get_request("/hold"));
    auto held = server.handler.take();
    held.responder->begin_stream(200, {});
    EXPECT_FALSE(server.http->drain(50));
    held.responder->write("sorry");
    held.responder->end();
    const auto response = busy.read_response();
    EXPECT_EQ(response.body, "sorry");
    EXPECT_TRUE(response.whole);
  }
  EXPECT_TRUE(server.http->drain(2000));
  EXPECT_EQ(server.handler.gone(), 0);
}

TEST(HttpServerEnd, StopEndsADrain) {
  TestServer server;
  Client busy(server.port());
  busy.send(get_request("/hold"));
  auto held = server.handler.take();
  std::jthread drainer([&] { server.http->drain(); });
  std::this_thread::sleep_for(50ms);
  server.http->stop();
  drainer.join();
  EXPECT_EQ(server.handler.gone(), 1);
  EXPECT_TRUE(busy.wait_closed(2000));
}

TEST(HttpServerEnd, RespondersMayOutliveTheServer) {
  SteeredHandler::Held held;
  {
    TestServer server;
    Client client(server.port());
    client.send(get_request("/hold"));
    held = server.handler.take();
    held.responder->begin_stream(200, {});
  }
  held.responder->write("nobody hears");
  held.responder->post([] { FAIL() << "the server is gone"; });
  held.responder->on_gone([] {});
  held.responder->end();
}

TEST(HttpServerEnd, PortIsFreeAgainAtOnce) {
  std::uint16_t port = 0;
  for (int i = 0; i < 2; ++i) {
    TestServer server([&](auto& options) { options.port = port; });
    ASSERT_TRUE(server.http);
    port = server.port();
    Client client(port);
    EXPECT_EQ(client.get("/echo").status, 200);
  }
}

TEST(HttpServerStart, SaysWhyItCannotListen) {
  TestServer first;
  SteeredHandler handler;
  server::ServerOptions options;
  options.port = first.port();
  auto second = server::HttpServer::listen(options, handler);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, base::ErrorCode::kEnvironment);
  EXPECT_NE(second.error().message.find(std::to_string(first.port())), std::string::npos);
  options.host = "no.such.host.invalid";
  EXPECT_FALSE(server::HttpServer::listen(options, handler));
  options.host = "127.0.0.1";
  options.port = 0;
  options.tls.key = "key.pem";
  EXPECT_FALSE(server::HttpServer::listen(options, handler));
  options.tls.certificate = "no such file";
  EXPECT_FALSE(server::HttpServer::listen(options, handler));
}

}  // namespace
}  // namespace vsurge::test
