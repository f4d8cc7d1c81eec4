#include "api/formats/detect.h"

#include <algorithm>
#include <array>

namespace vsurge::api {
namespace {

// The first row counts whose texts all stand in the template.
struct Row {
  std::string_view format;
  std::string_view text;
  std::string_view also = {};
};

constexpr auto kTools = std::to_array<Row>({
    {"harmony", "<|channel|>", "<|message|>"},
    {"glimmer", "<atem:function_calls>"},
    {"deepseek_v32", "｜DSML｜"},
    {"seed_oss", "<seed:tool_call>"},
    {"minimax_m2", "<minimax:tool_call>"},
    {"step3", "<steptml:"},
    {"kimi_k2", "<|tool_call_argument_begin|>"},
    {"deepseek_v3", "<｜tool▁calls▁begin｜>", "```json"},
    {"deepseek_v31", "<｜tool▁calls▁begin｜>"},
    {"glm47", "<arg_key>", "{function-name}<arg_key>"},
    {"glm45", "<arg_key>"},
    {"gemma4", "<|tool_call>", "<tool_call|>"},
    {"functiongemma", "<start_function_call>"},
    {"apertus", "<|tools_prefix|>"},
    {"cohere_command", "<|START_ACTION|>"},
    {"cohere_command", "Action:"},
    {"lfm2", "<|tool_call_start|>"},
    {"lfm2", "<|tool_list_start|>"},
    {"lfm2", "List of tools: ["},
    {"nemotron", "<TOOLCALL>"},
    {"gigachat3", "<|function_call|>"},
    {"longcat", "<longcat_tool_call>"},
    {"qwen3_xml", "<function name="},
    {"qwen3_coder", "<function=", "<parameter="},
    {"functionary_v31", "<function="},
    {"functionary_v32", ">>>all"},
    {"solar_open", "<|tool_call:begin|>"},
    {"mistral", "[TOOL_CALLS]"},
    {"firefunction", "functools[", "functools marker"},
    {"phi4_mini_json", "functools["},
    {"phi4_mini_json", "<|tool|>", "<|/tool|>"},
    {"internlm", "<|action_start|>"},
    {"olmo3", "<function_calls>"},
    {"hunyuan_a13b", "<tool_calls>", "<answer>"},
    {"minimax", "<tool_calls>", "minimax"},
    {"jamba", "<tool_calls>"},
    {"granite", "<|tool_call|>"},
    {"granite-20b-fc", "<function_call>"},
    {"llama4_pythonic", "<|python_start|>"},
    {"hermes", "<tool_call>"},
    {"llama3_json", "<|python_tag|>"},
    {"llama3_json", "ipython"},
    {"pythonic", "[func_name1("},
});

// The same by a token of the vocabulary.
constexpr auto kToolTokens = std::to_array<Row>({
    {"lfm2", "<|tool_call_start|>"},
    {"hermes", "<tool_call>"},
    {"mistral", "[TOOL_CALLS]"},
    {"llama4_pythonic", "<|python_start|>"},
    {"llama3_json", "<|python_tag|>"},
    {"internlm", "<|action_start|>"},
});

constexpr auto kReasoning = std::to_array<Row>({
    {"gptoss", "<|channel|>", "<|message|>"},
    {"mistral", "[THINK]"},
    {"seed_oss", "<seed:think>"},
    {"glimmer", "to=self<|message|>"},
    {"gemma4", "<|channel>"},
    {"cohere_command", "<|START_THINKING|>"},
    {"apertus", "<|inner_prefix|>"},
    {"solar_open", "<|think|>", "<|content|>"},
    {"granite", "my thought process:"},
    {"granite", "<response>", "<|start_of_role|>"},
    {"hunyuan_a13b", "<think>", "<answer>"},
    {"ernie45", "</think>", "<response>"},
    {"qwen3", "</think>", "enable_thinking"},
    {"deepseek_r1", "</think>"},
    {"deepseek_r1", "<think>"},
});

constexpr auto kReasoningTokens = std::to_array<Row>({
    {"deepseek_r1", "</think>"},
    {"mistral", "[/THINK]"},
});

template <class Rows>
std::string_view by_template(const Rows& rows, std::string_view source) {
  for (const Row& row : rows) {
    if (source.contains(row.text) && source.contains(row.also)) return row.format;
  }
  return {};
}

template <class Rows>
std::string_view by_tokens(const Rows& rows, const text::Tokenizer& tokenizer) {
  for (const Row& row : rows) {
    if (tokenizer.id_of(row.text)) return row.format;
  }
  return {};
}

}  // namespace

DetectedFormats detect_formats(std::string_view source, const text::Tokenizer& tokenizer) {
  std::string_view tools = by_template(kTools, source);
  if (tools.empty()) tools = by_tokens(kToolTokens, tokenizer);
  std::string_view reasoning = by_template(kReasoning, source);
  if (reasoning.empty()) reasoning = by_tokens(kReasoningTokens, tokenizer);
  return {find_tool_format(tools), find_reasoning_format(reasoning)};
}

// Only what the generation prompt ends with counts: messages may speak of the marks.
bool prompt_opens_reasoning(const ReasoningFormat& format, std::string_view prompt) {
  while (!prompt.empty() && is_space(prompt.back())) prompt.remove_suffix(1);
  return std::ranges::any_of(format.opens,
                             [&](std::string_view open) { return prompt.ends_with(open); });
}

}  // namespace vsurge::api
