#include "server/head_scanner.h"

namespace vsurge::server {
namespace {

// RFC 9112, 2.2: a server should ignore at least one empty line before the request line.
constexpr std::size_t kEmptyLinesMax = 2;
// Room in the request line for the method, the version and two spaces.
constexpr std::size_t kRequestLineExtra = 64;
constexpr std::string_view kTooLarge = "the request header is larger than this server accepts";

}  // namespace

void HeadScanner::reset() {
  begin_ = line_start_ = at_ = lines_ = empty_lines_ = 0;
  rejection_ = {};
}

HeadScanner::Outcome HeadScanner::reject(int status, std::string_view message) {
  rejection_ = {status, std::string(message)};
  return Outcome::kRejected;
}

HeadScanner::Outcome HeadScanner::scan(std::string_view bytes) {
  if (!rejection_.message.empty()) return Outcome::kRejected;
  while (at_ < bytes.size()) {
    if (at_ >= limits_.header_bytes_max) {
      return reject(431, kTooLarge);
    }
    const auto byte = static_cast<unsigned char>(bytes[at_]);
    if (byte == '\r') {
      if (at_ + 1 == bytes.size()) return Outcome::kMore;
      if (bytes[at_ + 1] != '\n') return reject(400, "CR without LF in the request header");
      bool complete = false;
      if (end_of_line(complete) == Outcome::kRejected) return Outcome::kRejected;
      if (complete) return Outcome::kComplete;
      continue;
    }
    if (check_byte(byte) == Outcome::kRejected) return Outcome::kRejected;
    ++at_;
  }
  return Outcome::kMore;
}

// at_ is at a CRLF; steps over it.
HeadScanner::Outcome HeadScanner::end_of_line(bool& complete) {
  const bool empty = at_ == line_start_;
  at_ += 2;
  line_start_ = at_;
  if (!empty) {
    ++lines_;
    if (lines_ > limits_.header_fields_max + 1) {
      return reject(431, "the request has more header fields than this server accepts");
    }
  } else if (lines_ > 0) {
    if (at_ > limits_.header_bytes_max) return reject(431, kTooLarge);
    complete = true;
  } else {
    begin_ = at_;
    if (++empty_lines_ > kEmptyLinesMax) return reject(400, "empty lines instead of a request");
  }
  return Outcome::kMore;
}

HeadScanner::Outcome HeadScanner::check_byte(unsigned char byte) {
  if (byte == '\n') return reject(400, "LF without CR in the request header");
  if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
    return reject(400, "control character in the request header");
  }
  if (at_ == line_start_ && (byte == ' ' || byte == '\t')) {
    return reject(400, "a line of the request header begins with white space");
  }
  if (lines_ == 0 && at_ - line_start_ >= limits_.request_target_bytes_max + kRequestLineExtra) {
    return reject(414, "the request target is longer than this server accepts");
  }
  return Outcome::kMore;
}

}  // namespace vsurge::server
