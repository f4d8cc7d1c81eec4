// Round trips: what a chat template writes for an assistant's tool calls is what its model was
// taught to say; the formats that are chosen for the template must read the same calls from it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/formats/detect.h"
#include "api/formats/output_reader.h"
#include "base/test_data.h"
#include "text/chat_template.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using Kind = OutputEvent::Kind;

enum class Writes : std::uint8_t {
  kCalls,    // any number of them
  kOneCall,  // the template raises for more
  kNothing,  // it leaves the calls out: only the choice is checked
  kRaises,   // it does not render with tools
};

enum class Quirk : std::uint8_t {
  kNone,
  kTextualArguments,  // the template takes arguments as a string alone
  kWordsAreThoughts,  // it writes content beside calls as reasoning
  kNullContent,       // the same, and calls only where content is null
};

struct Row {
  std::string_view file;
  std::string_view tools;      // the name of what must be chosen; empty: none
  std::string_view reasoning;  // the same
  std::string_view turn_end;   // behind an assistant's turn: no part of the answer
  Writes writes = Writes::kCalls;
  Quirk quirk = Quirk::kNone;
};

// The choice for every template in shared/chat-templates.
constexpr Row kRows[] = {
    {"Apertus-8B-Instruct.jinja", "apertus", "apertus", "[Result."},
    {"Bielik-11B-v3.0-Instruct.jinja", "hermes", "qwen3", "<|im_end|>"},
    {"ByteDance-Seed-OSS.jinja", "seed_oss", "seed_oss", "<seed:eos>"},
    {"CohereForAI-c4ai-command-r-plus-tool_use.jinja", "cohere_command", "",
     "\n<|START_OF_TURN_TOKEN|>"},
    {"CohereForAI-c4ai-command-r7b-12-2024-tool_use.jinja", "cohere_command", "cohere_command",
     "<|END_OF_TURN"},
    {"GLM-4.7-Flash.jinja", "glm47", "qwen3", "<|observation|>"},
    {"GLM-5.2.jinja", "glm47", "qwen3", "<|observation|>"},
    {"GigaChat3.1-10B-A1.8B.jinja", "gigachat3", "", "<|message_sep|>", Writes::kOneCall},
    {"HuggingFaceTB-SmolLM3-3B.jinja", "", "qwen3", "<|im_end|>"},
    {"Kimi-K2-Thinking.jinja", "kimi_k2", "deepseek_r1", "<|im_end|>", Writes::kRaises},
    {"LFM2-8B-A1B.jinja", "lfm2", "", "<|im_end|>", Writes::kNothing},
    {"LFM2.5-Instruct.jinja", "lfm2", "deepseek_r1", "<|im_end|>", Writes::kNothing},
    {"MiMo-VL.jinja", "hermes", "", "<|im_end|>"},
    {"MiroThinker.jinja", "hermes", "qwen3", "<|im_end|>", Writes::kRaises},
    {"Mistral-Small-3.2-24B-Instruct-2506.jinja", "mistral", "", "<EOS>"},
    {"NVIDIA-Nemotron-Nano-v2.jinja", "nemotron", "qwen3", "<SPECIAL_12>"},
    {"NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use.jinja", "hermes", "", "<|im_end|>"},
    {"Qwen-QwQ-32B.jinja", "hermes", "qwen3", "<|im_end|>"},
    {"Qwen-Qwen2.5-7B-Instruct.jinja", "hermes", "", "<|im_end|>"},
    {"Qwen-Qwen3-0.6B.jinja", "hermes", "qwen3", "<|im_end|>"},
    {"Qwen3-Coder.jinja", "qwen3_coder", "", "<|im_end|>"},
    {"Qwen3.5-4B.jinja", "qwen3_coder", "qwen3", "<|im_end|>"},
    {"StepFun3.5-Flash.jinja", "qwen3_coder", "deepseek_r1", "<|im_end|>"},
    {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B.jinja", "deepseek_v3", "deepseek_r1",
     "<｜end▁of▁sentence｜>", Writes::kCalls, Quirk::kNullContent},
    {"deepseek-ai-DeepSeek-V3.1.jinja", "deepseek_v31", "qwen3", "<｜end▁of▁sentence｜>"},
    {"deepseek-ai-DeepSeek-V3.2.jinja", "deepseek_v32", "qwen3", "<｜end▁of▁sentence｜>"},
    {"fireworks-ai-llama-3-firefunction-v2.jinja", "firefunction", "", "<|eot_id|>"},
    {"google-gemma-2-2b-it.jinja", "", "", "<turn|>"},
    {"google-gemma-4-31B-it.jinja", "gemma4", "gemma4", "<|tool_response>"},
    {"ibm-granite-granite-3.3-2B-Instruct.jinja", "granite", "granite", "<|end_of_text|>",
     Writes::kNothing},
    {"ibm-granite-granite-4.1.jinja", "hermes", "", "<|end_of_text|>"},
    {"llama-cpp-deepseek-r1.jinja", "deepseek_v3", "deepseek_r1", "<｜end▁of▁sentence｜>",
     Writes::kRaises},
    {"meetkai-functionary-medium-v3.1.jinja", "functionary_v31", "", "<|eom_id|>"},
    {"meetkai-functionary-medium-v3.2.jinja", "functionary_v32", "", "<|eot_id|>", Writes::kCalls,
     Quirk::kTextualArguments},
    {"meta-llama-Llama-3.1-8B-Instruct.jinja", "llama3_json", "", "<|eot_id|>", Writes::kOneCall},
    {"meta-llama-Llama-3.2-3B-Instruct.jinja", "llama3_json", "", "<|eot_id|>", Writes::kOneCall},
    {"meta-llama-Llama-3.3-70B-Instruct.jinja", "llama3_json", "", "<|eot_id|>", Writes::kOneCall},
    {"mistralai-Ministral-3-14B-Reasoning-2512.jinja", "mistral", "mistral", "<EOS>"},
    {"mistralai-Mistral-Nemo-Instruct-2407.jinja", "mistral", "", "<EOS>"},
    {"ollama-gemma4_e2b_chat_template.jinja2", "gemma4", "gemma4", "<|tool_response>"},
    {"ollama-glimmer_chat_template.jinja", "glimmer", "glimmer", "<|eot|>"},
    {"ollama-nemotron35_chat_template.jinja2", "qwen3_coder", "qwen3", "<|im_end|>"},
    {"ollama-nemotron3nano_chat_template.jinja2", "qwen3_coder", "qwen3", "<|im_end|>"},
    {"openai-gpt-oss-120b.jinja", "harmony", "gptoss", "<|start|>functions.", Writes::kOneCall,
     Quirk::kWordsAreThoughts},
    {"stepfun-ai-Step-3.5-Flash.jinja", "qwen3_coder", "deepseek_r1", "<|im_end|>"},
    {"unsloth-mistral-Devstral-Small-2507.jinja", "mistral", "", "<EOS>"},
    {"upstage-Solar-Open-100B.jinja", "solar_open", "solar_open", "<|calls|>"},
};

