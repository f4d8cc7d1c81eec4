// MistralMachine: behind [TOOL_CALLS], an array of calls or a name with its arguments.
#pragma once

#include <memory>

#include "api/formats/call_machine.h"

namespace vsurge::api {

class MistralMachine final : public CallMachine {
 public:
  Status push(std::string_view text, std::size_t& used, CallSink& sink) override;
  std::string unread() override { return inner_ == nullptr ? "" : inner_->unread(); }
  Status finish(CallSink& sink) override;

 private:
  std::unique_ptr<CallMachine> inner_;  // chosen by the first character
};

}  // namespace vsurge::api
