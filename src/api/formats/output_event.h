// What a model's output turns out to be, piece by piece: reasoning, content, tool calls.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace vsurge::api {

struct OutputEvent {
  enum class Kind : std::uint8_t { kReasoning, kContent, kCallBegin, kCallArguments };
  Kind kind = Kind::kContent;
  // Text; of kCallBegin the function's name, of kCallArguments a piece of JSON text.
  std::string text;
  int call = -1;   // index of the call, from 0
  std::string id;  // of kCallBegin
};

// Appends text to what is there: to the last event where that is of the same kind and call.
inline void append_output(std::vector<OutputEvent>& out, OutputEvent event) {
  if (!out.empty() && event.kind != OutputEvent::Kind::kCallBegin &&
      out.back().kind == event.kind && out.back().call == event.call) {
    out.back().text += event.text;
  } else {
    out.push_back(std::move(event));
  }
}

}  // namespace vsurge::api
