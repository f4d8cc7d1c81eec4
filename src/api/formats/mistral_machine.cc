#include "api/formats/mistral_machine.h"

#include "api/formats/json_machine.h"
#include "api/formats/named_machine.h"

namespace vsurge::api {

CallMachine::Status MistralMachine::push(std::string_view text, std::size_t& used, CallSink& sink) {
  if (inner_ == nullptr) {
    const std::string_view rest = trim_start(text);
    used = text.size();
    if (rest.empty()) return Status::kMore;
    if (rest.front() == '[' || rest.front() == '{') {
      inner_ = std::make_unique<JsonMachine>(JsonMachineOptions{});
    } else {
      inner_ = std::make_unique<NamedMachine>(NamedMachineOptions{
          .begin = "[TOOL_CALLS]", .begun = true, .id_mark = "[CALL_ID]", .noise = "[ARGS]"});
    }
  }
  return inner_->push(text, used, sink);
}

CallMachine::Status MistralMachine::finish(CallSink& sink) {
  return inner_ == nullptr ? Status::kBroken : inner_->finish(sink);
}

}  // namespace vsurge::api
