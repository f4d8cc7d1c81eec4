// StopRegex: regexes that end an answer, looked for in text that comes in pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

struct tb_stop_regex;
struct tb_stop_search;

namespace vsurge::text {

// Compiled. Immutable and cheap to copy; any thread.
class StopRegex {
 public:
  // Rust's syntax, UTF-8. kInvalidRequest, naming a pattern by its index, for one that does not
  // parse, asserts what follows it ($, \b), can match nothing, or is too large.
  static base::Result<StopRegex> compile(std::span<const std::string> patterns);

  const std::string& pattern(std::size_t i) const { return (*patterns_)[i]; }

 private:
  friend class StopSearch;
  std::shared_ptr<const tb_stop_regex> handle_;
  std::shared_ptr<const std::vector<std::string>> patterns_;
};

// One text's way through it. One thread at a time.
class StopSearch {
 public:
  explicit StopSearch(const StopRegex& regex);

  struct Found {
    bool found = false;
    std::size_t pattern = 0;
    std::uint64_t begin = 0, end = 0;  // in bytes of all text so far
    std::uint64_t open = 0;            // where a match may have begun that is not ruled out
  };
  // The match that ends first, and of these the longest. armed false: those that end within `text`
  // do not count. After a match was found nothing more is asked.
  Found push(std::string_view text, bool armed);
  // No match goes on behind here.
  void cut();

 private:
  struct Free {
    void operator()(tb_stop_search* search) const;
  };
  std::unique_ptr<tb_stop_search, Free> handle_;
};

}  // namespace vsurge::text
