// XmlMachine: calls as tags, one for the function and one for each parameter.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/formats/call_machine.h"
#include "api/formats/text_value.h"

namespace vsurge::api {

struct XmlMachineOptions {
  // <function=NAME> ... </function>: the texts around the name, and behind the call.
  std::string_view function_begin = "<function=";
  std::string_view function_name_end = ">";
  std::string_view function_end = "</function>";
  std::string_view parameter_begin = "<parameter=";
  std::string_view parameter_name_end = ">";
  std::string_view parameter_end = "</parameter>";
  // Behind the name of a parameter: string="true" says that it is text, "false" that it is JSON.
  bool typed_parameters = false;
  // Around calls, of no meaning: <tool_call>, </tool_call>.
  std::vector<std::string_view> around = {};
  // Ends the group; empty: each call is a group.
  std::string_view group_end = {};
  bool in_function = false;  // the opening text was function_begin
};

class XmlMachine final : public ElementMachine {
 public:
  XmlMachine(const XmlMachineOptions& options, const ToolSpecs& tools);

 private:
  Status element(std::string_view text, std::size_t& used, CallSink& sink) override;
  Status end(std::string_view rest, CallSink& sink) override;
  Status function_name(std::string_view text, std::size_t& used, CallSink& sink);
  Status between(std::string_view text, std::size_t& used);
  Status in_function(std::string_view text, std::size_t& used, CallSink& sink);
  Status parameter(std::string_view text, std::size_t& used, CallSink& sink);
  Status text_value(std::string_view text, std::size_t& used, CallSink& sink);
  void tell(std::string_view name, std::string_view json, CallSink& sink);
  void close(CallSink& sink);

  enum class State : std::uint8_t { kBetween, kName, kFunction, kText };
  XmlMachineOptions options_;
  const ToolSpecs& tools_;
  State state_;
  std::string function_;
  std::optional<TextValue> text_;  // the parameter that comes
  bool any_ = false;               // a parameter of this call
  bool told_ = false;              // a call
};

}  // namespace vsurge::api
