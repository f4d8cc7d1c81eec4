// Every format: what it reads, whatever the pieces.
#include "api/formats/output_reader.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <fstream>
#include <iterator>

#include "api/formats/detect.h"
#include "api/formats/tool_formats.h"
#include "api/service_fixture.h"

namespace vsurge::api {
namespace {

using Kind = OutputEvent::Kind;

std::shared_ptr<const ToolSpecs> weather_tools() {
  const auto schema = boost::json::parse(R"({"type":"object","properties":{
      "city":{"type":"string"},"days":{"type":"integer"},"flags":{"type":"array"},
      "deep":{"type":"object"},"maybe":{"anyOf":[{"type":"null"},{"type":"number"}]},
      "on":{"type":"boolean"}}})");
  return std::make_shared<ToolSpecs>(
      ToolSpecs{{.name = "get_weather", .parameters = schema.get_object()}, {.name = "now"}});
}

// Events in short: R'...' C'...' name(id?)arguments
std::string told(const std::vector<OutputEvent>& events) {
  std::string out;
  for (const OutputEvent& event : events) {
    switch (event.kind) {
      case Kind::kReasoning:
        out += "R'" + event.text + "'";
        break;
      case Kind::kContent:
        out += "C'" + event.text + "'";
        break;
      case Kind::kCallBegin:
        out += fmt::format("[{}#{}]", event.text, event.id);
        break;
      case Kind::kCallArguments:
        out += event.text;
        break;
    }
  }
  return out;
}

// Has no token for any marker, so that all are found in the text.
const text::Tokenizer& markless_tokenizer() {
  static const auto tokenizer = text::Tokenizer::from_json(
      R"({"version":"1.0","added_tokens":[],"model":{"type":"BPE","vocab":{"a":0},"merges":[]}})");
  return *tokenizer;
}

struct Setting {
  std::string_view tools;
  std::string_view reasoning = "";
  bool open = false;
  bool parallel = true;
};

std::string read(const Setting& setting, const std::vector<std::string_view>& pieces) {
  int ids = 0;
  ReaderOptions options;
  options.tools = find_tool_format(setting.tools);
  options.reasoning = find_reasoning_format(setting.reasoning);
  options.reasoning_open = setting.open;
  options.schemas = weather_tools();
  options.parallel = setting.parallel;
  options.new_id = [&ids] { return fmt::format("call_{:08}", ++ids); };
  OutputReader reader(markless_tokenizer(), options);
  std::vector<OutputEvent> all;
  for (const std::string_view piece : pieces) {
    std::vector<OutputEvent> events;
    reader.push_text(piece, events);
    for (OutputEvent& event : events) append_output(all, std::move(event));
  }
  std::vector<OutputEvent> events;
  reader.finish(events);
  for (OutputEvent& event : events) append_output(all, std::move(event));
  return told(all);
}

// Whole, byte by byte, and in two pieces at every place.
void expect_reads(const Setting& setting, std::string_view text, std::string_view expected) {
  SCOPED_TRACE(fmt::format("{} {}: {}", setting.tools, setting.reasoning, text));
  EXPECT_EQ(read(setting, {text}), expected);
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < text.size(); ++i) bytes.push_back(text.substr(i, 1));
  EXPECT_EQ(read(setting, bytes), expected);
  for (std::size_t i = 1; i < text.size(); ++i) {
    ASSERT_EQ(read(setting, {text.substr(0, i), text.substr(i)}), expected) << "cut at " << i;
  }
}

constexpr std::string_view kArguments = R"({"city": "Bern \"ü\" }", "days": 3})";

std::string one(std::string_view before, std::string_view after) {
  return fmt::format("{}{}{}", before, kArguments, after);
}

struct Row {
  std::string_view format;
  std::string text;
  std::string expected;
};

