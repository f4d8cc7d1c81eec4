// {"name": ..., "parameters": {...}}, with ; between; behind <|python_tag|> also NAME.call(a="b"),
// for tools that the model knows of itself: Llama 3.1 to 3.3, 4.
#include "api/formats/json_machine.h"
#include "api/formats/pythonic_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

// Its first character says which of both it is.
class LlamaMachine final : public CallMachine {
 public:
  explicit LlamaMachine(const ToolSpecs& tools) : tools_(tools) {}

  Status push(std::string_view text, std::size_t& used, CallSink& sink) override {
    used = 0;
    if (inner_ == nullptr) {
      const std::string_view rest = trim_start(text);
      used = text.size() - rest.size();
      if (rest.empty()) return Status::kMore;
      choose(rest.front());
    }
    std::size_t more = 0;
    const Status status = inner_->push(text.substr(used), more, sink);
    used += more;
    return status;
  }
  std::string unread() override { return inner_ == nullptr ? std::string() : inner_->unread(); }
  Status finish(CallSink& sink) override {
    return inner_ == nullptr ? Status::kBroken : inner_->finish(sink);
  }

 private:
  void choose(char first) {
    const bool letter = (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z');
    if (!letter) {
      inner_ = std::make_unique<JsonMachine>(JsonMachineOptions{});
      return;
    }
    // Else it is a program, which is no call.
    inner_ = std::make_unique<PythonicMachine>(
        PythonicOptions{.list = false, .offered = &tools_, .suffix = ".call"});
  }

  const ToolSpecs& tools_;
  std::unique_ptr<CallMachine> inner_;
};

std::unique_ptr<CallMachine> make(std::string_view open, const ToolSpecs& tools) {
  if (!open.empty()) return std::make_unique<LlamaMachine>(tools);
  // Without a mark an answer may be JSON: only what names a tool is a call.
  return std::make_unique<JsonMachine>(JsonMachineOptions{.offered = &tools});
}

}  // namespace

constinit const ToolFormat kLlama3JsonFormat = {
    .name = "llama3_json",
    .aliases = {"llama4_json", "llama3", "llama"},
    .opens = {"<|python_tag|>"},
    .first_characters = "{",
    .make = make,
    .shape =
        {.begin = "{\"name\": \"", .middle = "\", \"parameters\": ", .end = "}", .separator = "; "},
};

}  // namespace vsurge::api
