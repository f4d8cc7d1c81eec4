// Makes text from outside safe to print: no control bytes, valid UTF-8, a bounded length.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vsurge::base {

// For people (terminal, log line): control characters become \n, \t, \r or \xNN, so that one event
// stays one line and nothing steers a terminal; bytes that are not UTF-8 become \xNN.
std::string escape_for_line(std::string_view text);

// For the inside of a JSON string: quotes, backslashes and control characters escaped as JSON
// wants; bytes that are not UTF-8 become U+FFFD.
std::string escape_for_json(std::string_view text);

// At most `size_max` bytes of text, cut between characters, with "..." when something was cut.
std::string shorten(std::string_view text, std::size_t size_max);

// Length in bytes (1 to 4) of the UTF-8 character at the front of text, or 0 when there is none:
// empty, a stray or missing continuation byte, an overlong form, a surrogate, beyond U+10FFFF.
std::size_t utf8_length(std::string_view text);

}  // namespace vsurge::base
