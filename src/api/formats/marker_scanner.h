// MarkerScanner: finds markers in text that comes in pieces.
#pragma once

#include <functional>
#include <string>
#include <string_view>
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
  // Tells text and markers in their order. Text that may yet be a marker is held back.
  void push(std::string_view text, const Sink& sink);
  // Tells what was held back.
  void flush(const Sink& sink);

 private:
  void scan(bool last, const Sink& sink);

  std::vector<std::string_view> markers_;
  std::string held_;
};

}  // namespace vsurge::api