std::vector<Row> rows_of_one_call() {
  const std::string call = fmt::format("[get_weather#call_00000001]{}", kArguments);
  return {
      {"hermes", one("<tool_call>\n{\"name\": \"get_weather\", \"arguments\": ", "}\n</tool_call>"),
       call},
      {"longcat",
       one("<longcat_tool_call>{\"name\":\"get_weather\",\"arguments\":", "}</longcat_tool_call>"),
       call},
      {"granite", one("<|tool_call|>[{\"name\":\"get_weather\",\"arguments\":", "}]"), call},
      {"granite", one("<tool_call>[{\"name\":\"get_weather\",\"arguments\":", "}]</tool_call>"),
       call},
      {"granite-20b-fc", one("<function_call> {\"name\":\"get_weather\",\"arguments\":", "}"),
       call},
      {"hunyuan_a13b",
       one("<tool_calls>[{\"name\": \"get_weather\", \"arguments\": ", "}]</tool_calls>"), call},
      {"jamba",
       one("<tool_calls>[\n{\"name\": \"get_weather\", \"arguments\": ", "}\n]</tool_calls>"),
       call},
      {"minimax",
       one("<tool_calls>\n{\"name\": \"get_weather\", \"arguments\": ", "}\n</tool_calls>"), call},
      {"internlm",
       one("<|action_start|><|plugin|>\n{\"name\": \"get_weather\", \"parameters\": ",
           "}<|action_end|>"),
       call},
      {"phi4_mini_json", one("functools[{\"name\": \"get_weather\", \"arguments\": ", "}]"), call},
      {"firefunction", one(" functools[{\"name\": \"get_weather\", \"arguments\": ", "}]"), call},
      {"nemotron", one("<TOOLCALL>[{\"name\": \"get_weather\", \"arguments\": ", "}]</TOOLCALL>"),
       call},
      {"apertus", one("<|tools_prefix|>[{\"get_weather\": ", "}]<|tools_suffix|>"), call},
      {"ernie45", one("<tool_call>{\"name\":\"get_weather\",\"arguments\":", "}</tool_call>"),
       call},
      {"gigachat3", one("<|function_call|>{\"name\": \"get_weather\", \"arguments\": ", "}"), call},
      {"gigachat3", one("function call{\"name\": \"get_weather\", \"arguments\": ", "}"), call},
  };
}

std::vector<Row> more_rows_of_one_call() {
  const std::string call = fmt::format("[get_weather#call_00000001]{}", kArguments);
  return {
      {"llama3_json", one("{\"name\": \"get_weather\", \"parameters\": ", "}"), call},
      {"llama3_json",
       one("<|python_tag|>{\"type\": \"function\", \"name\": \"get_weather\", \"parameters\": ",
           "}"),
       call},
      {"openai", one("[{\"name\": \"get_weather\", \"arguments\": ", "}]"), call},
      {"openai",
       one("{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"arguments\":", "}}"),
       call},
      {"openai", one("```json\n{\"name\": \"get_weather\", \"arguments\": ", "}\n```"), call},
      {"xlam", one("[{\"name\": \"get_weather\", \"arguments\": ", "}]"), call},
      {"xlam", one("[TOOL_CALLS][{\"name\": \"get_weather\", \"arguments\": ", "}]"), call},
      {"xlam", one("<tool_call>{\"name\": \"get_weather\", \"arguments\": ", "}</tool_call>"),
       call},
      {"functionary_v31", one("<function=get_weather>", "</function>"), call},
      {"deepseek_v3",
       one("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```"
           "json\n",
           "\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"),
       call},
      {"deepseek_v31",
       one("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>",
           "<｜tool▁call▁end｜><｜tool▁calls▁end｜>"),
       call},
      {"harmony",
       one("<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>",
           "<|call|>"),
       call},
      {"harmony",
       one("<|start|>assistant to=functions.get_weather<|channel|>commentary json<|message|>",
           "<|call|>"),
       call},
      {"cohere_command",
       one("<|START_ACTION|>[\n    {\"tool_call_id\": \"call_00000001\", \"tool_name\": "
           "\"get_weather\", \"parameters\": ",
           "}\n]<|END_ACTION|>"),
       call},
      {"cohere_command",
       one("Action:\n```json\n[{\"tool_name\": \"get_weather\", \"parameters\": ", "}]```"), call},
  };
}

