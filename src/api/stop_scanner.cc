#include "api/stop_scanner.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace vsurge::api {

StopScanner::StopScanner(std::vector<std::string> stops, bool include_stop,
                         std::optional<text::StopRegex> regexes)
    : regexes_(std::move(regexes)), include_stop_(include_stop) {
  if (regexes_) search_.emplace(*regexes_);
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

std::optional<StopScanner::Found> StopScanner::find_string(std::string_view piece, bool armed) {
  if (stops_.empty()) return std::nullopt;
  for (std::size_t i = 0; i < piece.size(); ++i) {
    const Stop* stop = advance(piece[i], armed);
    if (stop != nullptr) return Found{i + 1, stop->text.size(), stop->text};
  }
  return std::nullopt;
}

// Replaces a stop string that ends later, or with a shorter match at the same byte.
void StopScanner::find_regex(std::string_view piece, bool armed, std::optional<Found>& found) {
  if (!search_) return;
  const std::string_view until = found ? piece.substr(0, found->end) : piece;
  const text::StopSearch::Found match = search_->push(until, armed);
  open_ = match.open;
  if (match.found) {
    const Found here{static_cast<std::size_t>(match.end - seen_),
                     static_cast<std::size_t>(match.end - match.begin),
                     regexes_->pattern(match.pattern)};
    if (!found || here.end < found->end || here.size > found->size) found = here;
  }
  seen_ += until.size();
}

void StopScanner::push(std::string_view piece, std::string& out, bool armed) {
  if (found_) return;
  if (stops_.empty() && !search_) {
    out += piece;
    return;
  }
  held_ += piece;
  const std::size_t before = held_.size() - piece.size();
  std::optional<Found> found = find_string(piece, armed);
  find_regex(piece, armed, found);
  if (found) {
    found_ = true;
    found_string_ = found->name;
    out.append(held_, 0, before + found->end - (include_stop_ ? 0 : found->size));
    held_.clear();
    return;
  }
  std::size_t hold = search_ ? static_cast<std::size_t>(seen_ - open_) : 0;
  for (const Stop& stop : stops_) hold = std::max(hold, stop.matched);
  out.append(held_, 0, held_.size() - hold);
  held_.erase(0, held_.size() - hold);
}

void StopScanner::flush(std::string& out) {
  out += held_;
  held_.clear();
  for (Stop& stop : stops_) stop.matched = 0;
  if (search_) search_->cut();
  open_ = seen_;
}

}  // namespace vsurge::api
