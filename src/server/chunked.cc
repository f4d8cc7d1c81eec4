#include "server/chunked.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace vsurge::server {
namespace {

// A sender of tiny chunks costs time for nothing: above this many bytes of framing, they must not
// be more than four fifths of all bytes.
constexpr std::size_t kFramingFreeBytes = 100 * base::kKiB;
constexpr std::size_t kFramingPerBodyByte = 4;
constexpr std::size_t kTrailerBytesMax = 8 * base::kKiB;
constexpr std::size_t kSizeDigitsMax = 15;  // any more would overflow; no body is that large

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && byte != '\t') || byte == 0x7f;
}

}  // namespace

void ChunkedDecoder::reject(int status, std::string_view message) {
  state_ = State::kRejected;
  rejection_ = {status, std::string(message)};
}

std::size_t ChunkedDecoder::feed(std::string_view bytes, std::string& body) {
  std::size_t at = 0;
  while (at < bytes.size() && !done() && !rejected()) {
    if (state_ == State::kData) {
      const std::size_t count = std::min<std::uint64_t>(left_, bytes.size() - at);
      body.append(bytes.substr(at, count));
      at += count;
      left_ -= count;
      if (left_ == 0) state_ = State::kDataCr;
      continue;
    }
    ++framing_bytes_;
    if (framing_bytes_ > kFramingFreeBytes && framing_bytes_ / kFramingPerBodyByte > body.size()) {
      reject(400, "the chunks of the request body are too small");
      break;
    }
    byte(bytes[at++], body.size());
  }
  return at;
}

void ChunkedDecoder::byte(char c, std::size_t body_size) {
  switch (state_) {
    case State::kSize:
      return size_byte(c, body_size);
    case State::kExtension:
      if (c == '\r') {
        state_ = State::kSizeLf;
      } else if (is_control(c)) {
        reject(400, "control character in a chunk extension");
      }
      return;
    case State::kSizeLf:
      if (c != '\n') return reject(400, "CR without LF after a chunk size");
      size_digits_ = 0;
      state_ = left_ > 0 ? State::kData : State::kTrailerStart;
      return;
    case State::kDataCr:
      if (c != '\r') return reject(400, "a chunk is longer than its size");
      state_ = State::kDataLf;
      return;
    case State::kDataLf:
      if (c != '\n') return reject(400, "CR without LF after a chunk");
      state_ = State::kSize;
      return;
    default:
      return trailer_byte(c);
  }
}

void ChunkedDecoder::size_byte(char c, std::size_t body_size) {
  const int digit = hex_digit(c);
  if (digit >= 0) {
    if (++size_digits_ > kSizeDigitsMax)
      return reject(413, "a chunk is larger than this server accepts");
    left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
    if (left_ > body_bytes_max_ - std::min(body_bytes_max_, body_size)) {
      reject(413, "the request body is larger than this server accepts");
    }
    return;
  }
  if (size_digits_ == 0 || (c != '\r' && c != ';')) return reject(400, "bad chunk size");
  state_ = c == '\r' ? State::kSizeLf : State::kExtension;
}

void ChunkedDecoder::trailer_byte(char c) {
  if (++trailer_bytes_ > kTrailerBytesMax) {
    return reject(431, "the trailer of the request is larger than this server accepts");
  }
  switch (state_) {
    case State::kTrailerStart:
      if (c == '\r') {
        state_ = State::kEndLf;
        return;
      }
      state_ = State::kTrailer;
      [[fallthrough]];
    case State::kTrailer:
      if (c == '\r') {
        state_ = State::kTrailerLf;
      } else if (is_control(c)) {
        reject(400, "control character in the trailer of the request");
      }
      return;
    case State::kTrailerLf:
      if (c != '\n') return reject(400, "CR without LF in the trailer of the request");
      state_ = State::kTrailerStart;
      return;
    default:  // kEndLf
      if (c != '\n') return reject(400, "CR without LF at the end of the request body");
      state_ = State::kDone;
  }
}

void append_chunk(std::string& out, std::string_view bytes) {
  std::array<char, 16> size{};
  const auto end = std::to_chars(size.data(), size.data() + size.size(), bytes.size(), 16).ptr;
  out.append(size.data(), end);
  out += "\r\n";
  out += bytes;
  out += "\r\n";
}

}  // namespace vsurge::server