std::vector<Row> all_rows_of_one_call() {
  std::vector<Row> rows = rows_of_one_call();
  std::ranges::move(more_rows_of_one_call(), std::back_inserter(rows));
  return rows;
}

TEST(ToolFormats, ReadOneCall) {
  for (const Row& row : all_rows_of_one_call()) {
    ASSERT_NE(find_tool_format(row.format), nullptr) << row.format;
    expect_reads({.tools = row.format}, row.text, row.expected);
  }
}

// The same call twice, with text before, between and behind.
TEST(ToolFormats, ReadAmongText) {
  for (const Row& row : all_rows_of_one_call()) {
    if (std::string_view("[{`").contains(row.text.front()) || row.format == "harmony") continue;
    std::string second = row.expected;
    const std::size_t number = second.find("1]");
    if (row.text.contains("call_00000001")) continue;
    second[number] = '2';
    expect_reads({.tools = row.format},
                 fmt::format("Früh.\n{}\n dann <\n{}\nSpät.", row.text, row.text),
                 fmt::format("C'Früh.'{}C'dann <'{}C'Spät.'", row.expected, second));
  }
}

TEST(ToolFormats, IdsOfTheFamily) {
  const std::string nine = fmt::format("[get_weather#l00000001]{}", kArguments);
  expect_reads({.tools = "mistral"}, one("[TOOL_CALLS]get_weather[ARGS]", ""), nine);
  expect_reads({.tools = "mistral"},
               one("[TOOL_CALLS][{\"name\": \"get_weather\", \"arguments\": ", "}]"), nine);
  expect_reads({.tools = "mistral"}, one("[TOOL_CALLS]get_weather[CALL_ID]abcdefghi[ARGS]", ""),
               fmt::format("[get_weather#abcdefghi]{}", kArguments));
  expect_reads({.tools = "kimi_k2"},
               one("<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0"
                   "<|tool_call_argument_begin|>",
                   "<|tool_call_end|><|tool_calls_section_end|>"),
               fmt::format("[get_weather#functions.get_weather:0]{}", kArguments));
}

