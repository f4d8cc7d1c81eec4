#include "api/reasoned_grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/formats/harmony.h"
#include "api/json.h"
#include "api/lark_text.h"
#include "text/grammar_gbnf.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using Kind = text::GrammarSource::Kind;

// gpt-oss reasons in a channel of its own; calls name theirs, all else belongs in `final`.
constexpr TextList kHarmonyOpens = {"<|channel|>analysis<|message|>"};
constexpr TextList kHarmonyCloses = {"<|end|><|start|>assistant"};
constexpr std::string_view kHarmonyFinal = "<|channel|>final<|message|>";

const TextList& opens_of(const ReasoningFormat& format) {
  return is_harmony(nullptr, &format) ? kHarmonyOpens : format.opens;
}
const TextList& closes_of(const ReasoningFormat& format) {
  return is_harmony(nullptr, &format) ? kHarmonyCloses : format.closes;
}

class Writer {
 public:
  Writer(const text::Tokenizer& tokenizer, const text::GrammarFactory& factory)
      : tokenizer_(tokenizer), factory_(factory) {}

  base::Result<std::string> write(const text::GrammarSource& answer, const ReasoningStart& start) {
    const bool harmony = is_harmony(nullptr, &start.format);
    const TextList& opens = opens_of(start.format);
    std::string any;
    for (const std::string_view text : opens) any += (any.empty() ? "" : " | ") + literal(text);
    std::string out = "start: ";
    if (start.open) {
      out += "rest ";
    } else if (!any.empty()) {
      out += "reasoning? ";
    }
    if (harmony && !start.calls) out += "final? ";
    out += "answer\n";
    if (!start.open && !any.empty()) out += fmt::format("reasoning: ({}) rest\n", any);
    if (harmony) out += fmt::format("final: {}\n", literal(kHarmonyFinal));
    out += rest(closes_of(start.format));
    return out + VSURGE_TRY(answer_rule(answer));
  }

 private:
  // A token of the vocabulary that a text begins with, as <|this|> or [THIS] is one; by its id.
  std::optional<LarkPiece> token_at(std::string_view text) const {
    if (text.empty() || (text[0] != '<' && text[0] != '[')) return std::nullopt;
    const std::size_t end = text.find(text[0] == '<' ? '>' : ']');
    if (end == std::string_view::npos) return std::nullopt;
    const auto id = tokenizer_.id_of(text.substr(0, end + 1));
    if (!id) return std::nullopt;
    return LarkPiece{fmt::format("<[{}]>", *id), end + 1};
  }

  std::string literal(std::string_view text) const {
    return lark_literal(text, [&](std::string_view rest) { return token_at(rest); });
  }

  // What is thought, and the mark behind it. Text alone never has a special token in it, so one
  // that begins a mark ends the text; a mark of letters ends it where it first stands.
  std::string rest(const TextList& closes) const {
    std::string rules, letters;
    for (const std::string_view text : closes) {
      if (token_at(text)) {
        rules += fmt::format("{}THOUGHT? {}", rules.empty() ? "" : " | ", literal(text));
      } else {
        letters += (letters.empty() ? "" : "|") + lark_regex_literal(text);
      }
    }
    std::string out;
    if (!letters.empty()) {
      rules += rules.empty() ? "until" : " | until";
      out = fmt::format("until[lazy]: /(?s:.*)({})/\n", letters);
    }
    if (rules.contains("THOUGHT")) out += "THOUGHT: /(?s:.+)/\n";
    return fmt::format("rest: ({}) BLANKS?\nBLANKS: /[ \\t\\r\\n]{{1,16}}/\n{}", rules, out);
  }

  base::Result<std::string> answer_rule(const text::GrammarSource& answer) const {
    switch (answer.kind) {
      case Kind::kJsonSchema:
      case Kind::kJsonObject: {
        const auto schema = answer.kind == Kind::kJsonObject
                                ? std::string_view(R"({"type":"object"})")
                                : std::string_view(answer.text);
        return fmt::format("answer: %json {}\n",
                           VSURGE_TRY(factory_.lark_schema(schema, answer.whitespace)));
      }
      case Kind::kRegex:
        return fmt::format("answer: ANSWER\nANSWER: /{}/\n", lark_regex(answer.text));
      case Kind::kChoice:
        return choices(answer.text);
      case Kind::kGbnf:
        return fmt::format("answer: %lark {{\n{}\n}}\n",
                           VSURGE_TRY(text::lark_of_gbnf(answer.text)));
      case Kind::kLark:
        break;
    }
    return fmt::format("answer: %lark {{\n{}\n}}\n", answer.text);
  }

  static base::Result<std::string> choices(std::string_view array) {
    boost::system::error_code error;
    const json::value parsed = json::parse(array, error);
    if (error || !parsed.is_array()) {
      return base::fail(base::ErrorCode::kInvalidRequest, "a choice is an array of strings");
    }
    std::string out = "answer: ";
    for (const json::value& each : parsed.get_array()) {
      if (!each.is_string()) {
        return base::fail(base::ErrorCode::kInvalidRequest, "a choice is an array of strings");
      }
      if (!out.ends_with(": ")) out += " | ";
      append_json_string(out, each.get_string());
    }
    return out + '\n';
  }

  const text::Tokenizer& tokenizer_;
  const text::GrammarFactory& factory_;
};

}  // namespace

bool marks_are_tokens(const ReasoningStart& start, const text::Tokenizer& tokenizer) {
  if (is_harmony(nullptr, &start.format)) return false;
  const auto is_token = [&](std::string_view text) { return tokenizer.id_of(text).has_value(); };
  return std::ranges::all_of(start.format.closes, is_token) &&
         (start.open || std::ranges::all_of(start.format.opens, is_token));
}

base::Result<text::GrammarSource> behind_reasoning(const text::GrammarSource& answer,
                                                   const ReasoningStart& start,
                                                   const text::Tokenizer& tokenizer,
                                                   const text::GrammarFactory& factory) {
  std::string lark = VSURGE_TRY(Writer(tokenizer, factory).write(answer, start));
  return text::GrammarSource{.kind = Kind::kLark, .text = std::move(lark), .whitespace = {}};
}

}  // namespace vsurge::api
