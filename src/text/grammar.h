// Grammar: what constrained output may say, as masks over tokens; over llguidance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/limits.h"
#include "text/tokenizer.h"

struct tb_grammar_factory;
struct tb_matcher;

namespace vsurge::text {

struct GrammarSource {
  enum class Kind : std::uint8_t {
    kJsonSchema,  // text: the schema
    kJsonObject,  // any JSON object; text is not read
    kRegex,       // of the whole answer, in Rust's syntax: no look-around, no back-references
    kLark,        // in llguidance's dialect; its start rule is the whole answer
    kGbnf,        // llama.cpp's; see grammar_gbnf.h
    kChoice,      // text: a JSON array of strings, of which the answer is one
  };
  Kind kind = Kind::kJsonObject;
  std::string text;
  // Of the two kinds of JSON: blanks that may stand between its tokens, as a regex. Empty: none.
  std::string whitespace;

  friend bool operator==(const GrammarSource&, const GrammarSource&) = default;
};

// For clients that want JSON laid out freely: a run has an end, as a weak model may not find one.
inline constexpr std::string_view kAnyWhitespace = R"([ \t\r\n]{1,32})";

// One answer's way through a grammar. One thread at a time.
class GrammarMatcher {
 public:
  GrammarMatcher(GrammarMatcher&&) = default;
  GrammarMatcher& operator=(GrammarMatcher&&) = default;

  // Bit i of words[i / 32]: token i may come next; of all others the bits are cleared. Once the
  // answer is complete an end-of-text token may, and when nothing else can follow only that.
  // words.size() * 32 >= the logits' width. kInvalidRequest when a limit of a step is passed; the
  // matcher is of no use then.
  base::Status fill_mask(std::span<std::uint32_t> words);
  // The bit of one token in that mask, for less.
  base::Result<bool> allows(TokenId token);
  // kInvalidRequest when the last mask did not allow it.
  base::Status accept(TokenId token);
  // Nothing but an end-of-text token can follow.
  bool is_stopped() const;

 private:
  friend class Grammar;
  struct Free {
    void operator()(tb_matcher* matcher) const;
  };
  explicit GrammarMatcher(tb_matcher* matcher) : handle_(matcher) {}
  std::unique_ptr<tb_matcher, Free> handle_;
};

// A compiled source. Immutable; any thread.
class Grammar {
 public:
  // At the start of an answer. Costs a copy of the compiled parts.
  base::Result<GrammarMatcher> matcher() const;
  std::size_t bytes() const;  // memory it takes

 private:
  friend class GrammarFactory;
  explicit Grammar(tb_matcher* start) : start_(start) {}
  std::unique_ptr<tb_matcher, GrammarMatcher::Free> start_;
};

// Compiles sources for one tokenizer. Immutable and cheap to copy; any thread.
class GrammarFactory {
 public:
  // logits: width of the model's, at least the tokenizer's vocabulary; ids beyond that are never
  // allowed. end_tokens: those that end an answer, at least one. kBadModel when answers cannot be
  // constrained with this tokenizer. Takes a part of a second.
  static base::Result<GrammarFactory> make(const Tokenizer& tokenizer, int logits,
                                           std::span<const TokenId> end_tokens,
                                           const base::GrammarLimits& limits = {});

  // Takes milliseconds to limits.compile_ms_max: for a text worker. kInvalidRequest: what is wrong
  // with the source, or what of it cannot be enforced (then the message begins with the keyword);
  // kUnsupportedValue: that time has passed; kQueueFull: too many earlier ones are still at work.
  base::Result<Grammar> compile(const GrammarSource& source) const;

  // What stands after %json in a Lark grammar, for a schema that is part of one; fails as compile.
  base::Result<std::string> lark_schema(std::string_view schema,
                                        std::string_view whitespace = {}) const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace vsurge::text
