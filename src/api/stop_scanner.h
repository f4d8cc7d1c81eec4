// StopScanner: finds stop strings in the text of an answer, and keeps them from the client.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/stop_regex.h"

namespace vsurge::api {

// Finds stops in text that comes in pieces. One thread at a time.
//
// The first stop to be complete ends the text (of those that end at the same byte, the longest),
// and nothing of it comes out: at any moment only the longest end of the text that may be the
// beginning of a stop is held back. What comes out depends on the text alone, not on how it was
// cut into pieces, and is cut between characters.
class StopScanner {
 public:
  // Stop strings are UTF-8 and not empty. include_stop: what is found comes out, too.
  explicit StopScanner(std::vector<std::string> stops, bool include_stop = false,
                       std::optional<text::StopRegex> regexes = {});

  // Appends to `out` what may be shown now; after a stop string was found, nothing. armed = false:
  // stop strings that are complete within `piece` do not count.
  void push(std::string_view piece, std::string& out, bool armed = true);
  // What was held back: no more text comes, or no stop string goes on from here.
  void flush(std::string& out);
  bool found() const { return found_; }
  // The stop string, or the regex, once found.
  const std::string& stop_string() const { return found_string_; }

 private:
  struct Stop {
    std::string text;
    std::vector<std::size_t> border;  // [i]: longest proper border of text[0..i]
    std::size_t matched = 0;          // bytes of text that end the text seen so far
  };
  struct Found {
    std::size_t end;   // in the piece
    std::size_t size;  // of the stop
    std::string_view name;
  };
  // The longest stop string that `c` completes, if one is to end the text.
  const Stop* advance(char c, bool armed);
  std::optional<Found> find_string(std::string_view piece, bool armed);
  void find_regex(std::string_view piece, bool armed, std::optional<Found>& found);

  std::vector<Stop> stops_;
  std::optional<text::StopRegex> regexes_;
  std::optional<text::StopSearch> search_;  // of regexes_
  std::uint64_t seen_ = 0;                  // bytes that the search has got
  std::uint64_t open_ = 0;                  // where a match of it may have begun
  bool include_stop_;
  std::string held_;
  std::string found_string_;
  bool found_ = false;
};

}  // namespace vsurge::api