TEST(ToolFormats, TypedFromTheSchema) {
  const std::string expected =
      R"([get_weather#call_00000001]{"city": "3", "days": 3, "flags": ["a"], )"
      R"("maybe": null, "on": true, "deep": {"x": 1}})";
  const std::string xml =
      "<function=get_weather>\n<parameter=city>\n3\n</parameter>\n<parameter=days>\n3\n"
      "</parameter>\n<parameter=flags>\n['a']\n</parameter>\n<parameter=maybe>\nNone\n"
      "</parameter>\n<parameter=on>\nTrue\n</parameter>\n<parameter=deep>\n{\"x\": 1}\n"
      "</parameter>\n</function>";
  const std::string python = R"([get_weather#call_00000001]{"city": "3", "days": 3, )"
                             R"("flags": ["a"], "maybe": null, "on": true, "deep": {"x": 1}})";
  for (const std::string_view name : {"qwen3_coder", "qwen3_xml", "step3p5"}) {
    expect_reads({.tools = name}, "<tool_call>\n" + xml + "\n</tool_call>", expected);
    expect_reads({.tools = name}, xml, expected);
  }
  expect_reads({.tools = "seed_oss"}, "<seed:tool_call>\n" + xml + "\n</seed:tool_call>", expected);
  const std::string invoke =
      "invoke name=\"get_weather\">\n<{0}parameter name=\"city\">3</{0}parameter>\n"
      "<{0}parameter name=\"days\">3</{0}parameter><{0}parameter name=\"flags\">[\"a\"]"
      "</{0}parameter><{0}parameter name=\"maybe\">null</{0}parameter>"
      "<{0}parameter name=\"on\">true</{0}parameter>"
      "<{0}parameter name=\"deep\">{{\"x\": 1}}</{0}parameter></{0}invoke>";
  const auto with = [&](std::string_view prefix) {
    return fmt::format(fmt::runtime("<{0}" + invoke), prefix);
  };
  expect_reads({.tools = "minimax_m2"},
               "<minimax:tool_call>\n" + with("") + "\n</minimax:tool_call>", expected);
  expect_reads({.tools = "glimmer"},
               "<atem:function_calls>\n" + with("atem:") + "\n</atem:function_calls>", expected);
  expect_reads({.tools = "step3"},
               "<｜tool_calls_begin｜><｜tool_call_begin｜>function<｜tool_sep｜>" +
                   with("steptml:") + "<｜tool_call_end｜><｜tool_calls_end｜>",
               expected);
  expect_reads({.tools = "deepseek_v32"},
               "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"get_weather\">\n"
               "<｜DSML｜parameter name=\"city\" string=\"true\">3</｜DSML｜parameter>\n"
               "<｜DSML｜parameter name=\"days\" string=\"false\">3</｜DSML｜parameter>\n"
               "</｜DSML｜invoke>\n</｜DSML｜function_calls>",
               R"([get_weather#call_00000001]{"city": "3", "days": 3})");
  for (const std::string_view name : {"glm45", "glm47"}) {
    expect_reads({.tools = name},
                 "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>3</arg_value>\n"
                 "<arg_key>days</arg_key><arg_value>3</arg_value>\n</tool_call>",
                 R"([get_weather#call_00000001]{"city": "3", "days": 3})");
    expect_reads({.tools = name}, "<tool_call>now</tool_call>", "[now#call_00000001]{}");
  }
  const std::string call =
      "get_weather(city='3', days=3, flags=[\"a\"], maybe=None, on=True, "
      "deep={'x': 1})";
  expect_reads({.tools = "pythonic"}, "[" + call + "]", python);
  expect_reads({.tools = "llama4_pythonic"}, "<|python_start|>[" + call + "]<|python_end|>",
               python);
  expect_reads({.tools = "llama4_pythonic"}, "[" + call + "]", python);
  expect_reads({.tools = "lfm2"}, "<|tool_call_start|>[" + call + "]<|tool_call_end|>", python);
  expect_reads({.tools = "olmo3"}, "<function_calls>" + call + "</function_calls>", python);
  expect_reads({.tools = "functiongemma"},
               "<start_function_call>call:get_weather{city:<escape>3<escape>,days:3,"
               "flags:[<escape>a<escape>],deep:{x:1}}<end_function_call>",
               R"([get_weather#call_00000001]{"city": "3", "days": 3, "flags": ["a"], )"
               R"("deep": {"x": 1}})");
  expect_reads({.tools = "gemma4"},
               "<|tool_call>call:get_weather{city:<|\"|>3<|\"|>,days:3,on:true}<tool_call|>",
               R"([get_weather#call_00000001]{"city": "3", "days": 3, "on": true})");
}

