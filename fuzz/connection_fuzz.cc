// Pipelined requests of one connection through the server's own code, over a pair of sockets: all
// at once, in pieces, and with a client that closes its half somewhere. Each time exactly the
// answers must come that the requests ask for, in their order, in valid framing, and nothing of the
// connection may be left. What the requests are is what RequestReader reads, which has a target of
// its own.
//
// An input is two bytes that say how it is cut and the bytes of a client.
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "connection_rig.h"
#include "server/request_reader.h"

namespace {

using vsurge::fuzz::Reply;
using vsurge::fuzz::Rig;
using vsurge::server::RequestReader;
using State = RequestReader::State;

struct Expected {
  int status = 200;
  Reply reply;
  bool head = false;
  bool keeps = true;  // the connection, after the answer
};

// The answers to these bytes.
std::vector<Expected> answers_to(std::string_view bytes) {
  const auto limits = vsurge::fuzz::small_limits();
  RequestReader reader(limits);
  std::vector<Expected> out;
  State state = State::kIdle;
  while (!bytes.empty()) {
    const auto room = reader.prepare();
    const std::size_t count = std::min(room.size(), bytes.size());
    std::copy_n(bytes.begin(), count, room.begin());
    bytes.remove_prefix(count);
    state = reader.commit(count);
    while (state == State::kComplete) {
      const auto request = reader.take_request();
      Expected answer{.status = 200, .reply = vsurge::fuzz::reply_to(request)};
      if (answer.reply.dropped) {
        answer.status = vsurge::fuzz::kErrorOfDropped;
        answer.reply = {.body = vsurge::fuzz::error_text(answer.status)};
      }
      answer.head = reader.is_head();
      answer.keeps = reader.keep_alive() && (reader.http_1_1() || !answer.reply.stream) &&
                     !answer.reply.aborted && out.size() + 1 < limits.requests_per_connection_max;
      out.push_back(answer);
      if (!answer.keeps) return out;
      state = reader.next();
    }
    if (state == State::kRejected) {
      const int status = reader.rejection().status;
      out.push_back({.status = status,
                     .reply = {.body = vsurge::fuzz::error_text(status)},
                     .head = reader.is_head(),
                     .keeps = false});
      return out;
    }
  }
  return out;
}

// Reads answers strictly. Where the bytes end too early: cut() is true, and all else is empty.
class AnswerReader {
 public:
  explicit AnswerReader(std::string_view bytes) : rest_(bytes) {}

  bool at_end() const { return rest_.empty(); }
  bool cut() const { return cut_; }

  std::string_view line() {
    const std::size_t end = rest_.find("\r\n");
    if (end == std::string_view::npos) {
      cut_ = true;
      return {};
    }
    return take(end + 2).substr(0, end);
  }
  std::string_view take(std::size_t count) {
    if (rest_.size() < count) cut_ = true;
    if (cut_) return {};
    const std::string_view out = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return out;
  }
  std::string_view all() { return take(rest_.size()); }
  // One body in chunks; without the last one where `aborted`.
  std::string chunks(bool aborted) {
    std::string out;
    while (!(aborted && at_end())) {
      const std::string_view digits = line();
      if (cut_) return out;
      const std::size_t size = number(digits, 16);
      CHECK(size > 0 || !aborted);
      out += take(size);
      const std::string_view end = take(2);
      CHECK(cut_ || end == "\r\n");
      if (cut_ || size == 0) return out;
    }
    return out;
  }
  static std::size_t number(std::string_view text, int base_of_digits) {
    std::size_t value = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), value, base_of_digits);
    CHECK(error == std::errc() && end == text.data() + text.size());
    return value;
  }

 private:
  std::string_view rest_;
  bool cut_ = false;
};

struct Head {
  int status = 0;
  std::optional<std::size_t> length;
  bool chunked = false;
  bool closes = false;
};

Head read_head(AnswerReader& in) {
  Head head;
  const std::string_view status = in.line();
  if (in.cut()) return head;
  CHECK(status.size() > 13 && status.starts_with("HTTP/1.1 "));
  head.status = static_cast<int>(AnswerReader::number(status.substr(9, 3), 10));
  for (std::string_view field = in.line(); !in.cut() && !field.empty(); field = in.line()) {
    if (field == "Transfer-Encoding: chunked") head.chunked = true;
    if (field == "Connection: close") head.closes = true;
    constexpr std::string_view kLength = "Content-Length: ";
    if (field.starts_with(kLength)) {
      head.length = AnswerReader::number(field.substr(kLength.size()), 10);
    }
  }
  CHECK(!(head.chunked && head.length));
  return head;
}

// True when the answer came whole.
bool check_answer(AnswerReader& in, const Expected& expected) {
  Head head = read_head(in);
  while (!in.cut() && head.status == 100) head = read_head(in);
  if (in.cut()) return false;
  CHECK(head.status == expected.status);
  CHECK(head.closes == !expected.keeps || expected.reply.aborted);
  std::string body;
  if (!expected.head) {
    if (head.chunked) {
      body = in.chunks(expected.reply.aborted);
    } else {
      body = head.length ? in.take(*head.length) : in.all();
    }
    if (in.cut()) return false;
    // What is aborted without chunks is reset: some of it may be lost.
    CHECK(body == expected.reply.body ||
          (!head.chunked && !head.length && expected.reply.body.starts_with(body)));
  }
  return true;
}

void check_answers(const Rig& rig, const std::vector<Expected>& expected, bool may_be_cut) {
  AnswerReader in(rig.received());
  for (const Expected& answer : expected) {
    if (in.at_end() && (may_be_cut || (answer.reply.aborted && rig.closed()))) return;
    const bool whole = check_answer(in, answer);
    CHECK(whole || may_be_cut);
    if (!whole) return;
  }
  // The rest can be interim answers to a request that did not come whole.
  while (!in.at_end()) {
    const Head head = read_head(in);
    CHECK(head.status == 100 || (in.cut() && may_be_cut));
  }
  const bool ends = !expected.empty() && !expected.back().keeps;
  CHECK(rig.closed() == ends || may_be_cut);
}

void finish(Rig& rig) {
  rig.settle();
  while (rig.release()) {
  }
}

// Pieces of 1 to 64 bytes.
void send_in_pieces(Rig& rig, std::string_view bytes, std::uint32_t seed) {
  const std::uint32_t longest = 1U << (seed % 7);
  while (!bytes.empty()) {
    seed = seed * 1664525U + 1013904223U;
    const std::size_t count = std::min<std::size_t>(1 + (seed >> 16) % longest, bytes.size());
    rig.send(bytes.substr(0, count));
    bytes.remove_prefix(count);
    rig.settle();
    if ((seed >> 28) % 2 == 0) rig.release();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3 || size > 4096) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::vector<Expected> expected = answers_to(bytes);
  {
    Rig whole;
    whole.send(bytes);
    finish(whole);
    check_answers(whole, expected, false);
  }
  {
    Rig pieces;
    send_in_pieces(pieces, bytes, data[0]);
    finish(pieces);
    check_answers(pieces, expected, false);
  }
  const std::string_view part = bytes.substr(0, bytes.size() * data[1] / 255);
  Rig half;
  send_in_pieces(half, part, data[0]);
  if (data[1] % 2 == 0) half.settle();
  half.half_close();
  finish(half);
  check_answers(half, answers_to(part), true);
  CHECK(half.closed());
  return 0;
}
