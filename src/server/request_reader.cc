#include "server/request_reader.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <utility>

#include "server/target.h"

namespace vsurge::server {
namespace {

namespace http = boost::beast::http;

constexpr std::size_t kHeadRoom = 4 * base::kKiB;
constexpr std::size_t kBodyRoom = 16 * base::kKiB;
constexpr std::size_t kMethodBytesMax = 32;

// The request line ends in "HTTP/" DIGIT "." DIGIT, the form of all versions.
bool names_a_version(std::string_view head) {
  const auto line = head.substr(0, head.find('\r'));
  if (line.size() < 9) return false;
  const auto version = line.substr(line.size() - 9);
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return version.starts_with(" HTTP/") && digit(version[6]) && version[7] == '.' &&
         digit(version[8]);
}

}  // namespace

// Beast's parser for one head; the first rejection of ours ends it.
class RequestReader::BeastHead final : public http::basic_parser<true> {
 public:
  BeastHead(HeadRules& rules, std::size_t target_bytes_max)
      : rules_(rules), target_bytes_max_(target_bytes_max) {}

  std::string method;
  std::string target;
  bool http_1_1 = true;
  api::Headers headers;
  std::optional<Rejection> rejection;

 private:
  using ErrorCode = boost::beast::error_code;
  using Text = boost::beast::string_view;

  void refuse(Rejection why, ErrorCode& error) {
    rejection = std::move(why);
    error = http::error::bad_field;  // any error stops the parser
  }

  void on_request_impl(http::verb, Text method_text, Text target_text, int version,
                       ErrorCode& error) override {
    if (method_text.size() > kMethodBytesMax) {
      return refuse({501, "the request method is not supported"}, error);
    }
    if (target_text.size() > target_bytes_max_) {
      return refuse({414, "the request target is longer than this server accepts"}, error);
    }
    method = std::string(method_text);
    target = std::string(target_text);
    http_1_1 = version >= 11;
  }

  void on_field_impl(http::field, Text name, Text value, ErrorCode& error) override {
    auto& field = headers.emplace_back(lower_case({name.data(), name.size()}), std::string(value));
    if (auto why = rules_.field(field.first, field.second)) refuse(std::move(*why), error);
  }

  void on_response_impl(int, Text, int, ErrorCode&) override {}
  void on_header_impl(ErrorCode&) override {}
  // The parser is left after the head; it never sees a body.
  void on_body_init_impl(const boost::optional<std::uint64_t>&, ErrorCode&) override {}
  std::size_t on_body_impl(Text body, ErrorCode&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, Text, ErrorCode&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text body, ErrorCode&) override {
    return body.size();
  }
  void on_finish_impl(ErrorCode&) override {}

  HeadRules& rules_;
  std::size_t target_bytes_max_;
};

RequestReader::RequestReader(const base::HttpLimits& limits)
    : limits_(limits), scanner_(limits), rules_(limits) {}

std::span<char> RequestReader::prepare() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
  } else if (begin_ > 0) {
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
              buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
    end_ -= std::exchange(begin_, 0);
  }
  const std::size_t room = state_ == State::kBody ? kBodyRoom : kHeadRoom;
  if (buffer_.size() < end_ + room) buffer_.resize(end_ + room);
  return {buffer_.data() + end_, buffer_.size() - end_};
}

RequestReader::State RequestReader::commit(std::size_t count) {
  end_ += std::min(count, buffer_.size() - end_);
  return advance();
}

void RequestReader::release() {
  if (begin_ < end_) return;
  begin_ = end_ = 0;
  std::vector<char>().swap(buffer_);
}

RequestReader::State RequestReader::next() {
  if (state_ != State::kComplete) return state_;
  state_ = State::kIdle;
  scanner_.reset();
  rules_ = HeadRules(limits_);
  chunked_.reset();
  body_left_ = 0;
  body_begun_ = false;
  request_ = {};
  return advance();
}

RequestReader::State RequestReader::reject(Rejection rejection) {
  rejection_ = std::move(rejection);
  return state_ = State::kRejected;
}

RequestReader::State RequestReader::advance() {
  if (state_ == State::kIdle && begin_ < end_) state_ = State::kHead;
  if (state_ == State::kHead) read_head();
  if (state_ == State::kBody) read_body();
  return state_;
}

RequestReader::State RequestReader::read_head() {
  switch (scanner_.scan(unread())) {
    case HeadScanner::Outcome::kMore:
      return state_;
    case HeadScanner::Outcome::kRejected:
      return reject(scanner_.rejection());
    case HeadScanner::Outcome::kComplete:
      break;
  }
  const auto head =
      unread().substr(scanner_.head_begin(), scanner_.head_end() - scanner_.head_begin());
  const State state = parse_head(head);
  begin_ += scanner_.head_end();
  return state;
}

RequestReader::State RequestReader::parse_head(std::string_view head) {
  BeastHead parser(rules_, limits_.request_target_bytes_max);
  parser.header_limit(static_cast<std::uint32_t>(
      std::min<std::size_t>(limits_.header_bytes_max + kHeadRoom, UINT32_MAX)));
  parser.body_limit(boost::none);  // rules_ has the limit
  boost::beast::error_code error;
  const std::size_t used = parser.put(boost::asio::const_buffer(head.data(), head.size()), error);
  http_1_1_ = parser.http_1_1;
  is_head_ = parser.method == "HEAD";
  if (parser.rejection) return reject(std::move(*parser.rejection));
  if (error == http::error::bad_version && names_a_version(head)) {
    return reject({505, "only HTTP/1.1 and HTTP/1.0 are supported"});
  }
  if (error || used != head.size() || !parser.is_header_done()) {
    return reject({400, "the request header is not valid HTTP/1.1"});
  }
  if (auto why = rules_.finish(http_1_1_)) return reject(std::move(*why));
  auto target = parse_target(parser.method, parser.target, rules_.host());
  if (!target) return reject(std::move(target.error()));
  request_.method = std::move(parser.method);
  request_.path = std::move(target->path);
  request_.query = std::move(target->query);
  request_.headers = std::move(parser.headers);
  if (rules_.chunked()) {
    chunked_.emplace(limits_);
  } else if (rules_.content_length() == 0) {
    return complete();
  }
  body_left_ = rules_.content_length();
  return state_ = State::kBody;
}

RequestReader::State RequestReader::read_body() {
  if (begin_ == end_) return state_;
  body_begun_ = true;
  if (!chunked_) {
    // Grows with what has come, not with what Content-Length promises.
    const std::size_t count = std::min<std::uint64_t>(body_left_, end_ - begin_);
    request_.body.append(unread().substr(0, count));
    begin_ += count;
    body_left_ -= count;
    return body_left_ == 0 ? complete() : state_;
  }
  begin_ += chunked_->feed(unread(), request_.body);
  if (chunked_->rejected()) return reject(chunked_->rejection());
  return chunked_->done() ? complete() : state_;
}

RequestReader::State RequestReader::complete() {
  return state_ = State::kComplete;
}

}  // namespace vsurge::server