TEST(ToolFormats, SeveralCallsWithText) {
  const std::string hermes =
      "I look.\n\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n"
      "<tool_call>\n{\"arguments\": {\"a\": 1}, \"name\": \"now\"}\n</tool_call>\n ok";
  expect_reads({.tools = "hermes"}, hermes,
               "C'I look.'[now#call_00000001]{}[now#call_00000002]{\"a\": 1}C'ok'");
  expect_reads({.tools = "hermes", .parallel = false}, hermes,
               "C'I look.'[now#call_00000001]{}C'ok'");
  expect_reads({.tools = "llama3_json"},
               R"({"name": "now", "parameters": {}}; {"name": "now", "parameters": {"a": 1}})",
               R"([now#call_00000001]{}[now#call_00000002]{"a": 1})");
  expect_reads({.tools = "pythonic"}, "[now(), now(a=\"]\")]",
               R"([now#call_00000001]{}[now#call_00000002]{"a": "]"})");
  expect_reads({.tools = "olmo3"}, "<function_calls>now()\nnow(a=1)</function_calls>",
               R"([now#call_00000001]{}[now#call_00000002]{"a": 1})");
  expect_reads({.tools = "granite-20b-fc"},
               "<function_call> {\"name\":\"now\",\"arguments\":{}}<function_call> "
               "{\"name\":\"now\",\"arguments\":{}}",
               "[now#call_00000001]{}[now#call_00000002]{}");
  expect_reads({.tools = "mistral"}, "[TOOL_CALLS]now[ARGS]{}[TOOL_CALLS]now[ARGS]{\"a\": 1}",
               R"([now#l00000001]{}[now#l00000002]{"a": 1})");
  expect_reads(
      {.tools = "deepseek_v31"},
      "Text<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜>"
      "<｜tool▁call▁begin｜>now<｜tool▁sep｜>{\"a\": 1}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
      "C'Text'[now#call_00000001]{}[now#call_00000002]{\"a\": 1}");
  expect_reads({.tools = "harmony", .reasoning = "gptoss"},
               "<|channel|>analysis<|message|>I must<|end|><|start|>assistant<|channel|>commentary"
               "<|message|>Looking<|end|><|start|>assistant<|channel|>commentary "
               "to=functions.now <|constrain|>json<|message|>{}<|call|>",
               "R'I must'C'Looking'[now#call_00000001]{}");
}

TEST(ToolFormats, CutShort) {
  expect_reads({.tools = "hermes"}, "<tool_call>\n{\"name\": \"now\", \"arguments\": {\"a\": [1, 2",
               R"([now#call_00000001]{"a": [1, 2)");
  expect_reads({.tools = "hermes"}, "<tool_call>\n{\"name\": \"no",
               "C'<tool_call>\n{\"name\": \"no'");
  expect_reads({.tools = "hermes"}, "a <tool_ca", "C'a <tool_ca'");
  expect_reads({.tools = "qwen3_coder"}, "<tool_call><function=now><parameter=a>1</parameter><para",
               R"([now#call_00000001]{"a": "1")");
  expect_reads({.tools = "pythonic"}, "[now(a=1), no", R"([now#call_00000001]{"a": 1})");
  expect_reads({.tools = "gemma4"}, "<|tool_call>call:now{a:1}", R"([now#call_00000001]{"a": 1})");
}

// Text that comes to its end is told before that: all but what may be the end's mark.
TEST(ToolFormats, TextParametersCome) {
  struct Case {
    std::string_view format, text, told;
  } cases[] = {
      {"qwen3_coder", "<tool_call><function=get_weather><parameter=city>\na \"b\"\n</param",
       R"([get_weather#call_00000001]{"city": "a \"b\")"},
      {"qwen3_coder", "<function=get_weather><parameter=city>Ber",
       R"([get_weather#call_00000001]{"city": "Ber)"},
      {"qwen3_coder", "<function=get_weather><parameter=days>1", "[get_weather#call_00000001]"},
      {"deepseek_v32",
       "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"get_weather\">\n"
       "<｜DSML｜parameter name=\"x\" string=\"true\">one\ntwo\n",
       R"([get_weather#call_00000001]{"x": "one\ntwo)"},
      {"glm45", "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Bern </arg",
       R"([get_weather#call_00000001]{"city": "Bern )"},
  };
  for (const Case& each : cases) {
    ReaderOptions options;
    options.tools = find_tool_format(each.format);
    options.schemas = weather_tools();
    options.new_id = [] { return std::string("call_00000001"); };
    OutputReader reader(markless_tokenizer(), options);
    std::vector<OutputEvent> events;
    reader.push_text(each.text, events);
    EXPECT_EQ(told(events), each.told) << each.format;
  }
  // An end tag that is missing: what may only stand behind it ends the text.
  expect_reads({.tools = "qwen3_coder"},
               "<tool_call>\n<function=get_weather>\n<parameter=city>\nBern\n<parameter=days>\n3\n"
               "</parameter>\n</function>\n</tool_call>",
               R"([get_weather#call_00000001]{"city": "Bern", "days": 3})");
  expect_reads({.tools = "qwen3_coder"},
               "<tool_call><function=get_weather><parameter=city>a<b</function></tool_call>",
               R"([get_weather#call_00000001]{"city": "a<b"})");
  expect_reads({.tools = "qwen3_coder"},
               "<tool_call><function=get_weather><parameter=city></parameter></function>"
               "</tool_call>",
               R"([get_weather#call_00000001]{"city": ""})");
  expect_reads({.tools = "qwen3_coder"},
               "<function=get_weather><parameter=city>\n\nx\n\n</parameter></function>",
               R"([get_weather#call_00000001]{"city": "\nx\n"})");
  expect_reads({.tools = "glm45"},
               "<tool_call>get_weather<arg_key>city</arg_key><arg_value>\n</arg_value></tool_call>",
               R"([get_weather#call_00000001]{"city": "\n"})");
}

