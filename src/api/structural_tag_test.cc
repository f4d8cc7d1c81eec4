// Structural tags: what is read, and which answers they let through.
#include "api/structural_tag.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <string>
#include <string_view>

#include "text/grammar_fixture.h"

namespace vsurge::api {
namespace {

using text::testing::allows;
using text::testing::byte_tokenizer;
using text::testing::factory;
using text::testing::kEnd;
using text::testing::Mask;
using text::testing::token_of;

ApiResult<StructuralTag> read(std::string_view json) {
  return read_structural_tag(boost::json::parse(json), "structural_tag", {});
}

text::Grammar grammar_of(std::string_view json) {
  const auto tag = read(json);
  EXPECT_TRUE(tag) << tag.error().message;
  const auto source = structural_tag_grammar(*tag, byte_tokenizer(), factory());
  EXPECT_TRUE(source) << source.error().message;
  auto compiled = factory().compile(*source);
  EXPECT_TRUE(compiled) << compiled.error().message << "\n" << source->text;
  return std::move(*compiled);
}

// How many characters of an answer may come, and whether it may end there.
struct Way {
  std::size_t characters = 0;
  bool ends = false;
  friend bool operator==(const Way&, const Way&) = default;
};
Way way(const text::Grammar& grammar, std::string_view text) {
  auto matcher = grammar.matcher();
  EXPECT_TRUE(matcher);
  Way out;
  Mask mask{};
  for (const char c : text) {
    EXPECT_TRUE(matcher->fill_mask(mask));
    if (!allows(mask, token_of(c))) return out;
    EXPECT_TRUE(matcher->accept(token_of(c)));
    ++out.characters;
  }
  EXPECT_TRUE(matcher->fill_mask(mask));
  out.ends = allows(mask, kEnd);
  return out;
}

void expect_whole(const text::Grammar& grammar, std::string_view text, bool ends = true) {
  EXPECT_EQ(way(grammar, text), (Way{text.size(), ends})) << text;
}

constexpr std::string_view kTwo = R"({"type":"structural_tag","triggers":["<f="],"structures":[
    {"begin":"<f=a>","schema":{"type":"object","properties":{"x":{"type":"integer"}},
     "required":["x"],"additionalProperties":false},"end":"</f>"},
    {"begin":"<f=b>","schema":{"type":"boolean"},"end":"</f>"}]})";

TEST(StructuralTag, TextIsFreeUntilATrigger) {
  const text::Grammar grammar = grammar_of(kTwo);
  expect_whole(grammar, "");
  expect_whole(grammar, "Some text. 1 < 2, <f is no tag");
  expect_whole(grammar, R"(Let me see: <f=a>{"x":12}</f>)");
  expect_whole(grammar, "<f=b>true</f>");
  expect_whole(grammar, R"(a<f=b>true</f> and <f=a>{"x":1}</f> done)");
  expect_whole(grammar, R"(a<f=a>{"x":1)", false);
  // Where it stops being one of them.
  EXPECT_EQ(way(grammar, "a<f=c>").characters, 4U);
  EXPECT_EQ(way(grammar, R"(<f=a>{"y":1}</f>)").characters, 7U);
  EXPECT_EQ(way(grammar, "<f=b>1</f>").characters, 5U);
  EXPECT_EQ(way(grammar, "<f=b>true</g>").characters, 11U);
}

TEST(StructuralTag, SeveralTriggersAndKindsOfContent) {
  const text::Grammar grammar = grammar_of(R"({"format":{"type":"triggered_tags",
      "triggers":["<t","[["],"tags":[
      {"type":"tag","begin":"<t>","content":{"type":"any_text"},"end":"</t>"},
      {"begin":"[[","content":{"type":"regex","pattern":"[0-9]+/[0-9]+"},"end":"]]"}]}})");
  expect_whole(grammar, "a <t>what <b> ever</t> b [[12/7]] c");
  expect_whole(grammar, "[[1/2]]<t></t>");
  EXPECT_EQ(way(grammar, "[[x").characters, 2U);
  EXPECT_EQ(way(grammar, "a<tx").characters, 3U);
}

