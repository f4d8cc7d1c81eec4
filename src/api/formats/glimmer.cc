// Glimmer: messages with recipients, of which one that is no user is a function:
//   to=f<|message|><atem:function_calls><atem:invoke name="f"><atem:parameter name="p">...
#include <memory>
#include <string>

#include "api/formats/tool_formats.h"
#include "api/formats/xml_machine.h"

namespace vsurge::api {
namespace {

constexpr std::string_view kOpen = "<atem:function_calls>", kMessage = "<|message|>";
constexpr std::size_t kRecipientBytesMax = 256;

// Reads over the recipient; the rest is tags.
class GlimmerMachine final : public CallMachine {
 public:
  GlimmerMachine(const XmlMachineOptions& options, const ToolSpecs& tools, bool open)
      : open_(open), inner_(options, tools) {}

  Status push(std::string_view text, std::size_t& used, CallSink& sink) override {
    for (used = 0; !open_ && used < text.size(); ++used) {
      head_ += text[used];
      if (!head_fits()) return Status::kBroken;
      open_ = head_.ends_with(kOpen);
    }
    if (!open_) return Status::kMore;
    std::size_t more = 0;
    const Status status = inner_.push(text.substr(used), more, sink);
    used += more;
    return status;
  }

  std::string unread() override { return inner_.unread(); }

  Status finish(CallSink& sink) override { return open_ ? inner_.finish(sink) : Status::kBroken; }

 private:
  // NAME<|message|><atem:function_calls>, or a beginning of it.
  bool head_fits() const {
    const std::size_t name = head_.find('<');
    if (name == std::string::npos) {
      return !is_space(head_.back()) && head_.size() <= kRecipientBytesMax;
    }
    const std::string_view mark = std::string_view(head_).substr(name);
    if (name == 0) return false;
    if (mark.size() <= kMessage.size()) return kMessage.starts_with(mark);
    const std::string_view rest = trim_start(mark.substr(kMessage.size()));
    return head_.size() <= 2 * kRecipientBytesMax && kOpen.starts_with(rest);
  }

  bool open_;
  std::string head_;
  XmlMachine inner_;
};

std::unique_ptr<CallMachine> make(std::string_view open, const ToolSpecs& tools) {
  return std::make_unique<GlimmerMachine>(
      XmlMachineOptions{.function_begin = "<atem:invoke name=",
                        .function_end = "</atem:invoke>",
                        .parameter_begin = "<atem:parameter name=",
                        .parameter_end = "</atem:parameter>",
                        .group_end = "</atem:function_calls>"},
      tools, open == kOpen);
}

}  // namespace

constinit const ToolFormat kGlimmerFormat = {
    .name = "glimmer",
    .aliases = {"atem"},
    .opens = {"<atem:function_calls>", " to=", "<|start|>assistant to="},
    .tags = {"<|message|>", "<|start|>", "<|eom|>"},
    .make = make,
    .shape = {.group_begin = "<atem:function_calls>\n",
              .begin = "<atem:invoke name=\"",
              .middle = "\">\n",
              .end = "</atem:invoke>\n",
              .group_end = "</atem:function_calls>",
              .parameter = CallShape::Parameter{.begin = "<atem:parameter name=\"",
                                                .middle = "\">",
                                                .end = "</atem:parameter>\n",
                                                .strings = CallShape::Strings::kRaw}},
};

}  // namespace vsurge::api
