// ReasoningFormat: how one family of models marks its reasoning.
#pragma once

#include <span>
#include <string_view>

#include "api/formats/text_list.h"

namespace vsurge::api {

struct ReasoningFormat {
  std::string_view name;  // the seed's
  TextList aliases;       // other servers' names
  TextList opens;         // texts before reasoning
  TextList closes;        // texts behind it
  // Texts around the answer itself, which are dropped.
  TextList wrappers = {};
  // Put before all content.
  std::string_view prefix = {};
};

const ReasoningFormat* find_reasoning_format(std::string_view name);
std::span<const ReasoningFormat* const> reasoning_formats();

}  // namespace vsurge::api
