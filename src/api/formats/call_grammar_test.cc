// Grammars of calls: each compiles, lets the format's own calls through, and nothing else.
#include "api/formats/call_grammar.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <map>
#include <random>

#include "api/formats/output_reader.h"
#include "api/service_fixture.h"

namespace vsurge::api {
namespace {

ToolSpecs tools() {
  const auto weather = boost::json::parse(R"({"type":"object","properties":{
      "city":{"type":"string"},"days":{"type":"integer","minimum":1,"maximum":9},
      "unit":{"enum":["C","F"]}},"required":["city","days"],"additionalProperties":false})");
  const auto none = boost::json::parse(R"({"type":"object","properties":{},
      "additionalProperties":false})");
  return {{.name = "get_weather", .parameters = weather.get_object()},
          {.name = "now", .parameters = none.get_object()}};
}

class CallGrammar : public ::testing::Test {
 protected:
  CallGrammar()
      : assets_(testing::byte_assets()),
        factory_(text::GrammarFactory::make(assets_.tokenizer, testing::kVocabulary,
                                            std::vector<text::TokenId>{testing::kEos})) {}

  base::Result<text::Grammar> grammar(const ToolFormat& format, const ToolSpecs& specs,
                                      bool required, bool parallel) {
    const auto source =
        call_grammar({.format = format, .tools = specs, .required = required, .parallel = parallel},
                     assets_.tokenizer, *factory_);
    if (!source) return std::unexpected(source.error());
    auto compiled = factory_->compile(*source);
    EXPECT_TRUE(compiled.has_value())
        << format.name << ": " << (compiled ? "" : compiled.error().message) << "\n"
        << source->text;
    return compiled;
  }

  // A walk of random tokens that the grammar allows; nothing when it does not end in time.
  std::optional<std::string> walk(const text::Grammar& compiled, std::uint64_t seed) {
    auto matcher = compiled.matcher();
    EXPECT_TRUE(matcher.has_value());
    std::mt19937_64 random(seed);
    std::string out;
    std::vector<std::uint32_t> words((testing::kVocabulary + 31) / 32);
    for (int i = 0; i < 2000; ++i) {
      EXPECT_TRUE(matcher->fill_mask(words).has_value());
      std::vector<text::TokenId> allowed;
      for (text::TokenId id = 0; id < testing::kVocabulary; ++id) {
        if (((words[static_cast<std::size_t>(id) / 32] >> (id % 32)) & 1U) != 0) {
          allowed.push_back(id);
        }
      }
      if (allowed.empty()) return std::nullopt;
      // The end of text as soon as it may come; of free text the likely end.
      if (std::ranges::find(allowed, testing::kEos) != allowed.end()) return out;
      text::TokenId id = allowed[random() % allowed.size()];
      for (const char wanted : {'<', '"', '/', '>'}) {
        if (i % 3 == 0 && std::ranges::find(allowed, wanted) != allowed.end()) id = wanted;
      }
      if (!matcher->accept(id)) return std::nullopt;
      out += static_cast<char>(id);
    }
    return std::nullopt;
  }

  std::vector<OutputEvent> read(const ToolFormat& format, const ToolSpecs& specs,
                                std::string_view text) {
    ReaderOptions options;
    options.tools = &format;
    options.schemas = std::make_shared<ToolSpecs>(specs);
    OutputReader reader(assets_.tokenizer, options);
    std::vector<OutputEvent> events;
    reader.push_text(text, events);
    reader.finish(events);
    return events;
  }

  text::TextAssets assets_;
  base::Result<text::GrammarFactory> factory_;
};

TEST_F(CallGrammar, CompilesForEveryFormat) {
  ASSERT_TRUE(factory_.has_value());
  const ToolSpecs specs = tools();
  for (const ToolFormat* format : tool_formats()) {
    for (const bool required : {true, false}) {
      for (const bool parallel : {false, true}) {
        EXPECT_TRUE(grammar(*format, specs, required, parallel).has_value()) << format->name;
      }
    }
  }
}

// What a grammar forces, its format's reader reads as one call of the function, and nothing more.
TEST_F(CallGrammar, ForcedCallsAreRead) {
  ASSERT_TRUE(factory_.has_value());
  const ToolSpecs specs = {tools()[1]};
  for (const ToolFormat* format : tool_formats()) {
    const auto compiled = grammar(*format, specs, true, false);
    ASSERT_TRUE(compiled.has_value()) << format->name;
    const auto text = walk(*compiled, 1);
    ASSERT_TRUE(text.has_value()) << format->name;
    const auto events = read(*format, specs, *text);
    ASSERT_FALSE(events.empty()) << format->name << ": " << *text;
    EXPECT_EQ(events.front().kind, OutputEvent::Kind::kCallBegin) << format->name << ": " << *text;
    EXPECT_EQ(events.front().text, "now");
    ASSERT_EQ(events.size(), 2U) << format->name << ": " << *text;
    EXPECT_EQ(events.back().text, "{}") << format->name;
  }
}

TEST_F(CallGrammar, ArgumentsFitTheSchema) {
  ASSERT_TRUE(factory_.has_value());
  const ToolSpecs specs = {tools()[0]};
  std::map<std::string_view, int> read_ones;
  for (const ToolFormat* format : tool_formats()) {
    const auto compiled = grammar(*format, specs, true, false);
    ASSERT_TRUE(compiled.has_value()) << format->name;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const auto text = walk(*compiled, seed);
      if (!text) continue;  // a string without an end
      std::string arguments;
      for (const OutputEvent& event : read(*format, specs, *text)) {
        if (event.kind == OutputEvent::Kind::kCallArguments) arguments += event.text;
      }
      boost::system::error_code error;
      const auto value = boost::json::parse(arguments, error);
      if (error) continue;  // random bytes in a bare string need not be UTF-8
      ++read_ones[format->name];
      const boost::json::object& object = value.get_object();
      EXPECT_TRUE(object.contains("city") && object.at("city").is_string()) << *text;
      ASSERT_TRUE(object.contains("days") && object.at("days").is_int64()) << *text;
      EXPECT_TRUE(object.at("days").get_int64() >= 1 && object.at("days").get_int64() <= 9);
      if (object.contains("unit")) {
        EXPECT_TRUE(object.at("unit") == "C" || object.at("unit") == "F") << *text;
      }
    }
  }
  EXPECT_GT(read_ones.size(), 20U);
}

}  // namespace
}  // namespace vsurge::api
