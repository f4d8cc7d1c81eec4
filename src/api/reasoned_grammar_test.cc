// Which answers come through behind reasoning, and where that ends.
#include "api/reasoned_grammar.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

#include "api/formats/harmony.h"
#include "text/grammar_fixture.h"

namespace vsurge::api {
namespace {

using text::testing::allows;
using text::testing::kEnd;
using text::testing::kLogits;
using text::testing::Mask;
using text::testing::token_of;
using Kind = text::GrammarSource::Kind;

constexpr std::array<std::string_view, 6> kSpecial = {"<|channel|>", "<|message|>", "<|end|>",
                                                      "<|start|>",   "<|think|>",   "<|done|>"};
constexpr text::TokenId kFirstSpecial = 96;

// The characters, and the tokens above.
text::Tokenizer tokenizer_of() {
  std::string json = text::testing::byte_tokenizer_json();
  std::string added;
  for (std::size_t i = 0; i < kSpecial.size(); ++i) {
    added += fmt::format(R"(,{{"id":{},"content":"{}","single_word":false,"lstrip":false,)"
                         R"("rstrip":false,"normalized":false,"special":true}})",
                         kFirstSpecial + static_cast<text::TokenId>(i), kSpecial[i]);
  }
  json.insert(json.find(']'), added);  // the first list is that of added tokens
  auto made = text::Tokenizer::from_json(json);
  EXPECT_TRUE(made) << made.error().message;
  return std::move(*made);
}

const text::Tokenizer& tokenizer() {
  static const text::Tokenizer made = tokenizer_of();
  return made;
}

const text::GrammarFactory& factory() {
  static const text::GrammarFactory made = [] {
    const std::array<text::TokenId, 1> ends = {kEnd};
    auto built = text::GrammarFactory::make(tokenizer(), kLogits, ends);
    EXPECT_TRUE(built) << built.error().message;
    return std::move(*built);
  }();
  return made;
}

text::Grammar compiled(const text::GrammarSource& answer, const ReasoningStart& start) {
  const auto source = behind_reasoning(answer, start, tokenizer(), factory());
  EXPECT_TRUE(source) << source.error().message;
  auto grammar = factory().compile(*source);
  EXPECT_TRUE(grammar) << grammar.error().message << "\n" << source->text;
  return std::move(*grammar);
}

// How much of `text` comes through, special tokens as such, and whether an answer may end there.
std::string through(const text::Grammar& grammar, std::string_view text) {
  auto matcher = grammar.matcher();
  EXPECT_TRUE(matcher);
  std::string out;
  Mask mask{};
  while (!text.empty()) {
    std::string_view piece = text.substr(0, 1);
    text::TokenId token = token_of(text[0]);
    for (std::size_t i = 0; i < kSpecial.size(); ++i) {
      if (!text.starts_with(kSpecial[i])) continue;
      piece = kSpecial[i];
      token = kFirstSpecial + static_cast<text::TokenId>(i);
    }
    EXPECT_TRUE(matcher->fill_mask(mask));
    if (!allows(mask, token)) return out + "!";
    EXPECT_TRUE(matcher->accept(token));
    out += piece;
    text.remove_prefix(piece.size());
  }
  EXPECT_TRUE(matcher->fill_mask(mask));
  return out + (allows(mask, kEnd) ? "." : "");
}

const text::GrammarSource kYes{Kind::kChoice, R"(["yes","no"])", ""};
constexpr ReasoningFormat kWords = {"words", {}, {"Think:", "Thoughts:"}, {"Answer:", "So:"}};
constexpr ReasoningFormat kMixed = {"mixed", {}, {"<|think|>thought"}, {"<|done|>", "Done."}};

TEST(ReasonedGrammar, OpenReasoningEndsWithTheFirstMark) {
  const text::Grammar grammar = compiled(kYes, {.format = kWords, .open = true});
  for (const std::string_view text :
       {"hm, Answer or so. Answer:yes", "So:  no", "Answer:no", "no yes So:yes"}) {
    EXPECT_EQ(through(grammar, text), std::string(text) + ".");
  }
  EXPECT_EQ(through(grammar, "yes"), "yes") << "thinking on, and not at its end";
  EXPECT_EQ(through(grammar, "hm So:maybe"), "hm So:!");
  EXPECT_EQ(through(grammar, "So:Answer:yes"), "So:!");
}

TEST(ReasonedGrammar, ReasoningMayComeFirst) {
  const text::Grammar grammar = compiled(kYes, {.format = kWords});
  for (const std::string_view text : {"yes", "Think:well So:no", "Thoughts:Answer: yes"}) {
    EXPECT_EQ(through(grammar, text), std::string(text) + ".");
  }
  EXPECT_EQ(through(grammar, "well"), "!");
  EXPECT_EQ(through(grammar, "Think:yes"), "Think:yes");
  EXPECT_EQ(through(grammar, "yesSo:"), "yes!");
}

// A special token is one of the vocabulary and not its letters.
TEST(ReasonedGrammar, MarksMayHoldSpecialTokens) {
  const text::Grammar grammar = compiled(kYes, {.format = kMixed});
  for (const std::string_view text :
       {"<|think|>thought so<|done|>yes", "<|think|>thought<|done|> no",
        "<|think|>thought Done.yes", "no"}) {
    EXPECT_EQ(through(grammar, text), std::string(text) + ".");
  }
  EXPECT_EQ(through(grammar, "<|think|>yes"), "<|think|>!");
  EXPECT_EQ(through(grammar, "<|think|>thought<|end|>"), "<|think|>thought!");
}

TEST(ReasonedGrammar, HoldsEveryKindOfAnswer) {
  const struct {
    text::GrammarSource source;
    std::string_view fits, other;
  } rows[] = {
      {{Kind::kJsonSchema, R"({"type":"integer"})", ""}, "17", "x"},
      {{Kind::kJsonObject, "", ""}, R"({"a":1})", "1"},
      {{Kind::kJsonObject, "", std::string(text::kAnyWhitespace)}, R"({ "a": 1 })", "1"},
      {{Kind::kRegex, R"(a/b|\d+)", ""}, "a/b", "ab"},
      {{Kind::kRegex, R"(a\/b)", ""}, "a/b", "ab"},
      {{Kind::kChoice, R"(["\"q\"","a|b"])", ""}, "a|b", "b"},
      {{Kind::kGbnf, "root ::= \"x\" [0-9]+", ""}, "x12", "12"},
      {{Kind::kLark, "start: \"{\" one \"}\"\none: /[a-c]+/\n", ""}, "{abc}", "abc"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.source.text);
    const text::Grammar grammar = compiled(row.source, {.format = kWords, .open = true});
    EXPECT_EQ(through(grammar, fmt::format("hm So:{}", row.fits)),
              fmt::format("hm So:{}.", row.fits));
    const std::string other = through(grammar, fmt::format("hm So:{}", row.other));
    EXPECT_NE(other, fmt::format("hm So:{}.", row.other));
  }
}

TEST(ReasonedGrammar, HarmonyAnswersInItsOwnChannel) {
  const text::Grammar grammar = compiled(kYes, {.format = harmony_reasoning()});
  const std::string thought = "<|channel|>analysis<|message|>hm, yes?<|end|><|start|>assistant";
  const std::string last = "<|channel|>final<|message|>";
  for (const std::string& text : {thought + last + "yes", last + "no", std::string("no")}) {
    EXPECT_EQ(through(grammar, text), text + ".");
  }
  EXPECT_EQ(through(grammar, last + "maybe"), last + "!");
  // Calls write their channel themselves.
  const text::Grammar calls = compiled({Kind::kLark, "start: <[96]> \"call\"\n", ""},
                                       {.format = harmony_reasoning(), .calls = true});
  EXPECT_EQ(through(calls, thought + "<|channel|>call"), thought + "<|channel|>call.");
  EXPECT_EQ(through(calls, thought + last), thought + "<|channel|>!");
}

TEST(ReasonedGrammar, AGateIsEnoughWhereMarksAreTokens) {
  constexpr ReasoningFormat kTokens = {"tokens", {}, {"<|think|>"}, {"<|done|>"}};
  constexpr ReasoningFormat kClose = {"close", {}, {"<|think|>thought"}, {"<|done|>"}};
  constexpr ReasoningFormat kNone = {"none", {}, {}, {}};
  EXPECT_TRUE(marks_are_tokens({.format = kTokens}, tokenizer()));
  EXPECT_TRUE(marks_are_tokens({.format = kNone}, tokenizer()));
  EXPECT_FALSE(marks_are_tokens({.format = kClose}, tokenizer()));
  EXPECT_TRUE(marks_are_tokens({.format = kClose, .open = true}, tokenizer()));
  EXPECT_FALSE(marks_are_tokens({.format = kWords, .open = true}, tokenizer()));
  EXPECT_FALSE(marks_are_tokens({.format = harmony_reasoning()}, tokenizer()));
}

// A token within a mark stands at its beginning; reasoning that ends by letters ends by them alone.
TEST(ReasonedGrammar, FormatsAreWrittenSo) {
  for (const ReasoningFormat* format : reasoning_formats()) {
    for (const std::string_view text : format->closes) {
      const bool begins = text[0] == '<' || text[0] == '[';
      EXPECT_TRUE(begins || text.find_first_of("<[") == std::string_view::npos) << format->name;
    }
  }
}

}  // namespace
}  // namespace vsurge::api