constexpr std::string_view kTools = R"([
  {"type": "function", "function": {"name": "get_weather", "description": "Weather",
   "parameters": {"type": "object", "properties": {
     "city": {"type": "string", "description": "Where"},
     "days": {"type": "integer", "description": "How many"}}, "required": ["city"]}}},
  {"type": "function", "function": {"name": "set_flag", "description": "Sets a flag",
   "parameters": {"type": "object", "properties": {
     "on": {"type": "boolean", "description": "Whether"},
     "tags": {"type": "array", "items": {"type": "string"}, "description": "Words"}},
     "required": ["on"]}}}])";

struct Call {
  std::string name;
  json::value arguments;
};

std::vector<Call> calls_of(Writes writes) {
  std::vector<Call> calls = {
      {"get_weather", json::parse(R"({"city": "Zürich \"a\"\nnorth {", "days": 3})")},
      {"set_flag", json::parse(R"({"on": true, "tags": ["a", "b"]})")}};
  if (writes == Writes::kOneCall) calls.pop_back();
  return calls;
}

std::shared_ptr<const ToolSpecs> specs() {
  auto out = std::make_shared<ToolSpecs>();
  const json::value tools = json::parse(kTools);
  for (const json::value& tool : tools.as_array()) {
    const json::object& function = tool.at("function").as_object();
    out->push_back({.name = std::string(function.at("name").as_string()),
                    .parameters = function.at("parameters").as_object()});
  }
  return out;
}

