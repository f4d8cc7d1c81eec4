// All reasoning formats: they differ in their marks alone.
#include <algorithm>
#include <array>

#include "api/formats/harmony.h"
#include "api/formats/reasoning_format.h"

namespace vsurge::api {
namespace {

constexpr TextList kThink = {"<think>"};
constexpr TextList kThinkEnd = {"</think>"};

constexpr auto kFormats = std::to_array<ReasoningFormat>({
    {"deepseek_r1", {"deepseek-r1", "deepseek_reasoning"}, kThink, kThinkEnd},
    {"deepseek_v3",
     {"glm45", "glm47", "holo2", "kimi_k2", "kimi_k3", "deepseek-v3", "deepseek_v4"},
     kThink,
     kThinkEnd},
    {"qwen3",
     {"qwen3_reasoning", "qwen3-thinking", "qwen", "mimo", "smollm3", "interns1"},
     kThink,
     kThinkEnd},
    {"nemotron_v3", {"nemotron"}, kThink, kThinkEnd},
    {"mistral", {"magistral", "ministral"}, {"[THINK]"}, {"[/THINK]"}},
    {"granite",
     {},
     {"Here's my thought process:", "Here is my thought process:", "<think>"},
     {"Here's my response:", "Here is my response:", "</think>"},
     {"<response>", "</response>"}},
    {"gemma4", {}, {"<|channel>thought"}, {"<channel|>"}},
    {"minimax_m2", {"minimax_m3", "minimax-m2"}, kThink, kThinkEnd},
    {"minimax_m2_append_think", {}, {}, {}, {}, "<think>"},
    {"step3", {}, kThink, kThinkEnd},
    {"step3p5", {"step3.5"}, kThink, kThinkEnd},
    {"seed_oss", {"seed-oss"}, {"<seed:think>"}, {"</seed:think>"}},
    {"ernie45", {}, kThink, kThinkEnd, {"<response>", "</response>"}},
    {"olmo3", {}, kThink, kThinkEnd},
    {"hunyuan_a13b", {"hunyuan", "hy_v3"}, kThink, kThinkEnd, {"<answer>", "</answer>"}},
    {"cohere_command",
     {"cohere_command3", "cohere_command4", "cohere"},
     {"<|START_THINKING|>"},
     {"<|END_THINKING|>"},
     {"<|START_RESPONSE|>", "<|END_RESPONSE|>"}},
    {"solar_open",
     {"solar_open2", "upstage"},
     {"<|think|>"},
     {"<|end|>"},
     {"<|begin|>assistant", "<|begin|>", "<|content|>"}},
    {"glimmer",
     {"atem"},
     {" to=self<|message|>", "<|start|>assistant to=self<|message|>"},
     {"<|eom|>"},
     {" to=user<|message|>", "<|start|>assistant to=user<|message|>",
      "<|start|>assistant<|message|>", "<|message|>"}},
    {"apertus", {"apertus2509"}, {"<|inner_prefix|>"}, {"<|inner_suffix|>"}},
    {"identity", {"none", "passthrough"}, {}, {}},
});

constexpr auto kPointers = [] {
  std::array<const ReasoningFormat*, kFormats.size()> out{};
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = &kFormats[i];
  return out;
}();

}  // namespace

std::span<const ReasoningFormat* const> reasoning_formats() {
  static const auto all = [] {
    std::array<const ReasoningFormat*, kFormats.size() + 1> out{};
    std::ranges::copy(kPointers, out.begin());
    out.back() = &harmony_reasoning();
    return out;
  }();
  return all;
}

const ReasoningFormat* find_reasoning_format(std::string_view name) {
  for (const ReasoningFormat* format : reasoning_formats()) {
    if (format->name == name) return format;
  }
  for (const ReasoningFormat* format : reasoning_formats()) {
    if (format->aliases.contains(name)) return format;
  }
  return nullptr;
}

}  // namespace vsurge::api
