// TextValue: a bare text up to a mark, told as the inside of a JSON string while it comes.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "api/formats/call_machine.h"

namespace vsurge::api {

class TextValue {
 public:
  // Marks are not empty. framed: one line's end on each side is the format's, not the text's.
  TextValue(std::vector<std::string_view> ends, bool framed)
      : ends_(std::move(ends)), framed_(framed) {}

  // Tells what is sure to be text and sets `used` behind it. True when a mark follows there: then
  // the text is whole.
  bool push(std::string_view text, std::size_t& used, CallSink& sink);

 private:
  std::size_t undecided(std::string_view text, std::size_t from) const;

  std::vector<std::string_view> ends_;
  bool framed_;
  bool begun_ = false;
};

}  // namespace vsurge::api
