// CompletionForm: answers and stream chunks of OpenAI's chat and text completions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/answer.h"
#include "api/answer_writer.h"
#include "api/logprobs.h"
#include "api/service_core.h"

namespace vsurge::api {

class CompletionForm final : public AnswerForm {
 public:
  CompletionForm(ServiceCore& core, Endpoint endpoint);

  void stream_begin(Answer& answer, std::string& out) override;
  void stream_choice(Answer& answer, std::size_t prompt, std::size_t choice,
                     std::string& out) override;
  void stream_end(Answer& answer, std::string& out) override;
  void stream_error(Answer& answer, const ApiError& error, std::string& out) override;
  std::string whole(Answer& answer) override;

 private:
  void begin(const Answer& answer);
  static ChoicePart take_part(const AnswerPrompt& prompt, Choice& choice);
  static void put_echo(const Answer& answer, const AnswerPrompt& prompt, ChoicePart& part);
  // JSON of what came of a choice.
  std::string logprobs_json(const Answer& answer, const ChoicePart& part);
  std::string prompt_members(const Answer& answer, const AnswerPrompt& prompt);

  ServiceCore& core_;
  const Endpoint endpoint_;
  AnswerHead head_;
  std::optional<AnswerWriter> writer_;
  std::optional<LogprobsJson> logprobs_;
  std::vector<std::vector<char>> begun_;  // of each choice of a prompt: its first chunk is written
};

}  // namespace vsurge::api