TEST(ToolFormats, LlamasOwnTools) {
  const std::string_view call = R"([get_weather#call_00000001]{"city": "Bern"})";
  expect_reads({.tools = "llama3_json"}, "<|python_tag|>get_weather.call(city=\"Bern\")", call);
  expect_reads({.tools = "llama3_json"}, "So: <|python_tag|> get_weather.call(city='Bern')\n",
               fmt::format("C'So:'{}", call));
  for (const std::string_view program :
       {"<|python_tag|>print(1)", "<|python_tag|>other.call(x=1)", "<|python_tag|>import os\nx = 1",
        "<|python_tag|>get_weather(city=\"Bern\")", "<|python_tag|>get_weather.call(1)"}) {
    expect_reads({.tools = "llama3_json"}, program, fmt::format("C'{}'", program));
  }
}

// Where marks are text, two bytes of one that is cut off are no text of the answer.
TEST(ToolFormats, HarmonyCutShort) {
  const Setting both{.tools = "harmony", .reasoning = "gptoss"};
  expect_reads(both, "<|channel|>final<|message|>It is.<|retu", "C'It is.'");
  expect_reads(both, "<|channel|>final<|message|>a <", "C'a <'");
  expect_reads(both, "<|channel|>analysis<|message|>hm<|e", "R'hm'");
  expect_reads(both,
               "<|channel|>commentary to=functions.now <|constrain|>json<|message|>{\"a\": 1}<|ca",
               R"([now#call_00000001]{"a": 1})");
  expect_reads(both, "no marks <|", "C'no marks <|'");
}

TEST(ToolFormats, BrokenCallsAreContent) {
  for (const std::string_view text :
       {"<tool_call>hello</tool_call> world", "<tool_call>{\"nam\": 1}</tool_call>",
        "<tool_call>{\"name\": 7, \"arguments\": {}}</tool_call>", "<tool_call>{]}",
        "<tool_call></tool_call>", "<tool_call>"}) {
    expect_reads({.tools = "hermes"}, text, fmt::format("C'{}'", text));
  }
  expect_reads({.tools = "llama3_json"}, R"({"answer": 42})", R"(C'{"answer": 42}')");
  expect_reads({.tools = "llama3_json"}, R"({"name": "other", "parameters": {}})",
               R"(C'{"name": "other", "parameters": {}}')");
  expect_reads({.tools = "pythonic"}, "[1, 2, 3]", "C'[1, 2, 3]'");
  expect_reads({.tools = "pythonic"}, "[other(1)] x", "C'[other(1)] x'");
  expect_reads({.tools = "glm45"}, "<tool_call>{\"a\": 1}", "C'<tool_call>{\"a\": 1}'");
  expect_reads({.tools = "qwen3_coder"}, "<tool_call>x", "C'<tool_call>x'");
  expect_reads({.tools = "gemma4"}, "<|tool_call>hm<tool_call|>", "C'<|tool_call>hm<tool_call|>'");
}

