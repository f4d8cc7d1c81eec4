// Grammars on a tokenizer of bytes: what they let through, and what is refused.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <latch>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/worker_pool.h"
#include "text/bridge.h"
#include "text/grammar_fixture.h"

namespace vsurge::text {
namespace {

using namespace testing;
using Kind = GrammarSource::Kind;

// What the grammar lets through when always the first allowed token is taken.
std::string walk(GrammarMatcher& matcher, std::size_t most) {
  std::string text;
  for (std::size_t step = 0; step < most; ++step) {
    Mask mask{};
    const auto status = matcher.fill_mask(mask);
    if (!status) return text + "!" + status.error().message;
    for (TokenId each = -1; each <= kLogits; ++each) {
      const auto alone = matcher.allows(each);
      EXPECT_EQ(alone.has_value() && *alone, each >= 0 && each < kLogits && allows(mask, each))
          << each;
    }
    TokenId token = 0;
    while (token < kLogits && !allows(mask, token)) ++token;
    EXPECT_LE(token, kEnd) << "an id beyond the vocabulary is allowed";
    if (token == kEnd) break;
    const auto accepted = matcher.accept(token);
    if (!accepted) return text + "!" + accepted.error().message;
    text += character_of(token);
  }
  return text;
}

std::string walk(const GrammarSource& source, std::size_t most = 100) {
  const auto grammar = factory().compile(source);
  if (!grammar) return "refused: " + grammar.error().message;
  auto matcher = grammar->matcher();
  EXPECT_TRUE(matcher);
  return walk(*matcher, most);
}

// The text is one of the grammar's answers.
bool takes(const GrammarSource& source, std::string_view text) {
  const auto grammar = factory().compile(source);
  EXPECT_TRUE(grammar) << grammar.error().message << "\n" << source.text;
  if (!grammar) return false;
  auto matcher = grammar->matcher();
  Mask mask{};
  for (const char c : text) {
    if (!matcher->fill_mask(mask) || !allows(mask, token_of(c))) return false;
    if (!matcher->accept(token_of(c))) return false;
  }
  return matcher->fill_mask(mask) && allows(mask, kEnd);
}

std::string refusal(Kind kind, std::string text) {
  const auto grammar = factory().compile({kind, std::move(text), ""});
  if (grammar) return "";
  EXPECT_EQ(grammar.error().code, base::ErrorCode::kInvalidRequest) << grammar.error().message;
  return grammar.error().message;
}

TEST(Grammar, FollowsAChoice) {
  const auto grammar = factory().compile({Kind::kChoice, R"(["yes","yesterday"])", ""});
  ASSERT_TRUE(grammar) << grammar.error().message;
  auto matcher = grammar->matcher();
  auto other = grammar->matcher();
  ASSERT_TRUE(matcher && other);
  EXPECT_EQ(walk(*matcher, 50), "yesterday");
  EXPECT_TRUE(matcher->is_stopped());
  EXPECT_EQ(walk(*other, 2), "ye") << "each matcher has its own place";
  EXPECT_FALSE(other->is_stopped());
  EXPECT_FALSE(other->accept(token_of('x'))) << "not allowed here";
  EXPECT_GT(grammar->bytes(), 0U);
}

TEST(Grammar, JsonIsCompactUnlessAsked) {
  const std::string schema = R"({"type":"object","properties":{"a":{"const":12},
      "b":{"type":"array","items":{"const":1},"minItems":2,"maxItems":2}},
      "required":["a","b"],"additionalProperties":false})";
  const std::string text = R"({"a":12,"b":[1,1]})";
  const std::string spaced = R"({ "a": 12,  "b": [1, 1] })";
  EXPECT_TRUE(takes({Kind::kJsonSchema, schema, ""}, text));
  EXPECT_FALSE(takes({Kind::kJsonSchema, schema, ""}, spaced));
  EXPECT_TRUE(takes({Kind::kJsonSchema, schema, std::string(kAnyWhitespace)}, text));
  EXPECT_TRUE(takes({Kind::kJsonSchema, schema, std::string(kAnyWhitespace)}, spaced));
  EXPECT_FALSE(takes({Kind::kJsonSchema, schema, std::string(kAnyWhitespace)},
                     "{" + std::string(33, ' ') + R"("a":12,"b":[1,1]})"))
      << "a run of blanks has an end";
  EXPECT_TRUE(takes({Kind::kJsonObject, "", ""}, R"({"x":[{},null]})"));
  EXPECT_FALSE(takes({Kind::kJsonObject, "", ""}, "[1]"));
}

