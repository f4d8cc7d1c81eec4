// The HTTP server over loopback: what it refuses, and what it does to those who are slow or many.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>

#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <latch>
#include <thread>

#include "tests/http_support.h"

namespace vsurge::test {
namespace {

using namespace std::chrono_literals;

// Sends, and expects an error answer of this status and then the end of the connection.
void expect_refused(std::uint16_t port, const std::string& bytes, int status) {
  Client client(port);
  client.send(bytes);
  const auto response = client.read_response();
  EXPECT_EQ(response.status, status) << bytes.substr(0, 200);
  EXPECT_TRUE(response.whole);
  if (status != 0) {
    EXPECT_EQ(response.headers.at("connection"), "close");
    EXPECT_EQ(response.headers.at("content-type"), "application/json");
    EXPECT_TRUE(response.body.starts_with("{\"error\":" + std::to_string(status)));
  }
  client.half_close();
  EXPECT_TRUE(client.wait_closed(5000)) << bytes.substr(0, 200);
}

TEST(HttpRefuses, WhatIsNotHttp) {
  TestServer server;
  const auto post = [](const std::string& headers, const std::string& body) {
    return "POST /echo HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n" + body;
  };
  const std::vector<std::pair<std::string, int>> cases = {
      {"GET /echo HTTP/1.1\nHost: h\n\n", 400},
      {"GET /echo HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", 400},
      {"GET /echo HTTP/1.1\r\nHost: h\r\rX: y\r\n\r\n", 400},
      {"GET /echo HTTP/1.1\r\nHost: h\r\nX: a" + std::string(1, '\0') + "b\r\n\r\n", 400},
      {"GET /echo HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", 400},
      {"GET /echo HTTP/1.1\r\n Host: h\r\n\r\n", 400},
      {"GET /echo HTTP/1.1\r\nHost : h\r\n\r\n", 400},
      {"GET /echo HTTP/1.1\r\nHost: h\r\nBad Name: v\r\n\r\n", 400},
      {"GET /echo HTTP/1.1\r\nHost: h\r\nNoColon\r\n\r\n", 400},
      {"GET /echo HTTP/1.1\r\nHost: h\r\n: v\r\n\r\n", 400},
      {"GET /echo HTTP/1.1\r\n\r\n", 400},
      {"GET /echo HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
      {"GET /echo HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
      {"GET  /echo HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET /echo\r\n\r\n", 400},
      {"GET /echo HTTP/1.1 \r\nHost: h\r\n\r\n", 400},
      {"GET /a%zz HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET /a%00b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET /a%ff HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET http://other/echo HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"PRI * HTTP/2.0\r\n\r\n", 505},
      {"GET /echo HTTP/3.7\r\nHost: h\r\n\r\n", 505},
      {std::string("\x16\x03\x01\x02\x00\x01\x00", 7), 400},
      {"\r\n\r\n\r\n\r\n\r\n", 400},
      {post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), 400},
      {post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), 400},
      {post("Content-Length: 5, 5\r\n", "hello"), 400},
      {post("Content-Length: +5\r\n", "hello"), 400},
      {post("Content-Length: -5\r\n", "hello"), 400},
      {post("Content-Length: 0x5\r\n", "hello"), 400},
      {post("Content-Length: \r\n", "hello"), 400},
      {post("Content-Length : 5\r\n", "hello"), 400},
      {post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), 400},
      {post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 400},
      {post("Transfer-Encoding: identity\r\n", "0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
      {post("Transfer-Encoding: \vchunked\r\n", "0\r\n\r\n"), 400},
      {post("Transfer_Encoding: chunked\r\n", "0\r\n\r\n"), 400},
      {post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501},
      {"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {post("Transfer-Encoding: chunked\r\n", "5\nhello\r\n0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\n", "5\r\nhelloo\r\n0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\n", "-5\r\nhello\r\n0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\n", "0x5\r\nhello\r\n0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\n", "\r\nhello\r\n0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\nhello\r\n"), 413},
      {post("Expect: the unexpected\r\nContent-Length: 5\r\n", "hello"), 417},
  };
  for (const auto& [bytes, status] : cases) expect_refused(server.port(), bytes, status);
  Client client(server.port());
  EXPECT_EQ(client.get("/echo").status, 200);
}

TEST(HttpRefuses, NothingThatIsMerelyUnusual) {
  TestServer server;
  for (const std::string request :
       {"\r\nGET /echo HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET http://h:1/echo HTTP/1.1\r\nHost: H:1\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "BREW /echo HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost:\r\n\r\n", "GET /echo HTTP/1.1\r\nhOsT:h\t\r\nX:\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: h\r\nX: \xc3\xa4\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n"}) {
    Client client(server.port());
    client.send(request);
    EXPECT_EQ(client.read_response().status, 200) << request;
  }
}

TEST(HttpLimits, HeaderSizeAtTheLimitAndPastIt) {
  TestServer server([](auto& options) { options.limits.header_bytes_max = 2000; });
  const auto padded = [](std::size_t size) {
    const std::string front = "GET /echo HTTP/1.1\r\nHost: h\r\nX: ";
    return front + std::string(size - front.size() - 4, 'a') + "\r\n\r\n";
  };
  Client client(server.port());
  client.send(padded(2000));
  EXPECT_EQ(client.read_response().status, 200);
  expect_refused(server.port(), padded(2001), 431);
  expect_refused(server.port(), "GET /echo HTTP/1.1\r\nX: " + std::string(100'000, 'a'), 431);
  std::string many = "GET /echo HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 200; ++i) many += "a:b\r\n";
  expect_refused(server.port(), many + "\r\n", 431);
}

std::string path_of_size(std::size_t size) {
  std::string path(size, 'a');
  path.front() = '/';
  return path;
}

TEST(HttpLimits, TargetAtTheLimitAndPastIt) {
  TestServer server([](auto& options) { options.limits.request_target_bytes_max = 1000; });
  Client client(server.port());
  EXPECT_EQ(client.get(path_of_size(1000)).status, 200);
  expect_refused(server.port(), get_request(path_of_size(1001)), 414);
  expect_refused(server.port(), "GET /" + std::string(20'000, 'a'), 414);
}

TEST(HttpLimits, BodyAtTheLimitAndPastIt) {
  TestServer server([](auto& options) { options.limits.body_bytes_max = 100'000; });
  const auto chunked = [](std::size_t size) {
    std::string out = "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (std::size_t sent = 0; sent < size; sent += 1000) {
      out += "3e8\r\n" + std::string(1000, 'x') + "\r\n";
    }
    return out + "0\r\n\r\n";
  };
  Client client(server.port());
  client.send(post_request("/echo", std::string(100'000, 'x')));
  EXPECT_EQ(client.read_response().status, 200);
  client.send(chunked(100'000));
  EXPECT_EQ(client.read_response().status, 200);
  expect_refused(server.port(), post_request("/echo", std::string(100'001, 'x')), 413);
  expect_refused(server.port(), chunked(101'000), 413);
  // Before any byte of it: by what Content-Length says.
  expect_refused(server.port(),
                 "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10737418240\r\n\r\n", 413);
}

TEST(HttpLimits, ManyTinyChunksAreRefused) {
  TestServer server;
  std::string request = "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 100'000; ++i) request += "1\r\nx\r\n";
  expect_refused(server.port(), request, 400);
}

TEST(HttpLimits, ExpectContinue) {
  TestServer server([](auto& options) { options.limits.body_bytes_max = 1000; });
  const auto head = [](int size) {
    return "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: " +
           std::to_string(size) + "\r\n\r\n";
  };
  Client client(server.port());
  client.send(head(5));
  EXPECT_EQ(client.read_response().status, 100);
  client.send("hello");
  EXPECT_TRUE(client.read_response().body.ends_with("hello"));
  client.send(head(5) + "hello");  // did not wait: gets no 100
  EXPECT_EQ(client.read_response().status, 200);
  client.send(head(1001));
  EXPECT_EQ(client.read_response().status, 413);
}

TEST(HttpLimits, SlowSendersAreTimedOut) {
  TestServer server([](auto& options) {
    options.limits.header_timeout_ms = 700;
    options.limits.body_timeout_ms = 700;
    options.limits.keep_alive_timeout_ms = 700;
  });
  {
    Client dribble(server.port());  // each byte in time, but not the whole
    const auto begin = std::chrono::steady_clock::now();
    const auto request = get_request("/echo");
    for (std::size_t i = 0; i < request.size() && std::chrono::steady_clock::now() - begin < 500ms;
         ++i) {
      dribble.send(request.substr(i, 1));
      std::this_thread::sleep_for(20ms);
    }
    EXPECT_EQ(dribble.read_response().status, 408);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
    EXPECT_TRUE(dribble.wait_closed(5000));
  }
  {
    Client half(server.port());
    half.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc");
    EXPECT_EQ(half.read_response().status, 408);
    EXPECT_TRUE(half.wait_closed(5000));
  }
  Client idle(server.port());
  EXPECT_EQ(idle.get("/echo").status, 200);
  Client silent(server.port());
  bool closed = false;
  EXPECT_EQ(idle.read_to_end(10'000, &closed), "") << "an idle connection closes without an answer";
  EXPECT_TRUE(closed);
  EXPECT_TRUE(silent.wait_closed(10'000));
  EXPECT_TRUE(eventually([&] { return server.http->connections() == 0; }, 5000));
}

TEST(HttpLimits, BodiesMustComeAtTheLeastRate) {
  TestServer server([](auto& options) {
    options.limits.body_grace_ms = 300;
    options.limits.body_bytes_per_second_min = 10'000;
  });
  const std::string head = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n";
  Client slow(server.port());
  slow.send(head);
  std::jthread dribble([&] {
    while (slow.send("x")) std::this_thread::sleep_for(20ms);
  });
  EXPECT_EQ(slow.read_response().status, 408);
  EXPECT_TRUE(slow.wait_closed(5000));
  Client fast(server.port());  // longer than the grace
  fast.send(head);
  for (int i = 0; i < 20; ++i) {
    fast.send(std::string(50'000, 'x'));
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_EQ(fast.read_response().status, 200);
}

TEST(HttpLimits, BodiesBeingReadAreBoundedInSum) {
  TestServer server([](auto& options) { options.limits.bodies_bytes_max = 300'000; });
  const std::string head = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 250000\r\n\r\n";
  for (int round = 0; round < 3; ++round) {
    std::array<Client, 2> clients{Client(server.port()), Client(server.port())};
    for (auto& client : clients) client.send(head + std::string(200'000, 'x'));
    std::array<pollfd, 2> answers{pollfd{clients[0].fd(), POLLIN, 0},
                                  pollfd{clients[1].fd(), POLLIN, 0}};
    ASSERT_EQ(poll(answers.data(), 2, 20'000), 1) << "one is refused, the other goes on";
    const std::size_t refused = answers[0].revents != 0 ? 0 : 1;
    EXPECT_EQ(clients[refused].read_response().status, 503);
    auto& other = clients[1 - refused];
    if (round == 1) {  // what it holds goes back when it leaves, too
      other.reset();
    } else {
      other.send(std::string(50'000, 'x'));
      EXPECT_EQ(other.read_response().status, 200);
    }
    for (auto& client : clients) client.close();
    EXPECT_TRUE(eventually([&] { return server.http->connections() == 0; }, 5000));
  }
}

TEST(HttpLimits, WaitingForAnAnswerIsNotLimited) {
  TestServer server([](auto& options) {
    options.limits.header_timeout_ms = 100;
    options.limits.body_timeout_ms = 100;
    options.limits.keep_alive_timeout_ms = 100;
    options.limits.write_timeout_ms = 100;
  });
  Client client(server.port());
  client.send(get_request("/hold"));
  auto held = server.handler.take();
  std::this_thread::sleep_for(400ms);
  held.responder->send(200, {}, "at last");
  EXPECT_EQ(client.read_response().body, "at last");
}

TEST(HttpLimits, ReadersThatAreTooSlowAreCutOff) {
  TestServer server([](auto& options) {
    options.limits.send_buffer_bytes = 16 * 1024;
    options.limits.stream_buffer_bytes_max = 64 * 1024;
  });
  Client client(server.port(), 4096);
  client.send(get_request("/hold"));
  auto held = server.handler.take();
  held.responder->begin_stream(200, {});
  const std::string frame(1000, 'x');
  int written = 0;
  while (server.handler.gone() == 0 && written < 10'000) {
    held.responder->write(frame);
    ++written;
    std::this_thread::sleep_for(100us);
  }
  EXPECT_EQ(server.handler.gone(), 1);
  EXPECT_LT(written, 1000) << "buffers: kernel's two, and 64 KiB of ours";
  EXPECT_TRUE(eventually([&] { return server.http->connections() == 0; }));
}

TEST(HttpLimits, ReadersThatAreBehindAreToldOfAndLoseNothing) {
  TestServer server([](auto& options) { options.limits.send_buffer_bytes = 16 * 1024; });
  Client client(server.port(), 4096);
  client.send(get_request("/hold"));
  auto held = server.handler.take();
  std::atomic<bool> behind = false;
  std::atomic<int> changes = 0;
  held.responder->on_pressure([&](bool now) {
    behind = now;
    ++changes;
  });
  held.responder->begin_stream(200, {});
  std::size_t bytes = 0;
  const auto write_until_behind = [&] {
    while (!behind && bytes < 10'000'000) {
      held.responder->write(std::string(500, static_cast<char>('a' + bytes / 500 % 26)));
      bytes += 500;
      std::this_thread::sleep_for(100us);
    }
  };
  write_until_behind();
  EXPECT_LT(bytes, 1'000'000u);
  ASSERT_EQ(changes, 1);
  std::thread reader([&] {
    const auto response = client.read_response();
    EXPECT_TRUE(response.whole);
    ASSERT_EQ(response.body.size(), bytes);
    for (std::size_t i = 0; i < bytes; ++i) ASSERT_EQ(response.body[i], 'a' + i / 500 % 26);
  });
  EXPECT_TRUE(eventually([&] { return changes == 2 && !behind; }));
  for (int i = 0; i < 200; ++i) {
    held.responder->write(std::string(500, static_cast<char>('a' + bytes / 500 % 26)));
    bytes += 500;
  }
  held.responder->end();
  reader.join();
  EXPECT_EQ(server.handler.gone(), 0);
}

TEST(HttpLimits, ReadersAreNotBehindWhereTheServerIs) {
  TestServer server;
  Client client(server.port());
  client.send(get_request("/hold"));
  auto held = server.handler.take();
  held.responder->begin_stream(200, {});
  // The write of "x" begins behind the second wait and ends behind all that is posted meanwhile.
  std::latch queued(1), waiting(1), posted(1);
  held.responder->post([&] { queued.wait(); });
  held.responder->write("x");
  held.responder->post([&] {
    waiting.count_down();
    posted.wait();
  });
  queued.count_down();
  waiting.wait();
  for (int i = 0; i < 100; ++i) {
    held.responder->post([&] { held.responder->write(std::string(1000, 'x')); });
  }
  held.responder->post([&] { held.responder->end(); });
  posted.count_down();
  const auto response = client.read_response();
  EXPECT_TRUE(response.whole);
  EXPECT_EQ(response.body.size(), 100'001u);
  EXPECT_EQ(server.handler.gone(), 0);
}

TEST(HttpLimits, ReadersThatTakeNothingAreCutOff) {
  TestServer server([](auto& options) {
    options.limits.send_buffer_bytes = 16 * 1024;
    options.limits.write_timeout_ms = 300;
  });
  Client streaming(server.port(), 4096);
  streaming.send(get_request("/hold"));
  auto held = server.handler.take();
  held.responder->begin_stream(200, {});
  held.responder->write(std::string(60'000, 'x'));
  EXPECT_TRUE(server.handler.wait_gone(1, 3000));
  Client plain(server.port(), 4096);
  plain.send(get_request("/hold"));
  server.handler.take().responder->send(200, {}, std::string(5'000'000, 'x'));
  EXPECT_TRUE(eventually([&] { return server.http->connections() == 0; }, 3000));
}

TEST(HttpLimits, FastReadersMayHaveLongAnswers) {
  TestServer server;
  Client client(server.port());
  client.send(get_request("/stream?200000"));  // one turn: more than any buffer
  const auto response = client.read_response();
  EXPECT_TRUE(response.whole);
  EXPECT_TRUE(response.body.ends_with("data: 199999\n\n"));
}

TEST(HttpLimits, ConnectionsOverTheLimitAreTold) {
  TestServer server([](auto& options) { options.limits.connections_max = 3; });
  std::array<std::unique_ptr<Client>, 3> held;
  for (auto& client : held) {
    client = std::make_unique<Client>(server.port());
    EXPECT_EQ(client->get("/echo").status, 200);
  }
  {
    Client extra(server.port());
    extra.send(get_request("/echo"));
    const auto response = extra.read_response();
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.headers.at("retry-after"), "1");
  }
  held[0].reset();
  EXPECT_TRUE(eventually([&] {
    Client next(server.port());
    return next.get("/echo").status == 200;
  }));
  EXPECT_EQ(held[1]->get("/echo").status, 200);
}

TEST(HttpLimits, RequestsOfOneConnection) {
  TestServer server([](auto& options) { options.limits.requests_per_connection_max = 3; });
  Client client(server.port());
  EXPECT_FALSE(client.get("/echo").headers.contains("connection"));
  EXPECT_FALSE(client.get("/echo").headers.contains("connection"));
  EXPECT_EQ(client.get("/echo").headers.at("connection"), "close");
  EXPECT_TRUE(client.wait_closed(5000));
}

TEST(HttpLimits, RunningOutOfFilesIsSurvived) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer's check of objects needs a free file descriptor itself";
#endif
  TestServer server;
  Client client(server.port());
  EXPECT_EQ(client.get("/echo").status, 200);
  Client waiting(server.port());
  EXPECT_EQ(waiting.get("/echo").status, 200);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  // Sockets of clients made first, so that only the server's accept runs out.
  std::vector<std::unique_ptr<Client>> clients;
  const auto entries = std::filesystem::directory_iterator("/proc/self/fd");
  const auto open_files = static_cast<rlim_t>(std::distance(begin(entries), end(entries)));
  const rlimit tight{open_files, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
  const rlimit loose{before.rlim_cur, before.rlim_max};
  clients.push_back(std::make_unique<Client>(server.port()));
  const bool made = clients.back()->connected();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(client.get("/echo").status, 200) << "those who are connected go on";
    std::this_thread::sleep_for(5ms);
  }
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &loose), 0);
  if (made) {
    EXPECT_EQ(clients.back()->get("/echo").status, 200);
  }
  Client after(server.port());
  EXPECT_EQ(after.get("/echo").status, 200);
}

}  // namespace
}  // namespace vsurge::test
