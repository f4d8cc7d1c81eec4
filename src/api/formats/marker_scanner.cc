#include "api/formats/marker_scanner.h"

#include <algorithm>
#include <utility>

namespace vsurge::api {

void MarkerScanner::look_for(std::vector<std::string_view> markers) {
  markers_ = std::move(markers);
}

void MarkerScanner::push(std::string_view text, const Sink& sink) {
  held_ += text;
  scan(false, sink);
}

void MarkerScanner::flush(const Sink& sink) {
  scan(true, sink);
}

void MarkerScanner::scan(bool last, const Sink& sink) {
  // The sinks may look at nothing of ours, so text is taken out before it is told.
  std::string text = std::exchange(held_, {});
  std::size_t told = 0, at = 0;
  while (at < text.size()) {
    const std::string_view rest = std::string_view(text).substr(at);
    std::string_view found;
    bool undecided = false;
    for (const std::string_view marker : markers_) {
      if (rest.starts_with(marker)) {
        if (marker.size() > found.size()) found = marker;
      } else if (marker.starts_with(rest)) {
        undecided = true;
      }
    }
    if (undecided && !last) break;
    if (found.empty()) {
      ++at;
      continue;
    }
    if (at > told) sink.on_text(std::string_view(text).substr(told, at - told));
    at += found.size();
    told = at;
    sink.on_marker(found);
  }
  if (at > told) sink.on_text(std::string_view(text).substr(told, at - told));
  held_.insert(0, text, at);
}

}  // namespace vsurge::api
