#include "api/formats/marker_scanner.h"

#include <algorithm>
#include <utility>

namespace vsurge::api {

void MarkerScanner::look_for(std::vector<std::string_view> markers) {
  markers_ = std::move(markers);
}

bool MarkerScanner::is_part(std::string_view text) const {
  return std::ranges::any_of(markers_, [&](std::string_view marker) {
    return marker.size() > text.size() && marker.contains(text);
  });
}

void MarkerScanner::push(std::string_view text, const Sink& sink) {
  held_ += text;
  scan(false, sink);
}

void MarkerScanner::flush(const Sink& sink) {
  scan(true, sink);
}

// The longest marker at the beginning of `rest`; undecided: more text may make a longer one.
std::string_view MarkerScanner::find(std::string_view rest, bool& undecided) const {
  std::string_view found;
  for (const std::string_view marker : markers_) {
    if (rest.starts_with(marker)) {
      if (marker.size() > found.size()) found = marker;
    } else if (marker.starts_with(rest)) {
      undecided = true;
    }
  }
  return found;
}

// The sinks may change the markers and put text back, so after each call all is looked at anew.
void MarkerScanner::scan(bool last, const Sink& sink) {
  std::string text = std::exchange(held_, {});
  std::size_t told = 0, at = 0;
  const auto tell_text = [&] {
    sink.on_text(std::string_view(text).substr(told, at - told));
    told = at;
  };
  const auto take_back = [&] {
    if (back_.empty()) return;
    text.replace(0, at, std::exchange(back_, {}));
    told = at = 0;
  };
  take_back();
  for (;;) {
    bool undecided = false;
    std::string_view found;
    if (at < text.size()) found = find(std::string_view(text).substr(at), undecided);
    const bool stop = at == text.size() || (undecided && !last);
    if (!stop && found.empty()) {
      ++at;
      continue;
    }
    if (at > told) {
      tell_text();
    } else if (stop) {
      break;
    } else {
      told = at += found.size();
      sink.on_marker(found);
    }
    take_back();
  }
  held_ = text.substr(at);
}

}  // namespace vsurge::api
