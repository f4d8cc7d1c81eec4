#include "api/completion_form.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "api/json.h"

namespace vsurge::api {
namespace {

std::string ids_member(const Answer& answer, const ChoicePart& part) {
  if (!answer.generation.return_token_ids) return {};
  std::string out = R"(,"token_ids":)";
  append_ids(out, part.ids);
  return out;
}

std::string stop_member(const Choice& choice) {
  std::string out;
  if (!choice.stop_string().empty()) {
    out = R"(,"stop_reason":)";
    append_json_string(out, choice.stop_string());
  } else if (choice.stop_token() >= 0) {
    out = fmt::format(R"(,"stop_reason":{})", choice.stop_token());
  }
  return out;
}

}  // namespace

CompletionForm::CompletionForm(ServiceCore& core, Endpoint endpoint)
    : core_(core), endpoint_(endpoint) {}

void CompletionForm::begin(const Answer& answer) {
  head_ = {.endpoint = endpoint_,
           .id = core_.new_id(endpoint_ == Endpoint::kChat ? "chatcmpl-" : "cmpl-"),
           .created = answer.created,
           .model = core_.options.model_names.front(),
           .fingerprint = core_.options.fingerprint,
           .legacy_functions = answer.generation.legacy_functions};
  logprobs_.emplace(core_.assets.tokenizer, answer.generation.tokens_as_ids);
}

void CompletionForm::stream_begin(Answer& answer, std::string& /*out*/) {
  begin(answer);
  writer_.emplace(head_, StreamStyle{.usage_chunks = answer.generation.include_usage,
                                     .obfuscation = answer.generation.obfuscation});
  begun_.assign(answer.prompts.size(), std::vector<char>(answer.prompts.front().choices.size()));
}

void CompletionForm::stream_choice(Answer& answer, std::size_t prompt, std::size_t choice,
                                   std::string& out) {
  const GenerationFields& generation = answer.generation;
  AnswerPrompt& asked = answer.prompts[prompt];
  Choice& from = asked.choices[choice];
  const AnswerUsage so_far = Answer::usage_of(asked, from);
  AnswerPiece piece{.index = prompt * asked.choices.size() + choice,
                    .usage = generation.continuous_usage ? &so_far : nullptr};
  ChoicePart part = take_part(asked, from);
  std::string members;
  if (std::exchange(begun_[prompt][choice], 1) == 0) {
    members = prompt_members(answer, asked);
    piece.more = members;
    writer_->append_role(out, piece);
    if (endpoint_ == Endpoint::kChat) members.clear();
    if (generation.echo) put_echo(answer, asked, part);
  }
  if (!part.empty() || !members.empty()) {
    const std::string logprobs = logprobs_json(answer, part);
    members += ids_member(answer, part);
    piece.logprobs = logprobs;
    piece.more = members;
    writer_->append_output(out, piece, part);
  }
  if (!from.done()) return;
  const std::string stop = stop_member(from);
  piece.more = stop;
  const std::string_view reason = from.finish();
  const bool old_call = generation.legacy_functions && reason == "tool_calls";
  writer_->append_finish(out, piece, old_call ? "function_call" : reason);
}

void CompletionForm::stream_end(Answer& answer, std::string& out) {
  if (answer.generation.include_usage) writer_->append_usage(out, answer.usage());
  AnswerWriter::append_done(out);
}

void CompletionForm::stream_error(Answer& /*answer*/, const ApiError& error, std::string& out) {
  AnswerWriter::append_error(out, error_json(error));
}

std::string CompletionForm::whole(Answer& answer) {
  begin(answer);
  const GenerationFields& generation = answer.generation;
  const bool chat = endpoint_ == Endpoint::kChat;
  std::vector<AnswerChoice> told;
  for (AnswerPrompt& asked : answer.prompts) {
    const std::string members = chat ? std::string() : prompt_members(answer, asked);
    std::vector<double> means;
    for (const Choice& choice : asked.choices) means.push_back(choice.logprob_mean());
    for (const std::size_t i : best_choices(means, static_cast<std::size_t>(generation.choices))) {
      Choice& choice = asked.choices[i];
      AnswerChoice& one = told.emplace_back(take_part(asked, choice), choice.finish());
      if (generation.echo) put_echo(answer, asked, one.part);
      one.logprobs = logprobs_json(answer, one.part);
      one.more = members + ids_member(answer, one.part) + stop_member(choice);
    }
  }
  std::string members = chat ? prompt_members(answer, answer.prompts.front()) : std::string();
  if (!generation.metadata_json.empty()) members += R"(,"metadata":)" + generation.metadata_json;
  return AnswerWriter::answer(head_, told, answer.usage(), members);
}

// Offsets are of the text a client gets.
ChoicePart CompletionForm::take_part(const AnswerPrompt& prompt, Choice& choice) {
  ChoicePart part = choice.take_part();
  if (part.scored.empty() || prompt.echo.text.empty()) return part;
  const std::size_t before = count_characters(prompt.echo.text);
  for (ScoredToken& token : part.scored) token.offset += before;
  return part;
}

void CompletionForm::put_echo(const Answer& answer, const AnswerPrompt& prompt, ChoicePart& part) {
  part.text.insert(0, prompt.echo.text);
  if (!answer.generation.logprobs) return;
  std::vector<ScoredToken> all;
  all.reserve(prompt.prompt.size() + part.scored.size());
  for (std::size_t i = 0; i < prompt.prompt.size(); ++i) {
    const bool known = i > 0 && i <= prompt.logprobs.size();
    all.push_back(
        {prompt.prompt[i], prompt.echo.offsets[i], known ? prompt.logprobs[i - 1] : nullptr});
  }
  std::ranges::move(part.scored, std::back_inserter(all));
  part.scored = std::move(all);
}

std::string CompletionForm::logprobs_json(const Answer& answer, const ChoicePart& part) {
  const auto& wanted = answer.generation.logprobs;
  if (!wanted) return "null";
  std::string out;
  if (endpoint_ == Endpoint::kChat) {
    logprobs_->append_chat(out, part.scored, *wanted);
  } else {
    logprobs_->append_completion(out, part.scored, *wanted);
  }
  return out;
}

// vLLM's members about the prompt: of the answer in chat, of the choice in completions.
std::string CompletionForm::prompt_members(const Answer& answer, const AnswerPrompt& prompt) {
  const GenerationFields& generation = answer.generation;
  std::string out;
  if (generation.prompt_logprobs) {
    out += R"(,"prompt_logprobs":)";
    logprobs_->append_prompt(out, prompt.prompt, prompt.logprobs, *generation.prompt_logprobs);
  }
  if (generation.return_token_ids) {
    out += R"(,"prompt_token_ids":)";
    append_ids(out, prompt.prompt);
  }
  return out;
}

}  // namespace vsurge::api
