#include "answer.h"

#include <cstdlib>

namespace vsurge::load {
namespace {

constexpr std::string_view kTokens = "\"completion_tokens\":";
constexpr std::string_view kDelta = "\"delta\":{\"content\":\"";
constexpr std::string_view kLastChunk = "0\r\n\r\n";

// The number after a name; -1 where it is not there.
double number_after(std::string_view text, std::string_view name) {
  const auto at = text.find(name);
  if (at == std::string_view::npos) return -1;
  return std::strtod(std::string(text.substr(at + name.size(), 24)).c_str(), nullptr);
}

}  // namespace

void Answer::reset() {
  *this = Answer();
}

bool Answer::take(std::string_view bytes, long& deltas) {
  rest_ += bytes;
  if (status_ == 0 && !take_head()) return false;
  return take_body(deltas);
}

bool Answer::take_head() {
  const auto end = rest_.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  std::string head = rest_.substr(0, end + 2);
  rest_.erase(0, end + 4);
  for (char& c : head) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  if (head.size() > 12) status_ = std::atoi(head.c_str() + 9);
  chunked_ = head.find("chunked\r\n") != std::string::npos;
  const double length = number_after(head, "content-length: ");
  length_ = length > 0 ? static_cast<std::size_t>(length) : 0;
  retry_after_ = number_after(head, "retry-after: ");
  return true;
}

bool Answer::take_body(long& deltas) {
  if (!chunked_) {
    if (rest_.size() < length_) return false;
    tokens_ = static_cast<long>(number_after(rest_, kTokens));
    return true;
  }
  // Servers send whole events in a chunk, so the sizes of chunks stand before "data:".
  std::size_t begin = 0;
  const std::string_view all = rest_;
  for (std::size_t end = 0; (end = all.find("\n\n", begin)) != std::string_view::npos;) {
    take_event(all.substr(begin, end - begin), deltas);
    begin = end + 2;
  }
  rest_.erase(0, begin);
  return (done_ || error_) && rest_.ends_with(kLastChunk);
}

void Answer::take_event(std::string_view event, long& deltas) {
  if (const auto at = event.find(kDelta); at != std::string_view::npos) {
    if (event.substr(at + kDelta.size(), 1) != "\"") ++deltas;  // some begin with an empty text
  } else if (event.ends_with("data: [DONE]")) {
    done_ = true;
  } else if (event.find("{\"error\":") != std::string_view::npos) {
    error_ = true;
  } else if (const double tokens = number_after(event, kTokens); tokens >= 0) {
    tokens_ = static_cast<long>(tokens);
  }
}

}  // namespace vsurge::load