TEST(Grammar, FollowsARegexAndALarkGrammar) {
  EXPECT_TRUE(takes({Kind::kRegex, "^[a-c]{3}|x$", ""}, "abc"));
  EXPECT_TRUE(takes({Kind::kRegex, "^[a-c]{3}|x$", ""}, "x"));
  EXPECT_FALSE(takes({Kind::kRegex, "[a-c]{3}", ""}, "abcd"));
  EXPECT_TRUE(takes({Kind::kRegex, "(a+)+b", ""}, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"));
  EXPECT_TRUE(takes({Kind::kRegex, "((a*)*)*", ""}, ""));
  EXPECT_TRUE(takes({Kind::kRegex, "(a{0,1000000}b{0,1000000}){0,1000000}", ""}, "aabab"))
      << "counts are not unrolled";
  const GrammarSource sums = {Kind::kLark, "start: sum\nsum: sum \"+\" N | N\nN: /[0-9]+/", ""};
  EXPECT_TRUE(takes(sums, "1+22+3"));
  EXPECT_FALSE(takes(sums, "1+"));
}

TEST(Grammar, ASchemaInALarkGrammar) {
  const auto schema = factory().lark_schema(R"({"type":"object","properties":{"a":{"const":1}},
      "required":["a"],"additionalProperties":false,"x-guidance":{"lenient":true}})");
  ASSERT_TRUE(schema) << schema.error().message;
  const GrammarSource source = {Kind::kLark, "start: \"<call>\" %json " + *schema + " \"</call>\"",
                                ""};
  EXPECT_TRUE(takes(source, R"(<call>{"a":1}</call>)"));
  EXPECT_FALSE(takes(source, R"(<call>{"a": 1}</call>)"));
  EXPECT_FALSE(factory().lark_schema(R"({"not":{}})"));
}

TEST(Grammar, AFreeNameIsNotThatOfAProperty) {
  const GrammarSource source = {Kind::kJsonSchema,
                                R"({"type":"object","properties":{"a":{"type":"integer"}}})", ""};
  EXPECT_TRUE(takes(source, R"({"a":1,"b":"x"})"));
  EXPECT_FALSE(takes(source, R"({"a":1,"a":"x"})"));
  EXPECT_FALSE(takes(source, R"({"a":1,"\u0061":"x"})"));
}

struct Refused {
  Kind kind;
  const char* text;
  const char* why;  // stands in the message
};

class RefusedGrammar : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedGrammar, WithAReason) {
  const std::string why = refusal(GetParam().kind, GetParam().text);
  ASSERT_NE(why, "") << GetParam().text;
  EXPECT_NE(why.find(GetParam().why), std::string::npos) << GetParam().text << "\n" << why;
}

