#include "api/formats/text_value.h"

#include <algorithm>
#include <string>

#include "api/json.h"

namespace vsurge::api {

// Where what may yet become a mark begins, with a line's end before it.
std::size_t TextValue::undecided(std::string_view text, std::size_t from) const {
  std::size_t longest = 0;
  for (const std::string_view end : ends_) longest = std::max(longest, end.size());
  std::size_t at = text.size() - std::min(text.size() - from, longest);
  while (at < text.size() &&
         std::ranges::none_of(
             ends_, [&](std::string_view end) { return may_become(text.substr(at), end); })) {
    ++at;
  }
  return framed_ && at > from && text[at - 1] == '\n' ? at - 1 : at;
}

bool TextValue::push(std::string_view text, std::size_t& used, CallSink& sink) {
  used = 0;
  if (text.empty()) return false;
  if (!begun_ && framed_ && text.front() == '\n') used = 1;
  begun_ = true;
  std::size_t stop = std::string_view::npos;
  for (const std::string_view end : ends_) stop = std::min(stop, text.find(end, used));
  const bool whole = stop != std::string_view::npos;
  if (!whole) stop = undecided(text, used);
  std::string_view piece = text.substr(used, stop - used);
  if (whole && framed_ && piece.ends_with('\n')) piece.remove_suffix(1);
  used = stop;
  if (piece.empty()) return whole;
  std::string json;
  append_json_escaped(json, piece);
  sink.arguments(json);
  return whole;
}

}  // namespace vsurge::api
