// AnthropicForm: answers and stream events of Anthropic's Messages API.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/answer.h"
#include "api/service_core.h"

namespace vsurge::api {

// One prompt with one choice.
class AnthropicForm final : public AnswerForm {
 public:
  explicit AnthropicForm(ServiceCore& core) : core_(core) {}

  void stream_begin(Answer& answer, std::string& out) override;
  void stream_choice(Answer& answer, std::size_t prompt, std::size_t choice,
                     std::string& out) override;
  void stream_end(Answer& answer, std::string& out) override;
  void stream_error(Answer& answer, const ApiError& error, std::string& out) override;
  std::string whole(Answer& answer) override;

 private:
  void stream_event(const OutputEvent& event, std::string& out);
  void close_block(std::string& out);

  ServiceCore& core_;
  // The block of content that is open in a stream.
  bool open_ = false;
  OutputEvent::Kind open_kind_ = OutputEvent::Kind::kContent;  // kCallBegin for a call
  int block_ = 0;                                              // its index, or the next one's
};

// {"type":"error","error":{"type","message"}}: Anthropic's shape.
std::string anthropic_error_json(const ApiError& error);

}  // namespace vsurge::api
