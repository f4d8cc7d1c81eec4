// RequestReader: bytes of one connection in, whole requests out. Knows no socket, so that tests and
// the fuzz target run exactly what the server runs. Raw checks first (HeadScanner), then Beast's
// parser for the head, our rules for its fields, and the body under its limit.
// One object per connection, not thread-safe. Memory: at most one head and one read ahead, plus the
// body received so far; next to none after release().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/http.h"
#include "base/limits.h"
#include "server/chunked.h"
#include "server/head_rules.h"
#include "server/head_scanner.h"
#include "server/rejection.h"

namespace vsurge::server {

class RequestReader {
 public:
  enum class State : std::uint8_t {
    kIdle,      // nothing of a request has come
    kHead,      // something has
    kBody,      // the head was read and is in order
    kComplete,  // take_request() has it
    kRejected,  // rejection() says why; nothing more can be read from this connection
  };

  explicit RequestReader(const base::HttpLimits& limits);

  // Room for bytes from the connection, never empty; then commit() how many of it came.
  std::span<char> prepare();
  State commit(std::size_t count);
  // While nothing is unread and no prepared room in use: frees the room until the next prepare().
  void release();
  // After kComplete: forgets that request and goes on with the bytes that came after it.
  State next();

  State state() const { return state_; }
  const Rejection& rejection() const { return rejection_; }
  // In kBody: the client waits for "100 Continue" before it sends the body.
  bool wants_continue() const { return rules_.expects_continue() && !body_begun_; }

  std::size_t body_bytes() const { return request_.body.size(); }  // that came so far

  // From kComplete on (for the version and the method also when rejected).
  api::HttpRequest take_request() { return std::move(request_); }
  bool http_1_1() const { return http_1_1_; }
  bool is_head() const { return is_head_; }
  bool keep_alive() const { return rules_.keep_alive(http_1_1_); }

 private:
  class BeastHead;

  std::string_view unread() const { return {buffer_.data() + begin_, end_ - begin_}; }
  State reject(Rejection rejection);
  State advance();
  State read_head();
  State parse_head(std::string_view head);
  State read_body();
  State complete();

  base::HttpLimits limits_;
  State state_ = State::kIdle;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;  // unread bytes are [begin_, end_) of buffer_
  std::size_t end_ = 0;
  HeadScanner scanner_;
  HeadRules rules_;
  std::optional<ChunkedDecoder> chunked_;
  std::uint64_t body_left_ = 0;
  bool body_begun_ = false;
  bool http_1_1_ = true;
  bool is_head_ = false;
  api::HttpRequest request_;
  Rejection rejection_;
};

}  // namespace vsurge::server
