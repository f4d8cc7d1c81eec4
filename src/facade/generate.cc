// vSurge::generate: many prompts at once, text out on the calling thread.

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <mutex>
#include <optional>
#include <utility>

#include "api/choice.h"
#include "api/sampling_texts.h"
#include "api/token_texts.h"
#include "facade/auto_tokenizer_state.h"
#include "facade/sampling.h"
#include "facade/surge_state.h"

namespace vsurge::facade {
namespace {

using base::ErrorCode;
using base::fail;

constexpr auto kPatience = std::chrono::milliseconds(100);
constexpr std::size_t kInFlightMax = 256;  // prompts submitted at once; the rest waits here

// Events from the engine thread to the calling one. Receivers share it, so that events which come
// after an early return find a living box.
struct Mailbox {
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::pair<std::size_t, std::vector<engine::Event>>> letters;  // guarded by mutex

  void put(std::size_t prompt, std::vector<engine::Event> events) {
    {
      const std::lock_guard lock(mutex);
      letters.emplace_back(prompt, std::move(events));
    }
    wake.notify_one();
  }
  // Nothing when none came for kPatience.
  std::optional<std::pair<std::size_t, std::vector<engine::Event>>> take() {
    std::unique_lock lock(mutex);
    if (!wake.wait_for(lock, kPatience, [this] { return !letters.empty(); })) return std::nullopt;
    auto letter = std::move(letters.front());
    letters.pop_front();
    return letter;
  }
};

// A prompt from a chat template brings its own BOS; a second one would harm the answer.
bool begins_with_bos(const text::TextAssets& assets, const std::string& prompt) {
  const auto bos = assets.special_tokens.find("bos_token");
  return bos != assets.special_tokens.end() && !bos->second.empty() &&
         prompt.starts_with(bos->second);
}

base::Result<std::vector<std::int32_t>> tokens_of(const text::TextAssets& assets,
                                                  const Prompt& prompt, std::size_t most) {
  if (const auto* ids = std::get_if<std::vector<std::int32_t>>(&prompt)) return *ids;
  const std::string& text = std::get<std::string>(prompt);
  return assets.tokenizer.encode(text, !begins_with_bos(assets, text), most);
}

// One of the answers to a prompt.
struct Answer {
  explicit Answer(api::Choice choice_in) : choice(std::move(choice_in)) {}

  api::Choice choice;
  ReturnSample sample;  // as the callback gets it
  std::vector<api::ScoredToken> scored;
  base::Nanoseconds first_token = 0;
  bool touched = false;  // something has come since it was last shown
};

// A prompt and its answers: what the engine calls a request.
struct Asked {
  engine::Ticket ticket = 0;
  std::vector<engine::TokenId> prompt;
  std::vector<std::shared_ptr<const engine::Logprobs>> prompt_logprobs;  // from the second token
  std::vector<Answer> answers;
  bool running = true;  // the engine has not said that it is over

  bool done() const {
    return std::ranges::all_of(answers, [](const Answer& a) { return a.choice.done(); });
  }
};

// All prompts of one call.
class Generation {
 public:
  Generation(vSurge::State& surge, const SamplingParams& sampling,
             const vSurge::OnSample& on_sample)
      : surge_(surge),
        assets_(surge.processor.state().assets),
        sampling_(sampling),
        choice_options_(choice_options(sampling)),
        on_sample_(on_sample),
        texts_(assets_.tokenizer) {}

  ~Generation() {
    for (const Asked& asked : asked_) {
      if (asked.running) surge_.engine->cancel(asked.ticket);
    }
  }
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  base::Result<std::vector<ReturnSample>> run(const std::vector<Prompt>& prompts) {
    engine_sampling_ = VSURGE_TRY(engine_sampling(sampling_, assets_.tokenizer));
    pieces_ = engine_sampling_.n == sampling_.n;
    if (sampling_.timeout) {
      deadline_ = surge_.clock.now() + static_cast<base::Nanoseconds>(*sampling_.timeout * 1e9);
    }
    std::size_t running = 0;
    asked_.reserve(prompts.size());
    for (;;) {
      while (running < kInFlightMax && asked_.size() < prompts.size()) {
        VSURGE_TRY(submit(prompts[asked_.size()]));
        ++running;
      }
      if (running == 0) break;
      const auto letter = mailbox_->take();
      if (!letter) {
        VSURGE_TRY(ask_all());
        continue;
      }
      const auto& [prompt, events] = *letter;
      VSURGE_TRY(take(prompt, events));
      if (!asked_[prompt].running) --running;
    }
    std::vector<ReturnSample> samples;
    for (Asked& asked : asked_) samples.push_back(result_of(asked));
    return samples;
  }

