// TextStream: the tokens of one answer to the text a client may see.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "api/stop_scanner.h"
#include "text/detokenizer.h"

namespace vsurge::api {

struct TextOptions {
  std::vector<std::string> stops = {};
  std::optional<text::StopRegex> stop_regex = {};
  bool include_stop = false;  // the stop string is part of the text
  bool skip_special = true;   // special tokens are no part of the text
  int min_tokens = 0;         // stop strings that end within so many tokens do not count
};

// One per answer, one thread at a time. The concatenation of all that push() and finish() give is
// the answer, whatever the pace of the calls.
//
// A token belongs to the answer when a byte of its text does, so one that a stop string cuts in the
// middle does. A token without text of its own (special, or a part of a character) belongs with
// what follows it.
class TextStream {
 public:
  TextStream(const text::Tokenizer& tokenizer, TextOptions options);

  // Appends to `out` what the client may see now. armed = false: stop strings that end within it
  // do not count.
  base::Status push(text::TokenId token, std::string& out, bool armed = true);
  // A token that means something else than its text, of which nothing comes out; all text before
  // it does.
  base::Status push_marker(text::TokenId token, std::string& out);
  // After the last token, unless stopped().
  base::Status finish(std::string& out);
  // A stop string was found: the answer is complete.
  bool stopped() const { return scanner_.found(); }
  const std::string& stop_string() const { return scanner_.stop_string(); }

  // Appends, for each token that has come to belong to the answer since the last call, in order,
  // where its text begins: in characters from the beginning of the answer.
  void take_shown(std::vector<std::size_t>& offsets);

 private:
  struct Place {
    std::size_t byte;
    std::size_t character;
  };
  void add(std::string_view piece, std::string& out, bool armed);

  text::Tokenizer tokenizer_;
  text::Detokenizer detokenizer_;
  StopScanner scanner_;
  int min_tokens_;
  int tokens_ = 0;
  Place end_{0, 0};            // of all text so far, shown or held back
  std::size_t shown_ = 0;      // bytes
  bool held_ = false;          // the last tokens have no text yet, or none of their own
  bool complete_ = false;      // finish() was called
  std::deque<Place> pending_;  // beginnings of tokens that take_shown has not told
};

// Characters of UTF-8.
std::size_t count_characters(std::string_view text);

}  // namespace vsurge::api
