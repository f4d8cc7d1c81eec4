// What comes back for one request: a stream of events, or one body.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vsurge::load {

class Answer {
 public:
  // Takes bytes of the response; `deltas` grows by the pieces of text in them. True when the
  // response is whole.
  bool take(std::string_view bytes, long& deltas);
  void reset();

  int status() const { return status_; }   // 0 until the header came
  long tokens() const { return tokens_; }  // of the usage; -1 = none told
  double retry_after() const { return retry_after_; }
  // 200, and with its end: usage, and for a stream no error among the events, and [DONE].
  bool good() const { return status_ == 200 && tokens_ >= 0 && !error_ && (!chunked_ || done_); }
  bool untouched() const { return status_ == 0 && rest_.empty(); }
  const std::string& rest() const { return rest_; }  // for a message

 private:
  bool take_head();
  bool take_body(long& deltas);
  void take_event(std::string_view event, long& deltas);

  std::string rest_;  // what is not used yet
  int status_ = 0;
  long tokens_ = -1;
  double retry_after_ = 0;
  std::size_t length_ = 0;
  bool chunked_ = false;
  bool error_ = false;
  bool done_ = false;
};

}  // namespace vsurge::load