INSTANTIATE_TEST_SUITE_P(
    Sources, RefusedGrammar,
    ::testing::Values(
        Refused{Kind::kJsonSchema, "{", ""}, Refused{Kind::kJsonSchema, "7", "schema"},
        Refused{Kind::kJsonSchema, R"({"type":"strange"})", "strange"},
        // References.
        Refused{Kind::kJsonSchema, R"({"$ref":"#/$defs/x"})", ""},
        Refused{Kind::kJsonSchema, R"({"$ref":"http://example.com/x.json"})", ""},
        Refused{Kind::kJsonSchema, R"({"$ref":"file:///etc/passwd"})", ""},
        Refused{Kind::kJsonSchema, R"({"$ref":"#"})", ""},
        Refused{Kind::kJsonSchema,
                R"({"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},
                    "$ref":"#/$defs/a"})",
                ""},
        // Counts.
        Refused{Kind::kJsonSchema, R"({"type":"array","minItems":1000000000})", "'minItems'"},
        Refused{Kind::kJsonSchema, R"({"type":"array","maxItems":1000000000})", "'maxItems'"},
        Refused{Kind::kJsonSchema, R"({"type":"string","minLength":1e30})", "'minLength'"},
        Refused{Kind::kJsonSchema, R"({"type":"string","minLength":-1})", "'minLength'"},
        // What nothing satisfies.
        Refused{Kind::kJsonSchema, R"({"type":"string","minLength":3,"maxLength":2})", "minLength"},
        Refused{Kind::kJsonSchema, R"({"type":"integer","minimum":3,"maximum":2})", "minimum"},
        Refused{Kind::kJsonSchema, R"({"enum":[]})", ""}, Refused{Kind::kJsonSchema, "false", ""},
        Refused{Kind::kJsonSchema, R"({"type":"integer","multipleOf":0})", "'multipleOf'"},
        Refused{Kind::kJsonSchema, R"({"const":9007199254740993})", "'const'"},
        Refused{Kind::kJsonSchema, R"({"maximum":1e400})", ""},
        Refused{Kind::kJsonSchema, R"({"type":"object","minProperties":2})", "'minProperties'"},
        // Keywords.
        Refused{Kind::kJsonSchema, R"({"not":{}})", "'not' at '#'"},
        Refused{Kind::kJsonSchema, R"({"properties":{"a/b":{"uniqueItems":true}}})",
                "'uniqueItems' at '#/properties/a~1b'"},
        Refused{Kind::kJsonSchema, R"({"items":{"contains":{}}})", "'contains' at '#/items'"},
        Refused{Kind::kJsonSchema, R"({"anyOf":[{},{"if":{}}]})", "'if' at '#/anyOf/1'"},
        Refused{Kind::kJsonSchema, R"({"unevaluatedProperties":false})", "'unevaluatedProperties'"},
        Refused{Kind::kJsonSchema, R"({"type":"string","format":"zip-code"})", "zip-code"},
        Refused{Kind::kJsonSchema, R"({"oneOf":[{"type":"integer"},{"minimum":3}]})", "oneOf"},
        Refused{Kind::kJsonSchema, R"({"x-guidance":{"lenient":true},"not":{}})", "'not'"},
        // Regexes.
        Refused{Kind::kRegex, "[", ""}, Refused{Kind::kRegex, "(", ""},
        Refused{Kind::kRegex, "*a", ""}, Refused{Kind::kRegex, "a{2,1}", ""},
        Refused{Kind::kRegex, "\\p{Foo}", ""}, Refused{Kind::kRegex, "(?<=x)a", ""},
        Refused{Kind::kRegex, "(a)\\1", ""}, Refused{Kind::kRegex, "\\u{110000}", ""},
        Refused{Kind::kRegex, "[^\\x00-\\x{10FFFF}]", ""},
        Refused{Kind::kJsonSchema, R"({"type":"string","pattern":"("})", ""},
        // Grammars.
        Refused{Kind::kLark, "start: nowhere", "nowhere"}, Refused{Kind::kLark, "", ""},
        Refused{Kind::kLark, "start: start", ""}, Refused{Kind::kLark, "a: \"x\"", "start"},
        Refused{Kind::kLark, "start: \"a\"\nstart: \"b\"", "start"},
        Refused{Kind::kChoice, "[]", ""}, Refused{Kind::kChoice, "[1]", ""},
        Refused{Kind::kRegex, "\xff", "UTF-8"}));

TEST(Grammar, DepthEndsInARefusal) {
  const auto nested = [](std::size_t count, std::string_view open, std::string_view inner,
                         std::string_view close) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += open;
    text += inner;
    for (std::size_t i = 0; i < count; ++i) text += close;
    return text;
  };
  EXPECT_NE(refusal(Kind::kLark, "start: " + nested(60'000, "(", "\"a\"", ")")), "");
  EXPECT_NE(refusal(Kind::kRegex, nested(60'000, "(", "a", ")")), "");
  EXPECT_NE(refusal(Kind::kJsonSchema, nested(100, R"({"items":)", "{}", "}")), "");
  EXPECT_NE(refusal(Kind::kJsonSchema, nested(100'000, "[", "", "]")), "");
  EXPECT_NE(refusal(Kind::kGbnf, "root ::= " + nested(60'000, "(", "\"a\"", ")")), "");
  EXPECT_NE(refusal(Kind::kRegex, std::string(300'000, 'a')), "");
}

// Chains that recursion would follow to its end.
TEST(Grammar, ChainsNeedNoStackOfTheCaller) {
  std::string lark = "start: r0\n";
  std::string gbnf = "root ::= r0\n";
  std::string schema = R"({"$defs":{)";
  constexpr int kLength = 5000;
  for (int i = 0; i < kLength; ++i) {
    lark += fmt::format("r{}: \"a\" r{}\n", i, i + 1);
    gbnf += fmt::format("r{} ::= \"a\" r{}\n", i, i + 1);
    schema += fmt::format(R"("d{}":{{"allOf":[{{"$ref":"#/$defs/d{}"}}]}},)", i, i + 1);
  }
  lark += fmt::format("r{}: \"b\"\n", kLength);
  gbnf += fmt::format("r{} ::= \"b\"\n", kLength);
  schema += fmt::format(R"("d{}":{{"const":1}}}},"$ref":"#/$defs/d0"}})", kLength);
  for (const GrammarSource& source :
       {GrammarSource{Kind::kLark, lark, ""}, GrammarSource{Kind::kGbnf, gbnf, ""},
        GrammarSource{Kind::kJsonSchema, schema, ""}}) {
    const auto grammar = factory().compile(source);
    if (!grammar) continue;  // a refusal will do
    auto matcher = grammar->matcher();
    ASSERT_TRUE(matcher);
    walk(*matcher, 10);
  }
}

TEST(Grammar, TheTimeOfACompilationIsLimited) {
  base::GrammarLimits limits;
  limits.compile_ms_max = 0;
  limits.late_compiles_max = 1'000;
  const GrammarFactory hasty = byte_factory(limits);
  std::string choice = "[\"a\"";
  for (int i = 0; i < 4000; ++i) choice += fmt::format(",\"{}\"", i * 7919);
  const auto made = hasty.compile({Kind::kChoice, choice + "]", ""});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, base::ErrorCode::kUnsupportedValue);
  EXPECT_NE(made.error().message.find("took longer"), std::string::npos) << made.error().message;
  limits.late_compiles_max = 0;
  const auto refused = byte_factory(limits).compile({Kind::kJsonObject, "", ""});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, base::ErrorCode::kQueueFull);
}

TEST(Grammar, TheCostOfAStepIsLimited) {
  base::GrammarLimits limits;
  limits.step_items_max = 3;
  limits.step_fuel = 3;
  const auto grammar = byte_factory(limits).compile({Kind::kJsonObject, "", ""});
  if (!grammar) {  // the first mask is made at once
    EXPECT_EQ(grammar.error().code, base::ErrorCode::kInvalidRequest);
    return;
  }
  auto matcher = grammar->matcher();
  EXPECT_NE(walk(*matcher, 20).find('!'), std::string::npos);
}

TEST(Grammar, OneFactoryServesManyThreads) {
  base::WorkerPool workers(4, 64);
  std::atomic<int> good{0};
  std::latch ended(32);
  for (int i = 0; i < 32; ++i) {
    ASSERT_TRUE(workers.post([&good, &ended, i] {
      good += walk({Kind::kRegex, fmt::format("x{{{}}}", i + 1), ""}) ==
                      std::string(static_cast<std::size_t>(i) + 1, 'x')
                  ? 1
                  : 0;
      ended.count_down();
    }));
  }
  ended.wait();
  EXPECT_EQ(good, 32);
}

TEST(Grammar, AFactoryNeedsRoomForItsTokens) {
  const std::array<TokenId, 1> ends = {kEnd};
  EXPECT_FALSE(GrammarFactory::make(byte_tokenizer(), 5, ends));
  EXPECT_FALSE(GrammarFactory::make(byte_tokenizer(), kLogits, {}));
}

TEST(Gbnf, ReadsWhatLlamaCppWrites) {
  const GrammarSource arithmetic = {Kind::kGbnf, R"g(# sums
root  ::= (expr "=" ws num "\n"?)+
expr  ::= term ([-+*/] term)*
term  ::= num | "(" ws expr ")" ws   # recursion
num   ::= [0-9]+ ws
ws    ::= [ \t\n]*
)g",
                                    ""};
  EXPECT_TRUE(takes(arithmetic, "1+(2*3)=7"));
  EXPECT_TRUE(takes(arithmetic, "( 1 +2 )= 3"));
  EXPECT_FALSE(takes(arithmetic, "1+(2*3=7"));
  const GrammarSource list = {Kind::kGbnf, "root ::= (\"- \" [^\\x0a\\x0d]+ |\n \"\\\"\"){2,3}",
                              ""};
  EXPECT_TRUE(takes(list, "- a- b"));
  EXPECT_TRUE(takes(list, "\"\"\""));
  EXPECT_FALSE(takes(list, "\""));
  EXPECT_TRUE(takes({Kind::kGbnf, "root ::= word \" \" word\nword ::= [a-z ]+", ""}, "a b"));
  EXPECT_TRUE(takes({Kind::kGbnf, "root ::= \"\" \"\\u0041\" .? \"]\"", ""}, "A/]"));
  EXPECT_TRUE(takes({Kind::kGbnf, "root ::= \"a\" root \"b\" | \"\"", ""}, "aabb"));
  EXPECT_FALSE(takes({Kind::kGbnf, "root ::= \"a\" root \"b\" | \"\"", ""}, "aab"));
  EXPECT_TRUE(takes({Kind::kGbnf, "root ::= root \"a\" | \"a\"", ""}, "aaa"));
}

TEST(Gbnf, SaysWhereAGrammarIsWrong) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"", "no rule 'root'"},
      {"root := \"a\"", "line 1, column 6: expected '::='"},
      {"root ::= \"a", "line 1, column 10: this string is not closed"},
      {"root ::= [a", "this class is not closed"},
      {"root ::= [z-a]", "reversed"},
      {"root ::= (\"a\"", "this group is not closed"},
      {"root ::= nowhere", "line 1, column 10: rule 'nowhere' is not defined"},
      {"root ::= \"a\"\nroot ::= \"b\"", "line 2, column 1: rule 'root' is there twice"},
      {"root ::= \"a\"{3,2}", "reversed"},
      {"root ::= \"a\"{9999999999}", "at most"},
      {"root ::= <[1]>", "tokens are not supported"},
      {"root ::= \"\\q\"", "unknown escape"},
      {"root ::= \"\\ud800\"", "no such character"},
      {"root ::= \"a\" )", "expected the end of the line"},
      {std::string("root ::= \"a\"\0", 13), "expected the end of the line"},
  };
  for (const auto& [text, why] : rows) {
    const std::string found = refusal(Kind::kGbnf, text);
    EXPECT_NE(found.find(why), std::string::npos) << text << "\n" << found;
  }
  EXPECT_NE(refusal(Kind::kGbnf, "root ::= root"), "");
}

TEST(Bridge, APanicStaysInside) {
  BridgeBytes error;
  EXPECT_EQ(tb_test_panic(error.out()), TB_PANIC);
  EXPECT_EQ(error.view(), "on purpose");
  EXPECT_EQ(tb_test_panic(nullptr), TB_PANIC);
  tb_tokenizer_free(nullptr);
  tb_stream_free(nullptr);
  tb_template_free(nullptr);
  tb_matcher_free(nullptr);
  tb_grammar_factory_free(nullptr);
  tb_bytes_free(nullptr);
  tb_ids_free(nullptr);
}

}  // namespace
}  // namespace vsurge::text
