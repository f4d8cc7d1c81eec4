// GemmaMachine: call:NAME{key:value,...} with strings between marks of their own.
#pragma once

#include <string>
#include <string_view>

#include "api/formats/call_machine.h"

namespace vsurge::api {

struct GemmaOptions {
  std::string_view quote;  // on both sides of a string: <escape>, <|"|>
  std::string_view end;    // behind a call
};

class GemmaMachine final : public ElementMachine {
 public:
  explicit GemmaMachine(const GemmaOptions& options) : options_(options) {}

 private:
  Status element(std::string_view text, std::size_t& used, CallSink& sink) override;
  Status end(std::string_view rest, CallSink& sink) override;
  bool tell(std::string_view call, CallSink& sink);

  GemmaOptions options_;
};

}  // namespace vsurge::api
