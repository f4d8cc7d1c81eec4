#include "api/stop_scanner.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace vsurge::api {

StopScanner::StopScanner(std::vector<std::string> stops, bool include_stop)
    : include_stop_(include_stop) {
  for (std::string& text : stops) {
    CHECK(!text.empty());
    std::vector<std::size_t> border(text.size(), 0);
    for (std::size_t i = 1, k = 0; i < text.size(); ++i) {
      while (k > 0 && text[i] != text[k]) k = border[k - 1];
      if (text[i] == text[k]) ++k;
      border[i] = k;
    }
    stops_.push_back({std::move(text), std::move(border), 0});
  }
}

const StopScanner::Stop* StopScanner::advance(char c, bool armed) {
  const Stop* longest = nullptr;
  for (Stop& stop : stops_) {
    std::size_t& k = stop.matched;
    while (k > 0 && c != stop.text[k]) k = stop.border[k - 1];
    if (c == stop.text[k]) ++k;
    if (k < stop.text.size()) continue;
    if (armed && (longest == nullptr || longest->text.size() < k)) longest = &stop;
    k = stop.border[k - 1];  // where it does not count the search goes on
  }
  return longest;
}

void StopScanner::push(std::string_view piece, std::string& out, bool armed) {
  if (found_) return;
  if (stops_.empty()) {
    out += piece;
    return;
  }
  held_ += piece;
  const std::size_t before = held_.size() - piece.size();
  for (std::size_t i = 0; i < piece.size(); ++i) {
    const Stop* stop = advance(piece[i], armed);
    if (stop == nullptr) continue;
    found_ = true;
    found_string_ = stop->text;
    out.append(held_, 0, before + i + 1 - (include_stop_ ? 0 : stop->text.size()));
    held_.clear();
    return;
  }
  std::size_t hold = 0;
  for (const Stop& stop : stops_) hold = std::max(hold, stop.matched);
  out.append(held_, 0, held_.size() - hold);
  held_.erase(0, held_.size() - hold);
}

void StopScanner::flush(std::string& out) {
  out += held_;
  held_.clear();
  for (Stop& stop : stops_) stop.matched = 0;
}

}  // namespace vsurge::api