TEST(StructuralTag, HowManyTags) {
  constexpr std::string_view kFormat = R"({{"format":{{"type":"triggered_tags","triggers":["<"],
      "tags":[{{"begin":"<a>","content":{{"type":"regex","pattern":"[0-9]"}},"end":"."}}],{}}}}})";
  const auto made = [&](std::string_view members) {
    return grammar_of(fmt::format(fmt::runtime(kFormat), members));
  };
  const text::Grammar some = made(R"("at_least_one":true)");
  expect_whole(some, "x", false);
  expect_whole(some, "x<a>1. and");
  expect_whole(some, "x<a>1.<a>2.");
  const text::Grammar first = made(R"("stop_after_first":true)");
  expect_whole(first, "x");
  expect_whole(first, "x<a>1.");
  EXPECT_EQ(way(first, "x<a>1.y").characters, 6U);
  const text::Grammar one = made(R"("stop_after_first":true,"at_least_one":true)");
  expect_whole(one, "x", false);
  expect_whole(one, "x<a>1.");
}

// One trigger within another is the only one that counts.
TEST(StructuralTag, TriggersWithinEachOther) {
  const text::Grammar grammar = grammar_of(R"({"triggers":["<f","<fun"],"structures":[
      {"begin":"<fun>","schema":{"const":1},"end":";"},
      {"begin":"<fx>","schema":{"const":2},"end":";"}]})");
  expect_whole(grammar, "a<fun>1;b<fx>2;");
  EXPECT_EQ(way(grammar, "<fy").characters, 2U);
}

TEST(StructuralTag, TextThatHoldsAnObject) {
  const auto tag = read(R"("{\"triggers\":[\"<\"],\"structures\":[{\"begin\":\"<a>\",)"
                        R"(\"schema\":true,\"end\":\"\"}]}")");
  ASSERT_TRUE(tag) << tag.error().message;
  EXPECT_EQ(tag->tags.size(), 1U);
}

TEST(StructuralTag, Refusals) {
  struct Case {
    std::string_view json, param;
  } cases[] = {
      {"7", ""},
      {R"("{")", ""},
      {R"("[]")", ""},
      {"{}", ".triggers"},
      {R"({"triggers":[],"structures":[]})", ".triggers"},
      {R"({"triggers":["<"]})", ".structures"},
      {R"({"triggers":["<"],"structures":[]})", ".structures"},
      {R"({"triggers":["<"],"structures":[1]})", ".structures[0]"},
      {R"({"triggers":["<"],"structures":[{"schema":{},"end":""}]})", ".structures[0].begin"},
      {R"({"triggers":["<"],"structures":[{"begin":"<","schema":{}}]})", ".structures[0].end"},
      {R"({"triggers":["<"],"structures":[{"begin":"<","end":""}]})", ".structures[0].schema"},
      {R"({"triggers":["["],"structures":[{"begin":"<","schema":{},"end":""}]})",
       ".structures[0].begin"},
      {R"({"triggers":["<"],"structures":[{"begin":"<","schema":{},"end":"","x":1}]})",
       ".structures[0].x"},
      {R"({"format":1})", ".format"},
      {R"({"format":{"type":"sequence"}})", ".format.type"},
      {R"({"format":{"type":"triggered_tags","triggers":["<"],"tags":[{"begin":"<",
          "content":{"type":"qwen_xml_parameter"},"end":"x"}]}})",
       ".format.tags[0].content.type"},
      {R"({"format":{"type":"triggered_tags","triggers":["<"],"tags":[{"begin":"<",
          "content":{"type":"any_text"},"end":""}]}})",
       ".format.tags[0].end"},
      {R"({"triggers":["<"],"structures":[],"robot":1})", ".robot"},
  };
  for (const Case& each : cases) {
    const auto tag = read(each.json);
    ASSERT_FALSE(tag) << each.json;
    EXPECT_EQ(tag.error().status, 400);
    EXPECT_EQ(tag.error().param, "structural_tag" + std::string(each.param)) << each.json;
  }
  const auto unkept = read(R"({"triggers":["<"],"structures":[
      {"begin":"<","schema":{"not":{}},"end":""}]})");
  ASSERT_TRUE(unkept);
  const auto source = structural_tag_grammar(*unkept, byte_tokenizer(), factory());
  ASSERT_FALSE(source);
  EXPECT_NE(source.error().message.find("'not'"), std::string::npos) << source.error().message;
}

}  // namespace
}  // namespace vsurge::api