// What stands in a call that is none is read like any other text.
TEST(ToolFormats, AfterABrokenCall) {
  expect_reads({.tools = "hermes"},
               "<tool_call>no <tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call> x",
               "C'<tool_call>no'[now#call_00000001]{}C'x'");
  expect_reads({.tools = "hermes", .reasoning = "qwen3"}, "<tool_call>{\"a\": \"<think>b</think>c",
               "C'<tool_call>{\"a\": \"<think>b</think>c'");
  expect_reads({.tools = "qwen3_xml", .reasoning = "qwen3"}, "<function= <think>b</think>c",
               "C'<function='R'b'C'c'");
  expect_reads({.tools = "llama3_json", .reasoning = "qwen3"},
               R"({"name": "now", "parameters": {"a": "</think>"}} x)",
               R"([now#call_00000001]{"a": "</think>"}C'x')");
  expect_reads({.tools = "pythonic"}, "[now(a=1), x(2)] y",
               R"([now#call_00000001]{"a": 1}C'x(2)] y')");
}

TEST(ToolFormats, RecipientsBeforeMessages) {
  expect_reads({.tools = "functionary_v32"}, "all\nHi there.>>>now\n{\"a\": 1}>>>now\n{}",
               R"(C'Hi there.'[now#call_00000001]{"a": 1}[now#call_00000002]{})");
  expect_reads({.tools = "functionary_v32"}, "other\n{}>>>no", "C'other\n{}>>>no'");
  expect_reads({.tools = "glimmer", .reasoning = "glimmer"},
               " to=self<|message|>Hm.<|eom|><|start|>assistant to=user<|message|>Hi to=you",
               "R'Hm.'C'Hi to=you'");
  expect_reads({.tools = "solar_open", .reasoning = "solar_open"},
               "<|think|>Hm.<|end|><|begin|>assistant<|tool_calls|><|tool_call:begin|>x1"
               "<|tool_call:name|>now<|tool_call:args|>{}<|tool_call:end|><|tool_call:begin|>x1"
               "<|tool_call:name|>now<|tool_call:args|>{}<|tool_call:end|><|calls|>",
               "R'Hm.'[now#x1]{}[now#call_00000001]{}");
  expect_reads({.tools = "harmony", .reasoning = "gptoss"}, " to be", "C' to be'");
}

TEST(ToolFormats, PlainTextIsUntouched) {
  const std::string text = " Hi, 1 < 2 & {x} [y] <b>ü</b> <|z|> ` ``` \n\n";
  for (const ToolFormat* format : tool_formats()) {
    expect_reads({.tools = format->name}, text, "C'" + text + "'");
  }
  for (const ReasoningFormat* format : reasoning_formats()) {
    if (!format->prefix.empty()) continue;
    expect_reads({.tools = "", .reasoning = format->name}, text, "C'" + text + "'");
  }
}

TEST(ReasoningFormats, AllMarks) {
  for (const ReasoningFormat* format : reasoning_formats()) {
    if (format->opens.begin() == format->opens.end()) continue;
    for (const std::string_view open : format->opens) {
      for (const std::string_view close : format->closes) {
        const std::string text = fmt::format("{}\nI think\n so.\n{}\n\nYes. ", open, close);
        expect_reads({.tools = "", .reasoning = format->name}, text, "R'I think\n so.'C'Yes. '");
        expect_reads({.tools = "", .reasoning = format->name, .open = true},
                     text.substr(open.size()), "R'I think\n so.'C'Yes. '");
      }
    }
  }
  expect_reads({.tools = "", .reasoning = "ernie45", .open = true},
               "a\n</think>\n\n<response>\nb\n</response>\n", "R'a'C'b'");
  expect_reads({.tools = "", .reasoning = "hunyuan_a13b"},
               "<think>\na\n</think>\n<answer>\nb\n</answer>", "R'a'C'b'");
  expect_reads({.tools = "", .reasoning = "minimax_m2_append_think"}, "a</think>b",
               "C'<think>a</think>b'");
}

