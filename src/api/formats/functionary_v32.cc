// Functionary 3.2: a recipient and a line's end before each message, with >>> between them. The
// prompt ends with the first >>>. "all" is the user; any other recipient is a function:
//   all\nI look.>>>get_weather\n{"city": "Bern"}
#include <algorithm>

#include "api/formats/json_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

constexpr std::string_view kNameCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
constexpr std::size_t kNameBytesMax = 256;

class FunctionaryMachine final : public CallMachine {
 public:
  explicit FunctionaryMachine(const ToolSpecs& tools) : tools_(tools) {}

  Status push(std::string_view text, std::size_t& used, CallSink& sink) override {
    std::size_t told = 0;  // of the arguments
    for (used = 0; used < text.size(); ++used) {
      const bool inside = told_;
      const Status status = step(text[used], sink);
      if (!inside && told_) told = used;
      if (status == Status::kMore) continue;
      if (status == Status::kDone) ++used;
      if (told_) sink.arguments(text.substr(told, used - told));
      return status;
    }
    if (told_) sink.arguments(text.substr(told));
    return Status::kMore;
  }

  Status finish(CallSink& /*sink*/) override { return told_ ? Status::kDone : Status::kBroken; }

 private:
  Status step(char c, CallSink& sink) {
    if (!told_ && !named_) {
      if (c == '\n') return recipient();
      name_ += c;
      const bool fits = kNameCharacters.contains(c) && name_.size() <= kNameBytesMax;
      return fits ? Status::kMore : Status::kBroken;
    }
    if (!told_) {
      if (is_space(c)) return Status::kMore;
      if (c != '{') return Status::kBroken;
      sink.begin(name_);
      told_ = true;
    }
    switch (scanner_.step(c)) {
      case JsonValueScanner::Step::kMore:
        return Status::kMore;
      case JsonValueScanner::Step::kLast:
        return Status::kDone;
      case JsonValueScanner::Step::kAfter:
      case JsonValueScanner::Step::kBad:
        break;
    }
    return Status::kBroken;
  }

  Status recipient() {
    if (name_ == "all") return Status::kDone;
    named_ = std::ranges::find(tools_, name_, &ToolSpec::name) != tools_.end();
    return named_ ? Status::kMore : Status::kBroken;
  }

  const ToolSpecs& tools_;
  std::string name_;
  bool named_ = false;  // name_ is complete, and a function's
  bool told_ = false;
  JsonValueScanner scanner_;
};

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& tools) {
  return std::make_unique<FunctionaryMachine>(tools);
}

}  // namespace

constinit const ToolFormat kFunctionaryV32Format = {
    .name = "functionary_v32",
    .aliases = {"functionary_v3.2"},
    .opens = {">>>"},
    .first_characters = kNameCharacters,
    .make = make,
    // The first call's >>> is the prompt's.
    .shape = {.middle = "\n", .separator = ">>>"},
};

}  // namespace vsurge::api
