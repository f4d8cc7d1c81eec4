#include "api/formats/harmony.h"

#include <algorithm>
#include <utility>

namespace vsurge::api {
namespace {

using Kind = OutputEvent::Kind;

constexpr std::string_view kStart = "<|start|>", kChannel = "<|channel|>";
constexpr std::string_view kMessage = "<|message|>", kConstrain = "<|constrain|>";
constexpr std::size_t kHeaderBytesMax = 4096;

// The word behind a mark in a header, up to white space or the next mark.
std::string_view word_after(std::string_view header, std::string_view mark) {
  const std::size_t at = header.find(mark);
  if (at == std::string_view::npos) return {};
  std::string_view rest = header.substr(at + mark.size());
  const auto end = std::ranges::find_if(rest, [](char c) { return is_space(c) || c == '<'; });
  return rest.substr(0, static_cast<std::size_t>(end - rest.begin()));
}

}  // namespace

const ToolFormat& harmony_tools() {
  static constexpr ToolFormat kFormat = {.name = "harmony",
                                         .aliases = {"gpt-oss", "gpt_oss", "openai_gptoss"},
                                         .opens = {},
                                         .shape = {.begin = "<|channel|>commentary to=functions.",
                                                   .middle = " <|constrain|>json<|message|>"}};
  return kFormat;
}

const ReasoningFormat& harmony_reasoning() {
  static constexpr ReasoningFormat kFormat = {
      .name = "gptoss",
      .aliases = {"openai_gptoss", "gpt-oss", "gpt_oss", "harmony"},
      .opens = {},
      .closes = {}};
  return kFormat;
}

bool is_harmony(const ToolFormat* tools, const ReasoningFormat* reasoning) {
  return tools == &harmony_tools() || reasoning == &harmony_reasoning();
}

const TextList& HarmonyReader::markers() {
  static constexpr TextList kTexts = {kStart,    kChannel,   kMessage,    kConstrain,
                                      "<|end|>", "<|call|>", "<|return|>"};
  return kTexts;
}

void HarmonyReader::push(std::string_view text, CallSink& sink, std::vector<OutputEvent>& out) {
  if (!std::exchange(ready_, true)) scanner_.look_for({markers().begin(), markers().end()});
  scanner_.push(text, {[&](std::string_view piece) { on_text(piece, sink, out); },
                       [&](std::string_view marker) { on_marker(marker, sink); }});
}

void HarmonyReader::finish(CallSink& sink, std::vector<OutputEvent>& out) {
  // Behind a mark, two bytes of one are a mark that was cut off.
  const std::string held = scanner_.take_held();
  if (plain_ || held.size() < 2) on_text(held, sink, out);
  if (plain_ && !header_.empty()) {
    append_output(out, {.kind = Kind::kContent, .text = std::exchange(header_, {}), .id = {}});
  }
}

void HarmonyReader::on_text(std::string_view text, CallSink& sink, std::vector<OutputEvent>& out) {
  if (text.empty()) return;
  switch (body_) {
    case Body::kHeader:
      if (plain_) return on_plain(text, out);
      header_ += text.substr(0, kHeaderBytesMax - std::min(kHeaderBytesMax, header_.size()));
      return;
    case Body::kCall:
      sink.arguments(text);
      return;
    case Body::kReasoning:
      append_output(out, {.kind = reasoning_ ? Kind::kReasoning : Kind::kContent,
                          .text = std::string(text),
                          .id = {}});
      return;
    case Body::kContent:
      break;
  }
  append_output(out, {.kind = Kind::kContent, .text = std::string(text), .id = {}});
}

// Before the first marker: a recipient, or an answer that has no markers at all.
void HarmonyReader::on_plain(std::string_view text, std::vector<OutputEvent>& out) {
  constexpr std::string_view kTo = " to=";
  header_ += text;
  const bool recipient = header_.starts_with(kTo) || kTo.starts_with(header_);
  if (recipient && header_.size() < kHeaderBytesMax) return;
  body_ = Body::kContent;
  append_output(out, {.kind = Kind::kContent, .text = std::exchange(header_, {}), .id = {}});
}

void HarmonyReader::on_marker(std::string_view marker, CallSink& sink) {
  plain_ = false;
  if (marker == kMessage && body_ == Body::kHeader) return begin_body(sink);
  if (body_ == Body::kHeader) {
    header_ += marker;
    return;
  }
  // Whatever ends a message; <|channel|> alone begins the next one's header.
  body_ = Body::kHeader;
  header_.clear();
  if (marker == kChannel) header_ = marker;
}

void HarmonyReader::begin_body(CallSink& sink) {
  const std::string_view channel = word_after(header_, kChannel);
  std::string_view to = word_after(header_, "to=");
  if (to.starts_with("functions.")) to.remove_prefix(10);
  if (!to.empty() && to != "user" && to != "assistant" && calls_) {
    sink.begin(to);
    body_ = Body::kCall;
  } else {
    body_ = channel == "analysis" ? Body::kReasoning : Body::kContent;
  }
  header_.clear();
}

}  // namespace vsurge::api
