// GrammarCache: compiled grammars by their source, so that a client that sends the same schema a
// thousand times pays for it once.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "api/api_error.h"
#include "text/grammar.h"

namespace vsurge::api {

// Any thread; get() may take as long as compiling does: for text workers.
class GrammarCache {
 public:
  // Keeps at most bytes_max of sources, grammars and refusals, the least recently used of which go
  // first. What is handed out lives on.
  GrammarCache(text::GrammarFactory factory, std::size_t bytes_max);
  ~GrammarCache();
  GrammarCache(const GrammarCache&) = delete;
  GrammarCache& operator=(const GrammarCache&) = delete;

  // Compiles unless it is there; who asks for one that is being compiled waits for it. A refusal
  // names `param`.
  ApiResult<std::shared_ptr<const text::Grammar>> get(const text::GrammarSource& source,
                                                      std::string_view param);

  struct Stats {
    std::size_t compiled = 0;  // since the start
    std::size_t entries = 0;
    std::size_t bytes = 0;
  };
  Stats stats() const;
  const text::GrammarFactory& factory() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vsurge::api