// What the assistant says beside its calls; both may be empty.
struct Words {
  std::string content, reasoning;
};

constexpr std::string_view kQuestion = "What now?";

std::string context(const Row& row, const Words* words) {
  json::array messages;
  messages.push_back({{"role", "user"}, {"content", kQuestion}});
  if (words != nullptr) {
    json::array calls;
    for (const Call& call : calls_of(row.writes)) {
      const json::value arguments =
          row.quirk == Quirk::kTextualArguments || row.quirk == Quirk::kNullContent
              ? json::value(json::serialize(call.arguments))
              : call.arguments;
      calls.push_back({{"id", fmt::format("call0000{}", calls.size())},
                       {"type", "function"},
                       {"function", {{"name", call.name}, {"arguments", arguments}}}});
    }
    json::object turn = {{"role", "assistant"}, {"content", words->content}};
    if (row.quirk == Quirk::kNullContent) turn["content"] = nullptr;
    if (!words->reasoning.empty()) {
      turn["reasoning_content"] = words->reasoning;
      turn["reasoning"] = words->reasoning;
      turn["thinking"] = words->reasoning;
    }
    turn["tool_calls"] = std::move(calls);
    messages.push_back(std::move(turn));
    for (std::size_t i = 0; i < calls_of(row.writes).size(); ++i) {
      messages.push_back({{"role", "tool"},
                          {"tool_call_id", fmt::format("call0000{}", i)},
                          {"name", calls_of(row.writes)[i].name},
                          {"content", "Result."}});
    }
  }
  const json::object all = {{"messages", std::move(messages)},
                            {"tools", json::parse(kTools)},
                            {"functions", kTools},
                            {"datetime", "today"},
                            {"bos_token", "<BOS>"},
                            {"eos_token", "<EOS>"},
                            {"add_generation_prompt", words == nullptr}};
  return json::serialize(all);
}

// The prompt as the answer found it, and the answer.
struct Turn {
  std::string prompt, answer;
};

// Where the rendered turn leaves the prompt, not within a mark.
Turn split(const std::string& prompt, const std::string& full, std::string_view turn_end) {
  auto at = static_cast<std::size_t>(std::ranges::mismatch(prompt, full).in1 - prompt.begin());
  const std::size_t mark = full.rfind('<', at == 0 ? 0 : at - 1);
  if (mark != std::string::npos && full.find('>', mark) >= at) at = mark;
  std::string answer = full.substr(at);
  // Where the template says something else before an answer than in history, its own mark is left.
  const std::string_view left = "<|CHATBOT_TOKEN|>";
  if (answer.starts_with(left)) answer.erase(0, left.size());
  if (!turn_end.empty()) answer = answer.substr(0, answer.find(turn_end));
  return {full.substr(0, at), std::move(answer)};
}

