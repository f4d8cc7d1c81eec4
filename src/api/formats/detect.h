// Which formats a model uses, by its chat template and vocabulary.
#pragma once

#include <string_view>

#include "api/formats/reasoning_format.h"
#include "api/formats/tool_format.h"
#include "text/tokenizer.h"

namespace vsurge::api {

struct DetectedFormats {
  const ToolFormat* tools = nullptr;           // nullptr: nothing points to one
  const ReasoningFormat* reasoning = nullptr;  // nullptr: the model does not reason
};

// `source` is empty where there is no template.
DetectedFormats detect_formats(std::string_view source, const text::Tokenizer& tokenizer);

// The prompt ends with the beginning of reasoning, which the answer goes on with.
bool prompt_opens_reasoning(const ReasoningFormat& format, std::string_view prompt);

}  // namespace vsurge::api
