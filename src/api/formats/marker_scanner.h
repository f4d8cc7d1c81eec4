// MarkerScanner: finds markers in text that comes in pieces.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vsurge::api {

// One thread at a time. Of markers that begin at the same byte the longest counts.
class MarkerScanner {
 public:
  struct Sink {
    std::function<void(std::string_view text)> on_text;
    std::function<void(std::string_view marker)> on_marker;  // may change the markers
  };

  // What is looked for from here on; not empty texts that live on.
  void look_for(std::vector<std::string_view> markers);
  // `text` is a part of one of them, not the whole.
  bool is_part(std::string_view text) const;
  // Tells text and markers in their order. Text that may yet be a marker is held back.
  void push(std::string_view text, const Sink& sink);
  // From within a sink: the end of what it was told is to be looked at once more, with the markers
  // that count by then.
  void put_back(std::string_view text) { back_ += text; }
  // Tells what was held back.
  void flush(const Sink& sink);
  // The same, for who tells it himself: the beginning of a marker, or nothing.
  std::string take_held() { return std::exchange(held_, {}); }

 private:
  void scan(bool last, const Sink& sink);
  std::string_view find(std::string_view rest, bool& undecided) const;

  std::vector<std::string_view> markers_;
  std::string held_, back_;
};

}  // namespace vsurge::api
