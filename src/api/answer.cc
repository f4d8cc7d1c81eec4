#include "api/answer.h"

#include <algorithm>

namespace vsurge::api {

bool Answer::all_done() const {
  return std::ranges::all_of(prompts, [](const AnswerPrompt& prompt) {
    return std::ranges::all_of(prompt.choices, [](const Choice& choice) { return choice.done(); });
  });
}

AnswerUsage Answer::usage() const {
  AnswerUsage out;
  if (generation.prediction) out.accepted_prediction = out.rejected_prediction = 0;
  for (const AnswerPrompt& prompt : prompts) {
    out.prompt_tokens += static_cast<std::int64_t>(prompt.prompt.size());
    if (!prompt.choices.empty()) out.cached_tokens += prompt.choices.front().cached_tokens();
    for (const Choice& choice : prompt.choices) {
      out.completion_tokens += choice.tokens();
      out.reasoning_tokens += choice.reasoning_tokens();
      if (!generation.prediction) continue;
      out.accepted_prediction += choice.accepted_guesses();
      out.rejected_prediction += choice.rejected_guesses();
    }
  }
  if (ended > 0) {
    out.total_seconds = static_cast<double>(ended - started) * 1e-9;
    const base::Nanoseconds first = first_token > 0 ? first_token : ended;
    out.first_token_seconds = static_cast<double>(first - started) * 1e-9;
  }
  return out;
}

AnswerUsage Answer::usage_of(const AnswerPrompt& prompt, const Choice& choice) {
  return {.prompt_tokens = static_cast<std::int64_t>(prompt.prompt.size()),
          .cached_tokens = prompt.choices.front().cached_tokens(),
          .completion_tokens = choice.tokens(),
          .reasoning_tokens = choice.reasoning_tokens()};
}

}  // namespace vsurge::api