 private:
  base::Status submit(const Prompt& prompt) {
    const std::size_t most = 2 * static_cast<std::size_t>(surge_.prompt_max);
    Asked asked;
    asked.prompt = VSURGE_TRY(tokens_of(assets_, prompt, most));  // or refused early
    if (asked.prompt.size() > static_cast<std::size_t>(surge_.prompt_max)) {
      return fail(ErrorCode::kContextLengthExceeded, "prompt: expected at most {} tokens, found {}",
                  surge_.prompt_max, asked.prompt.size());
    }
    engine::Request request;
    request.prompt = asked.prompt;
    request.sampling = engine_sampling_;
    if (sampling_.thinking_token_budget) {
      request.sampling.thinking = VSURGE_TRY(
          api::thinking_budget(assets_.tokenizer, *sampling_.thinking_token_budget, asked.prompt));
    }
    request.priority = sampling_.priority;
    request.cache_namespace = sampling_.cache_salt;
    request.deadline = deadline_;
    for (int i = 0; i < engine_sampling_.n; ++i) {
      Answer& answer = asked.answers.emplace_back(api::Choice(assets_.tokenizer, choice_options_));
      answer.sample.prompt_tokens = static_cast<int>(asked.prompt.size());
      answer.sample.generation_idx = i;
    }
    asked.ticket = surge_.engine->new_ticket();
    surge_.router.add(asked.ticket, nullptr,
                      [box = mailbox_, index = asked_.size()](
                          const std::vector<engine::Event>& events) { box->put(index, events); });
    if (auto status = surge_.engine->submit(asked.ticket, std::move(request)); !status) {
      surge_.router.remove(asked.ticket);
      return status;
    }
    asked_.push_back(std::move(asked));
    return {};
  }

  base::Status take(std::size_t prompt, const std::vector<engine::Event>& events) {
    Asked& asked = asked_[prompt];
    for (const engine::Event& event : events) {
      if (event.is_last) asked.running = false;
      if (event.kind == engine::EventKind::kPromptLogprobs) {
        asked.prompt_logprobs.push_back(event.logprobs);
        continue;
      }
      Answer& answer = asked.answers[static_cast<std::size_t>(event.choice)];
      if (answer.choice.done()) continue;  // only the engine's end was missing
      VSURGE_TRY(take_event(asked, answer, event));
    }
    for (std::size_t i = 0; i < asked.answers.size(); ++i) {
      if (std::exchange(asked.answers[i].touched, false)) VSURGE_TRY(show(prompt, i));
    }
    return {};
  }

  base::Status take_event(Asked& asked, Answer& answer, const engine::Event& event) {
    answer.touched = true;
    if (event.is_end() && event.reason == engine::FinishReason::kCancelled) {
      return answer.choice.cut("cancelled");
    }
    VSURGE_TRY(answer.choice.take(event));
    if (answer.choice.stopped_by_text() && !event.is_end()) {
      surge_.engine->cancel(asked.ticket, event.choice);
    }
    if (event.is_end()) return {};
    const base::Nanoseconds now = surge_.clock.now();
    ReturnSample& sample = answer.sample;
    if (answer.choice.tokens() == 1) answer.first_token = now;
    sample.time_spent_computing = static_cast<double>(now - answer.first_token) / 1e9;
    // The tokens of a search come all at once, when it is over.
    if (sample.time_spent_computing > 0 && !sampling_.use_beam_search) {
      sample.tokens_per_second = (answer.choice.tokens() - 1) / sample.time_spent_computing;
    }
    return {};
  }

  // Takes what has come, and gives it to the caller. He may be asked with nothing new.
  base::Status show(std::size_t prompt, std::size_t index) {
    Asked& asked = asked_[prompt];
    Answer& answer = asked.answers[index];
    ReturnSample& sample = answer.sample;
    take_part(answer);
    if (!on_sample_) return {};
    if (!pieces_) sample.text.clear();
    const bool go_on = on_sample_(prompt, sample);
    sample.text.clear();
    if (go_on || asked.done()) return {};
    for (Answer& each : asked.answers) {
      if (!each.choice.done()) VSURGE_TRY(each.choice.cut("cancelled"));
      take_part(each);
    }
    surge_.engine->cancel(asked.ticket);
    return {};
  }