TEST(ReasoningFormats, WithCalls) {
  expect_reads({.tools = "hermes", .reasoning = "qwen3"},
               "<think>\nuse <tool_call>?\n</think>\n\nNow.\n<tool_call>\n{\"name\": \"now\", "
               "\"arguments\": {}}\n</tool_call>",
               "R'use <tool_call>?'C'Now.'[now#call_00000001]{}");
  expect_reads({.tools = "hermes", .reasoning = "qwen3", .open = true}, "only thought",
               "R'only thought'");
  expect_reads({.tools = "hermes", .reasoning = "qwen3"}, "<think></think>", "");
}

// A marker that is a token is known by its id alone.
TEST(OutputReader, TokensAreMarkers) {
  const text::TextAssets assets = testing::byte_assets();
  ReaderOptions options;
  options.reasoning = find_reasoning_format("qwen3");
  OutputReader reader(assets.tokenizer, options);
  EXPECT_EQ(std::vector(reader.markers().begin(), reader.markers().end()),
            (std::vector<text::TokenId>{testing::kThink, testing::kThinkEnd}));
  std::vector<OutputEvent> events;
  reader.push_text("<think> is a tag\n", events);
  EXPECT_FALSE(reader.in_reasoning());
  reader.push_marker(testing::kThink, events);
  EXPECT_TRUE(reader.in_reasoning());
  reader.push_text("so </think> is one", events);
  reader.push_marker(testing::kThinkEnd, events);
  EXPECT_FALSE(reader.in_reasoning());
  reader.push_text("\n\nyes", events);
  reader.finish(events);
  EXPECT_EQ(told(events), "C'<think> is a tag'R'so </think> is one'C'yes'");
}

TEST(Formats, NamesAreUnique) {
  for (const ToolFormat* format : tool_formats()) {
    EXPECT_EQ(find_tool_format(format->name), format);
    for (const std::string_view alias : format->aliases) {
      EXPECT_EQ(find_tool_format(alias), format) << alias;
    }
  }
  for (const ReasoningFormat* format : reasoning_formats()) {
    EXPECT_EQ(find_reasoning_format(format->name), format);
    for (const std::string_view alias : format->aliases) {
      EXPECT_EQ(find_reasoning_format(alias), format) << alias;
    }
  }
}

// docs/API.md has a row with the other names of each.
TEST(Formats, AreInTheDocumentation) {
  std::ifstream file(VSURGE_SOURCE_DIR "/docs/API.md");
  const std::string docs(std::istreambuf_iterator<char>(file), {});
  const auto expect_row = [&](std::string_view kind, std::string_view name,
                              const TextList& others) {
    const std::size_t table = docs.find(fmt::format("| {} format |", kind));
    ASSERT_NE(table, std::string::npos);
    const std::size_t row = docs.find(fmt::format("\n| {} | ", name), table);
    ASSERT_NE(row, std::string::npos) << name;
    const std::string line = docs.substr(row + 1, docs.find('\n', row + 1) - row - 1);
    const std::string names(std::string_view(line).substr(line.rfind(" | ", line.size() - 3)));
    const auto count = std::ranges::count(names, ',') + (names.size() > 5 ? 1 : 0);
    EXPECT_EQ(count, others.end() - others.begin()) << line;
    for (const std::string_view other : others) EXPECT_TRUE(names.contains(other)) << line;
  };
  for (const ToolFormat* format : tool_formats()) {
    expect_row("tool", format->name, format->aliases);
  }
  for (const ReasoningFormat* format : reasoning_formats()) {
    expect_row("reasoning", format->name, format->aliases);
  }
}

TEST(Formats, PromptOpensReasoning) {
  const ReasoningFormat& format = *find_reasoning_format("qwen3");
  EXPECT_TRUE(prompt_opens_reasoning(format, "<think>a</think>hi<|assistant|><think>\n"));
  EXPECT_FALSE(prompt_opens_reasoning(format, "<|assistant|><think>\n\n</think>\n\n"));
  EXPECT_FALSE(prompt_opens_reasoning(format, "<|assistant|>"));
  EXPECT_FALSE(prompt_opens_reasoning(format, "<|user|>What does <think> do?<|assistant|>"));
}

}  // namespace
}  // namespace vsurge::api
