// HarmonyReader: gpt-oss's format: messages in channels, of which some are reasoning or calls.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/formats/call_machine.h"
#include "api/formats/marker_scanner.h"
#include "api/formats/output_event.h"
#include "api/formats/reasoning_format.h"
#include "api/formats/tool_format.h"

namespace vsurge::api {

// [<|start|>assistant] <|channel|>NAME [to=functions.F] [<|constrain|>json] <|message|> TEXT
// <|end|> or <|call|> or <|return|>, again and again (openai/harmony). analysis is reasoning; a
// message to a function is a call of it; all else is content. Its markers come as text.
class HarmonyReader {
 public:
  HarmonyReader(bool calls, bool reasoning) : calls_(calls), reasoning_(reasoning) {}

  static const TextList& markers();
  void push(std::string_view text, CallSink& sink, std::vector<OutputEvent>& out);
  void finish(CallSink& sink, std::vector<OutputEvent>& out);
  bool in_reasoning() const { return body_ == Body::kReasoning; }
  bool in_content() const { return body_ == Body::kContent; }

 private:
  enum class Body : std::uint8_t { kHeader, kReasoning, kContent, kCall };
  void on_text(std::string_view text, CallSink& sink, std::vector<OutputEvent>& out);
  void on_plain(std::string_view text, std::vector<OutputEvent>& out);
  void on_marker(std::string_view marker, CallSink& sink);
  void begin_body(CallSink& sink);

  bool calls_, reasoning_;
  Body body_ = Body::kHeader;
  bool plain_ = true;  // no marker has come: text is content
  std::string header_;
  MarkerScanner scanner_;
  bool ready_ = false;
};

bool is_harmony(const ToolFormat* tools, const ReasoningFormat* reasoning);
const ToolFormat& harmony_tools();
const ReasoningFormat& harmony_reasoning();

}  // namespace vsurge::api