  static void take_part(Answer& answer) {
    ReturnSample& sample = answer.sample;
    api::ChoicePart part = answer.choice.take_part();
    sample.accumulated_text += part.text;
    sample.text = std::move(part.text);
    sample.token_ids.insert(sample.token_ids.end(), part.ids.begin(), part.ids.end());
    sample.num_generated_tokens = static_cast<int>(sample.token_ids.size());
    std::ranges::move(part.scored, std::back_inserter(answer.scored));
    if (answer.choice.done()) sample.finish_reason = answer.choice.finish();
  }

  base::Status ask_all() {
    for (std::size_t i = 0; i < asked_.size(); ++i) {
      if (asked_[i].running && !asked_[i].done()) VSURGE_TRY(show(i, 0));
    }
    return {};
  }

  TokenLogprob told(engine::TokenId token, float logprob, int rank) {
    return {token, logprob, rank, texts_.of(token).text};
  }

  // top: how many of the likeliest; absent: all there are, of tokens that were named.
  TokenLogprobs told(engine::TokenId token, const engine::Logprobs& from, std::optional<int> top) {
    TokenLogprobs to{told(token, from.logprob, from.rank), {}};
    for (const kernels::TopLogprob& each : from.top) {
      const int before = static_cast<int>(to.top.size());
      if (before == top) break;
      to.top.push_back(told(each.token, each.logprob, top ? before + 1 : 0));
    }
    return to;
  }

  CompletionOutput output_of(Answer& answer) {
    CompletionOutput output;
    output.index = answer.sample.generation_idx;
    output.text = answer.sample.accumulated_text;
    output.token_ids = answer.sample.token_ids;
    output.finish_reason = answer.sample.finish_reason;
    output.cumulative_logprob = answer.choice.logprob_sum();
    const bool named = !sampling_.logprob_token_ids.empty();
    for (const api::ScoredToken& token : answer.scored) {
      output.logprobs.push_back(
          told(token.token, *token.logprobs, named ? std::nullopt : sampling_.logprobs));
    }
    if (!answer.choice.stop_string().empty()) {
      output.stop_reason = answer.choice.stop_string();
    } else if (answer.choice.stop_token() >= 0) {
      output.stop_reason = answer.choice.stop_token();
    }
    return output;
  }

  ReturnSample result_of(Asked& asked) {
    std::vector<double> means;
    for (const Answer& answer : asked.answers) means.push_back(answer.choice.logprob_mean());
    const auto order = api::best_choices(means, static_cast<std::size_t>(sampling_.n));
    std::vector<CompletionOutput> outputs;
    for (const std::size_t i : order) outputs.push_back(output_of(asked.answers[i]));
    ReturnSample sample = std::move(asked.answers[order.front()].sample);
    sample.text = sample.accumulated_text;
    sample.outputs = std::move(outputs);
    for (std::size_t i = 0; i < asked.prompt_logprobs.size(); ++i) {
      sample.prompt_logprobs.push_back(
          told(asked.prompt[i + 1], *asked.prompt_logprobs[i], *sampling_.prompt_logprobs));
    }
    return sample;
  }

  vSurge::State& surge_;
  const text::TextAssets& assets_;
  const SamplingParams& sampling_;
  const api::ChoiceOptions choice_options_;
  const vSurge::OnSample& on_sample_;
  engine::SamplingParams engine_sampling_;
  bool pieces_ = true;  // answers are shown while they grow
  std::optional<base::Nanoseconds> deadline_;
  api::TokenTexts texts_;
  std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
  std::vector<Asked> asked_;
};

}  // namespace

base::Result<std::vector<ReturnSample>> generate(vSurge::State& surge,
                                                 const std::vector<Prompt>& prompts,
                                                 const SamplingParams& sampling,
                                                 const vSurge::OnSample& on_sample) {
  VSURGE_TRY(check_sampling(sampling));
  return Generation(surge, sampling, on_sample).run(prompts);
}

}  // namespace vsurge::facade
