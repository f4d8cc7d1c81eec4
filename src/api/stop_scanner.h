// StopScanner: finds stop strings in the text of an answer, and keeps them from the client.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace vsurge::api {

// Finds stop strings in text that comes in pieces. One thread at a time.
//
// The first stop string to be complete ends the text (of two that end at the same byte, the longer
// one), and nothing of it comes out: at any moment only the longest end of the text that is a
// proper prefix of a stop string is held back. What comes out depends on the text alone, not on
// how it was cut into pieces, and is cut between characters.
class StopScanner {
 public:
  // Stop strings are UTF-8 and not empty. include_stop: the one that is found comes out, too.
  explicit StopScanner(std::vector<std::string> stops, bool include_stop = false);

  // Appends to `out` what may be shown now; after a stop string was found, nothing. armed = false:
  // stop strings that are complete within `piece` do not count.
  void push(std::string_view piece, std::string& out, bool armed = true);
  // What was held back: no more text comes, or no stop string goes on from here.
  void flush(std::string& out);
  bool found() const { return found_; }
  const std::string& stop_string() const { return found_string_; }  // once found

 private:
  struct Stop {
    std::string text;
    std::vector<std::size_t> border;  // [i]: longest proper border of text[0..i]
    std::size_t matched = 0;          // bytes of text that end the text seen so far
  };
  // The longest stop string that `c` completes, if one is to end the text.
  const Stop* advance(char c, bool armed);

  std::vector<Stop> stops_;
  bool include_stop_;
  std::string held_;
  std::string found_string_;
  bool found_ = false;
};

}  // namespace vsurge::api
