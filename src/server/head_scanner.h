// HeadScanner: finds the end of a request's head in raw bytes, and refuses what a lenient parser
// would let pass and two parsers could read differently (RFC 9112, sections 2.2, 5.2 and 11.2):
// bare CR or LF, NUL and other control characters, folded lines, heads over the limits. Plain code
// without a transport; one object per connection, not thread-safe.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/limits.h"
#include "server/rejection.h"

namespace vsurge::server {

class HeadScanner {
 public:
  enum class Outcome { kMore, kComplete, kRejected };

  explicit HeadScanner(const base::HttpLimits& limits) : limits_(limits) {}

  // `bytes` is all that came of this request so far: each call sees what the last one saw, and
  // more. Every byte is looked at once.
  Outcome scan(std::string_view bytes);

  // After kComplete: where the request line begins (empty lines before it are skipped) and where
  // the head ends, as offsets into `bytes`.
  std::size_t head_begin() const { return begin_; }
  std::size_t head_end() const { return at_; }
  const Rejection& rejection() const { return rejection_; }
  // Forgets the request; scanning starts again at offset 0.
  void reset();

 private:
  Outcome reject(int status, std::string_view message);
  Outcome end_of_line(bool& complete);
  Outcome check_byte(unsigned char byte);

  base::HttpLimits limits_;
  std::size_t begin_ = 0;
  std::size_t line_start_ = 0;
  std::size_t at_ = 0;
  std::size_t lines_ = 0;        // complete ones, the request line included
  std::size_t empty_lines_ = 0;  // before the request line
  Rejection rejection_;
};

}  // namespace vsurge::server