// A tokenizer that has `marks` as special tokens.
text::Tokenizer tokenizer_with(const std::vector<std::string>& marks) {
  json::array added;
  for (const std::string& mark : marks) {
    added.push_back({{"id", added.size() + 1},
                     {"content", mark},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const json::object all = {
      {"version", "1.0"},
      {"added_tokens", std::move(added)},
      {"model", {{"type", "BPE"}, {"vocab", {{"a", 0}}}, {"merges", json::array()}}}};
  return *text::Tokenizer::from_json(json::serialize(all));
}

struct Read {
  std::string content, reasoning;
  std::vector<std::string> names, arguments, ids;
  friend bool operator==(const Read&, const Read&) = default;
};

Read gathered(const std::vector<OutputEvent>& events) {
  Read out;
  for (const OutputEvent& event : events) {
    switch (event.kind) {
      case Kind::kReasoning:
        out.reasoning += event.text;
        break;
      case Kind::kContent:
        out.content += event.text;
        break;
      case Kind::kCallBegin:
        out.names.push_back(event.text);
        out.ids.push_back(event.id);
        out.arguments.emplace_back();
        break;
      case Kind::kCallArguments:
        out.arguments.at(static_cast<std::size_t>(event.call)) += event.text;
        break;
    }
  }
  return out;
}

ReaderOptions reader_options(const DetectedFormats& formats, const Turn& turn) {
  ReaderOptions options;
  options.tools = formats.tools;
  options.reasoning = formats.reasoning;
  options.reasoning_open =
      formats.reasoning != nullptr && prompt_opens_reasoning(*formats.reasoning, turn.prompt);
  options.schemas = specs();
  return options;
}

// `size` bytes at a time; marks that are tokens of the vocabulary as such.
Read read(const text::Tokenizer& tokenizer, const ReaderOptions& options, std::string_view text,
          std::size_t size) {
  OutputReader reader(tokenizer, options);
  std::vector<OutputEvent> events;
  std::size_t at = 0, from = 0;
  const auto push_text = [&] {
    for (; from < at; from += size) {
      reader.push_text(text.substr(from, std::min(size, at - from)), events);
    }
    from = at;
  };
  while (at < text.size()) {
    std::optional<text::TokenId> token;
    std::size_t length = 0;
    for (const text::TokenId marker : reader.markers()) {
      const std::string mark = *tokenizer.token_of(marker);
      if (mark.size() <= length || !text.substr(at).starts_with(mark)) continue;
      token = marker;
      length = mark.size();
    }
    if (!token) {
      ++at;
      continue;
    }
    push_text();
    reader.push_marker(*token, events);
    from = at += length;
  }
  push_text();
  reader.finish(events);
  return gathered(events);
}

std::vector<std::string> marks_of(const DetectedFormats& formats) {
  std::vector<std::string> out;
  const auto add = [&](const TextList& texts) {
    for (const std::string_view text : texts) {
      if (std::ranges::find(out, text) == out.end()) out.emplace_back(text);
    }
  };
  if (formats.tools != nullptr) add(formats.tools->opens);
  if (formats.tools != nullptr) add(formats.tools->tags);
  if (formats.reasoning != nullptr) add(formats.reasoning->opens);
  if (formats.reasoning != nullptr) add(formats.reasoning->closes);
  return out;
}

void PrintTo(const Row& row, std::ostream* out) {
  *out << row.file;
}

class Templates : public ::testing::TestWithParam<Row> {
 protected:
  // Skips or fails the test when it gives nothing.
  std::optional<std::string> source() {
    const std::string path = fmt::format("chat-templates/{}", GetParam().file);
    const auto found = base::test_data_path(path);
    if (!found) return std::nullopt;
    std::ifstream file(*found, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  static void expect_calls(const Read& out) {
    const std::vector<Call> calls = calls_of(GetParam().writes);
    ASSERT_EQ(out.names.size(), calls.size());
    for (std::size_t i = 0; i < calls.size(); ++i) {
      EXPECT_EQ(out.names[i], calls[i].name);
      boost::system::error_code error;
      EXPECT_EQ(json::parse(out.arguments[i], error), calls[i].arguments) << out.arguments[i];
      EXPECT_FALSE(out.ids[i].empty());
    }
  }
};

TEST_P(Templates, ChooseTheirFormats) {
  const auto text = source();
  if (!text) GTEST_SKIP() << base::test_data_missing(fmt::format("chat-templates"));
  const auto formats = detect_formats(*text, tokenizer_with({}));
  EXPECT_EQ(formats.tools == nullptr ? "" : formats.tools->name, GetParam().tools);
  EXPECT_EQ(formats.reasoning == nullptr ? "" : formats.reasoning->name, GetParam().reasoning);
}

TEST_P(Templates, CallsComeBack) {
  const Row& row = GetParam();
  const auto text = source();
  if (!text) GTEST_SKIP() << base::test_data_missing(fmt::format("chat-templates"));
  if (row.tools.empty()) return;
  const auto made = text::ChatTemplate::compile(*text);
  ASSERT_TRUE(made.has_value()) << made.error().message;
  const auto prompt = made->render(context(row, nullptr), 0);
  const DetectedFormats formats = detect_formats(*text, tokenizer_with({}));
  for (const Words& words : {Words{}, Words{"I look.", ""}, Words{"I look.", "A tool helps."}}) {
    if (row.quirk == Quirk::kWordsAreThoughts && !words.reasoning.empty()) continue;
    if (row.quirk == Quirk::kNullContent && !words.content.empty()) continue;
    const auto full = made->render(context(row, &words), 0);
    if (row.writes == Writes::kRaises) {
      EXPECT_FALSE(full.has_value());
      continue;
    }
    ASSERT_TRUE(prompt.has_value()) << prompt.error().message;
    ASSERT_TRUE(full.has_value()) << full.error().message;
    if (row.writes == Writes::kNothing) {
      EXPECT_FALSE(full->substr(full->rfind(kQuestion)).contains("get_weather"));
      continue;
    }
    const Turn turn = split(*prompt, *full, row.turn_end);
    SCOPED_TRACE(fmt::format("prompt ...{}\nanswer {}",
                             turn.prompt.substr(turn.prompt.rfind(kQuestion)), turn.answer));
    const ReaderOptions options = reader_options(formats, turn);
    const text::Tokenizer marked = tokenizer_with(marks_of(formats));
    const Read whole = read(tokenizer_with({}), options, turn.answer, turn.answer.size());
    expect_calls(whole);
    // Templates may leave words out beside calls; what they write is told as what it is.
    std::string content = turn.answer.contains("I look.") ? words.content : "";
    std::string reasoning = turn.answer.contains("A tool helps.") ? words.reasoning : "";
    if (row.quirk == Quirk::kWordsAreThoughts) std::swap(content, reasoning);
    EXPECT_EQ(whole.content, content);
    EXPECT_EQ(whole.reasoning, reasoning);
    EXPECT_EQ(read(tokenizer_with({}), options, turn.answer, 1), whole);
    EXPECT_EQ(read(marked, options, turn.answer, turn.answer.size()), whole);
    EXPECT_EQ(read(marked, options, turn.answer, 1), whole);
  }
}

std::string test_name(const ::testing::TestParamInfo<Row>& info) {
  std::string name(info.param.file.substr(0, info.param.file.rfind(".jinja")));
  std::ranges::replace_if(
      name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, Templates, ::testing::ValuesIn(kRows), test_name);

// No template of the folder is forgotten.
TEST(TemplateTable, HasThemAll) {
  const auto folder = base::test_data_path("chat-templates");
  if (!folder) GTEST_SKIP() << base::test_data_missing("chat-templates");
  for (const auto& entry : std::filesystem::directory_iterator(*folder)) {
    const std::string file = entry.path().filename().string();
    if (!file.contains(".jinja")) continue;
    EXPECT_TRUE(std::ranges::find(kRows, std::string_view(file), &Row::file) != std::end(kRows))
        << file;
  }
}

}  // namespace
}  // namespace vsurge::api
