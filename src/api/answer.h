// Answer: what has come of one request so far, and how an endpoint tells it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/choice.h"
#include "api/echo.h"
#include "api/generation.h"
#include "base/clock.h"
#include "engine/request.h"

namespace vsurge::api {

struct AnswerUsage {
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::int64_t reasoning_tokens = 0;  // of those of the completion
  // Of a prediction: guessed and right, guessed and wrong; negative: there was none.
  std::int64_t accepted_prediction = -1;
  std::int64_t rejected_prediction = -1;
  // Seconds since the request came; negative: not told.
  double first_token_seconds = -1;
  double total_seconds = -1;
};

// A prompt and its choices: what the engine calls a request.
struct AnswerPrompt {
  engine::Ticket ticket = 0;
  std::vector<engine::TokenId> prompt;
  Echo echo;
  std::vector<std::shared_ptr<const engine::Logprobs>> logprobs;  // from the second token
  std::vector<Choice> choices;
  std::vector<char> touched;  // of each choice: it got events in this turn
};

// Belongs to the request's exchange.
struct Answer {
  GenerationFields generation;
  std::int64_t created = 0;  // seconds since 1970
  base::Nanoseconds started = 0;
  base::Nanoseconds first_token = 0;  // 0 = none yet
  base::Nanoseconds ended = 0;        // 0 = not yet
  std::vector<AnswerPrompt> prompts;

  bool all_done() const;
  // Each prompt is counted once, whatever the number of its choices.
  AnswerUsage usage() const;
  // Of one choice, so far.
  static AnswerUsage usage_of(const AnswerPrompt& prompt, const Choice& choice);
};

class BackgroundRun;

// Writes an answer as one endpoint tells it: whole, or as server-sent events that are appended to
// `out`. One per request, on its connection's executor.
class AnswerForm {
 public:
  virtual ~AnswerForm() = default;

  // Streamed: once, before the first choice; then each choice whenever something has come of it,
  // or it is done; once, when all are done.
  virtual void stream_begin(Answer& answer, std::string& out) = 0;
  virtual void stream_choice(Answer& answer, std::size_t prompt, std::size_t choice,
                             std::string& out) = 0;
  virtual void stream_end(Answer& answer, std::string& out) = 0;
  // Instead of the end.
  virtual void stream_error(Answer& answer, const ApiError& error, std::string& out) = 0;

  // Not streamed: when all are done.
  virtual std::string whole(Answer& answer) = 0;

  // The client has gone, or the answer failed before anything was told.
  virtual void abandoned(Answer& answer) { (void)answer; }

  // Of a response that goes on without its client; then it is streamed there.
  virtual std::shared_ptr<BackgroundRun> background() const { return nullptr; }
};

}  // namespace vsurge::api
