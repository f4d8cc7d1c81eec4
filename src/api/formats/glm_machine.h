// GlmMachine: NAME, then <arg_key>K</arg_key><arg_value>V</arg_value> pairs, then </tool_call>.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/formats/call_machine.h"
#include "api/formats/text_value.h"

namespace vsurge::api {

class GlmMachine final : public ElementMachine {
 public:
  explicit GlmMachine(const ToolSpecs& tools) : tools_(tools) {}

 private:
  Status element(std::string_view text, std::size_t& used, CallSink& sink) override;
  Status end(std::string_view rest, CallSink& sink) override;
  Status name(std::string_view text, std::size_t& used, CallSink& sink);
  Status pair(std::string_view text, std::size_t& used, CallSink& sink);
  Status text_value(std::string_view text, std::size_t& used, CallSink& sink);

  const ToolSpecs& tools_;
  std::string function_;           // empty: not read yet
  std::optional<TextValue> text_;  // the value that comes
  bool any_ = false;
};

}  // namespace vsurge::api
