#include "server/request_reader.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace vsurge::server {
namespace {

using State = RequestReader::State;

// Feeds pieces of this size; every request that came, and the state at the end.
std::vector<api::HttpRequest> read_all(std::string_view bytes, std::size_t piece, State& state,
                                       const base::HttpLimits& limits = {}) {
  RequestReader reader(limits);
  std::vector<api::HttpRequest> out;
  state = reader.state();
  while (!bytes.empty() && state != State::kRejected) {
    const auto room = reader.prepare();
    const std::size_t count = std::min({piece, room.size(), bytes.size()});
    std::copy_n(bytes.begin(), count, room.begin());
    bytes.remove_prefix(count);
    for (state = reader.commit(count); state == State::kComplete; state = reader.next()) {
      out.push_back(reader.take_request());
    }
  }
  return out;
}

TEST(RequestReader, ReadsRequestsHoweverTheyAreCut) {
  const std::string bytes =
      "GET /a?b HTTP/1.1\r\nHost: h\r\nX-Y:  z \r\n\r\n"
      "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
      "POST /q HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n"
      "GET /last HTTP/1.0\r\n\r\nG";
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    State state{};
    const auto requests = read_all(bytes, piece, state);
    ASSERT_EQ(requests.size(), 4u) << piece;
    EXPECT_EQ(state, State::kHead);
    EXPECT_EQ(requests[0].path, "/a");
    EXPECT_EQ(requests[0].query, "b");
    EXPECT_EQ(requests[0].header("x-y"), "z");
    EXPECT_EQ(requests[1].body, "abc");
    EXPECT_EQ(requests[2].body, "de");
    EXPECT_EQ(requests[3].path, "/last");
  }
}

TEST(RequestReader, HoldsOnlyWhatItMust) {
  RequestReader reader(base::HttpLimits{});
  const std::string head = "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n";
  auto room = reader.prepare();
  std::copy(head.begin(), head.end(), room.begin());
  EXPECT_EQ(reader.commit(head.size()), State::kBody);
  for (std::size_t sent = 0; sent < 1'000'000;) {
    room = reader.prepare();
    EXPECT_LE(room.size(), 20'000u);
    const std::size_t count = std::min<std::size_t>(room.size(), 1'000'000 - sent);
    std::fill_n(room.begin(), count, 'x');
    sent += count;
    EXPECT_EQ(reader.commit(count), sent < 1'000'000 ? State::kBody : State::kComplete);
  }
  EXPECT_EQ(reader.take_request().body, std::string(1'000'000, 'x'));
  EXPECT_EQ(reader.next(), State::kIdle);
}

TEST(RequestReader, GivesItsRoomBackUnlessBytesWait) {
  RequestReader reader(base::HttpLimits{});
  const std::string one = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
  const std::string cut = "GET /b HTTP/1.1\r\nHo";
  const auto put = [&](const std::string& bytes) {
    const auto room = reader.prepare();
    std::copy(bytes.begin(), bytes.end(), room.begin());
    return reader.commit(bytes.size());
  };
  reader.release();  // nothing was prepared yet
  EXPECT_EQ(put(one + cut), State::kComplete);
  reader.release();  // half a request is unread
  EXPECT_EQ(reader.take_request().path, "/a");
  EXPECT_EQ(reader.next(), State::kHead);
  EXPECT_EQ(put(one.substr(cut.size())), State::kComplete);
  EXPECT_EQ(reader.take_request().path, "/b");
  EXPECT_EQ(reader.next(), State::kIdle);
  reader.release();
  EXPECT_EQ(put(one), State::kComplete);
  EXPECT_EQ(reader.take_request().path, "/a");
}

TEST(RequestReader, StaysRejected) {
  State state{};
  EXPECT_TRUE(
      read_all("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 1000, state).empty());
  EXPECT_EQ(state, State::kRejected);
}

}  // namespace
}  // namespace vsurge::server
