// The chunked transfer coding (RFC 9112, section 7.1), both ways. Our own decoder because the
// limits are the point: on the body, on chunk extensions and trailers (which are read and dropped),
// and on the share of framing in what is sent. Plain code; not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/limits.h"
#include "server/rejection.h"

namespace vsurge::server {

class ChunkedDecoder {
 public:
  explicit ChunkedDecoder(const base::HttpLimits& limits)
      : body_bytes_max_(limits.body_bytes_max) {}

  // Takes bytes from the front of `bytes`, appends what they hold of the body to `body`, returns
  // how many it took: all of them, unless done() or rejected().
  std::size_t feed(std::string_view bytes, std::string& body);
  bool done() const { return state_ == State::kDone; }
  bool rejected() const { return state_ == State::kRejected; }
  const Rejection& rejection() const { return rejection_; }

 private:
  enum class State : std::uint8_t {
    kSize,
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,
    kTrailer,
    kTrailerLf,
    kEndLf,
    kDone,
    kRejected,
  };

  void reject(int status, std::string_view message);
  void byte(char c, std::size_t body_size);
  void size_byte(char c, std::size_t body_size);
  void trailer_byte(char c);

  std::size_t body_bytes_max_;
  State state_ = State::kSize;
  std::uint64_t left_ = 0;  // of the chunk being read
  std::size_t size_digits_ = 0;
  std::size_t framing_bytes_ = 0;
  std::size_t trailer_bytes_ = 0;
  Rejection rejection_;
};

// Appends one chunk; `bytes` must not be empty.
void append_chunk(std::string& out, std::string_view bytes);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace vsurge::server
