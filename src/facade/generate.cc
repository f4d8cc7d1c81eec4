// vSurge::generate: many prompts at once, text out on the calling thread.

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

#include "api/text_stream.h"
#include "facade/auto_tokenizer_state.h"
#include "facade/surge_state.h"

namespace vsurge::facade {
namespace {

using base::ErrorCode;
using base::fail;
using base::fail_param;

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

base::Status check_sampling(const SamplingParams& s) {
  const auto range = [](const char* name, double value, double least, double most) -> base::Status {
    if (value >= least && value <= most) return {};
    return fail_param(ErrorCode::kInvalidRequest, name, "expected {} to {}, found {}", least, most,
                      value);
  };
  VSURGE_TRY(range("temperature", static_cast<double>(s.temperature), 0, 2));
  if (!(s.top_p > 0 && s.top_p <= 1)) {
    return fail_param(ErrorCode::kInvalidRequest, "top_p",
                      "expected more than 0 and at most 1, found {}", s.top_p);
  }
  VSURGE_TRY(range("min_p", static_cast<double>(s.min_p), 0, 1));
  VSURGE_TRY(range("top_k", s.top_k, 0, 1 << 30));
  if (s.max_tokens) VSURGE_TRY(range("max_tokens", *s.max_tokens, 1, 1 << 30));
  const base::JsonLimits limits;
  VSURGE_TRY(range("stop", static_cast<double>(s.stop.size()), 0,
                   static_cast<double>(limits.stop_strings_max)));
  for (const auto& text : s.stop) {
    VSURGE_TRY(range("length of a stop string", static_cast<double>(text.size()), 1,
                     static_cast<double>(limits.stop_string_bytes_max)));
  }
  return {};
}

engine::SamplingParams engine_sampling(const SamplingParams& from) {
  engine::SamplingParams to;
  to.temperature = from.temperature;
  to.top_p = from.top_p;
  to.min_p = from.min_p;
  to.top_k = from.top_k;
  to.seed = from.seed;
  to.max_tokens = from.max_tokens;
  to.stop_token_ids = from.stop_token_ids;
  to.ignore_eos = from.ignore_eos;
  return to;
}

const char* reason_text(engine::FinishReason reason) {
  switch (reason) {
    case engine::FinishReason::kStop:
      return "stop";
    case engine::FinishReason::kLength:
      return "length";
    case engine::FinishReason::kCancelled:
      return "cancelled";
    case engine::FinishReason::kError:
      break;
  }
  return "error";
}

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

// All prompts of one call.
class Generation {
 public:
  Generation(vSurge::State& surge, const SamplingParams& sampling,
             const vSurge::OnSample& on_sample)
      : surge_(surge), sampling_(sampling), on_sample_(on_sample) {}

  ~Generation() {
    for (const Answer& answer : answers_) {
      if (answer.running) surge_.engine->cancel(answer.ticket);
    }
  }
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  base::Result<std::vector<ReturnSample>> run(const std::vector<Prompt>& prompts) {
    std::size_t running = 0;
    answers_.reserve(prompts.size());
    for (;;) {
      while (running < kInFlightMax && answers_.size() < prompts.size()) {
        VSURGE_TRY(submit(prompts[answers_.size()]));
        ++running;
      }
      if (running == 0) break;
      const auto letter = mailbox_->take();
      if (!letter) {
        ask_all();
        continue;
      }
      const auto& [prompt, events] = *letter;
      VSURGE_TRY(take(prompt, events));
      if (!answers_[prompt].running) --running;
    }
    std::vector<ReturnSample> samples;
    for (Answer& answer : answers_) samples.push_back(std::move(answer.sample));
    return samples;
  }

 private:
  struct Answer {
    engine::Ticket ticket;
    api::TextStream text;
    ReturnSample sample;
    base::Nanoseconds first_token = 0;
    bool running = true;
    bool done = false;  // the text is complete; only the engine's end is missing
  };

  base::Status submit(const Prompt& prompt) {
    const text::TextAssets& assets = surge_.processor.state().assets;
    engine::Request request;
    const std::size_t most = 2 * static_cast<std::size_t>(surge_.prompt_max);
    request.prompt = VSURGE_TRY(tokens_of(assets, prompt, most));  // or refused early
    if (request.prompt.size() > static_cast<std::size_t>(surge_.prompt_max)) {
      return fail(ErrorCode::kContextLengthExceeded, "prompt: expected at most {} tokens, found {}",
                  surge_.prompt_max, request.prompt.size());
    }
    request.sampling = engine_sampling(sampling_);
    Answer answer{
        surge_.engine->new_ticket(), api::TextStream(assets.tokenizer, sampling_.stop), {}};
    answer.sample.prompt_tokens = static_cast<int>(request.prompt.size());
    const engine::Ticket ticket = answer.ticket;
    surge_.router.add(ticket,
                      [box = mailbox_, index = answers_.size()](std::vector<engine::Event> events) {
                        box->put(index, std::move(events));
                      });
    if (auto status = surge_.engine->submit(ticket, std::move(request)); !status) {
      surge_.router.remove(ticket);
      return status;
    }
    answers_.push_back(std::move(answer));
    return {};
  }

  base::Status take(std::size_t prompt, const std::vector<engine::Event>& events) {
    Answer& answer = answers_[prompt];
    std::string fresh;
    for (const engine::Event& event : events) {
      if (event.is_end()) {
        answer.running = false;
        if (event.reason == engine::FinishReason::kError) return std::unexpected(*event.error);
        if (answer.done) return {};
        VSURGE_TRY(answer.text.finish(fresh));
        finish(answer, reason_text(event.reason));
      } else if (!answer.done) {
        VSURGE_TRY(add_token(answer, event.token, fresh));
      }
    }
    if (!fresh.empty() || answer.done) show(prompt, std::move(fresh));
    return {};
  }

  base::Status add_token(Answer& answer, engine::TokenId token, std::string& fresh) {
    const base::Nanoseconds now = surge_.clock.now();
    if (answer.sample.token_ids.empty()) answer.first_token = now;
    answer.sample.token_ids.push_back(token);
    answer.sample.num_generated_tokens = static_cast<int>(answer.sample.token_ids.size());
    const double seconds = static_cast<double>(now - answer.first_token) / 1e9;
    answer.sample.time_spent_computing = seconds;
    if (seconds > 0) {
      answer.sample.tokens_per_second = (answer.sample.num_generated_tokens - 1) / seconds;
    }
    VSURGE_TRY(answer.text.push(token, fresh));
    if (answer.text.stopped()) {
      finish(answer, "stop");
      surge_.engine->cancel(answer.ticket);
    }
    return {};
  }

  static void finish(Answer& answer, const char* reason) {
    answer.done = true;
    answer.sample.finish_reason = reason;
  }

  // Gives the caller what is new. The answer may be done with, but its end still on the way.
  void show(std::size_t prompt, std::string fresh) {
    Answer& answer = answers_[prompt];
    answer.sample.accumulated_text += fresh;
    answer.sample.text = std::move(fresh);
    const bool go_on = !on_sample_ || on_sample_(prompt, answer.sample);
    answer.sample.text = answer.sample.accumulated_text;
    if (!go_on && !answer.done) {
      finish(answer, "cancelled");
      surge_.engine->cancel(answer.ticket);
    }
  }

  void ask_all() {
    for (std::size_t i = 0; i < answers_.size(); ++i) {
      if (answers_[i].running && !answers_[i].done) show(i, {});
    }
  }

  vSurge::State& surge_;
  const SamplingParams& sampling_;
  const vSurge::OnSample& on_sample_;
  std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
  std::vector<Answer> answers_;
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
