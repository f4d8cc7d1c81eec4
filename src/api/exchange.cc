#include "api/exchange.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "api/background.h"
#include "api/guard.h"
#include "api/model_choice.h"
#include "api/recorded_responder.h"
#include "base/log.h"

namespace vsurge::api {

using base::ErrorCode;

namespace {

// https://html.spec.whatwg.org/multipage/server-sent-events.html, 9.2.7: lines that begin with a
// colon are ignored, and meant for this.
constexpr std::string_view kKeepAliveComment = ": keep-alive\n\n";

}  // namespace

Exchange::Exchange(std::shared_ptr<ServiceHub> hub, Call call)
    : hub_(std::move(hub)), call_(std::move(call)) {
  answer_.started = call_.record->arrived;
  answer_.created = base::unix_seconds();
  hub_->active_requests.fetch_add(1, std::memory_order_relaxed);
}

Exchange::~Exchange() {
  hub_->active_requests.fetch_sub(1, std::memory_order_relaxed);
  if (core_ != nullptr) core_->active_requests.fetch_sub(1, std::memory_order_relaxed);
}

// Weak: the responder must not keep alive who keeps it alive.
void Exchange::watch_client() {
  call_.responder->on_gone([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->on_gone();
  });
}

void Exchange::watch_stream() {
  if (hub_->options.sse_keep_alive > 0) {
    call_.responder->on_quiet(static_cast<int>(hub_->options.sse_keep_alive / 1'000'000),
                              [weak = weak_from_this()] {
                                if (const auto self = weak.lock()) self->on_quiet();
                              });
  }
  call_.responder->on_pressure([weak = weak_from_this()](bool behind) {
    if (const auto self = weak.lock()) self->on_pressure(behind);
  });
}

void Exchange::start(std::string body, base::WorkerPool& workers) {
  watch_client();
  const std::size_t size = body.size();
  auto& waiting = hub_->text_queue_bytes;
  const bool fits = waiting.fetch_add(size) + size <= hub_->options.text.text_queue_bytes_max;
  const bool taken =
      fits && workers.post([self = shared_from_this(), text = std::move(body)]() mutable {
        self->hub_->text_queue_bytes.fetch_sub(text.size());
        // Shared: a task must be copyable.
        auto prepared = std::make_shared<ApiResult<Prepared>>(
            self->gone_.load(std::memory_order_relaxed) ? client_gone() : self->prepare(text));
        Responder& responder = *self->call_.responder;
        responder.post([self = std::move(self), prepared = std::move(prepared)]() mutable {
          self->on_prepared(std::move(*prepared));
        });
      });
  if (taken) return;
  waiting.fetch_sub(size);
  fail(from_base(
      {ErrorCode::kQueueFull, "Too many requests wait to be read; try again later.", ""}));
}

// What a library throws (out of memory, a store's file that others wrote into) ends this request
// alone, and is told.
ApiResult<Exchange::Prepared> Exchange::prepare(std::string_view body) {
  try {
    const access::ApiKey* key = call_.record->key.get();
    auto core = VSURGE_TRY(choose_model(*hub_, body, key));
    auto request = call_.endpoint.prepare({*core, body, key, gone_});
    if (!request) return std::unexpected(std::move(request).error());
    return Prepared{std::move(core), std::move(*request)};
  } catch (const std::exception& error) {
    return std::unexpected(
        from_base({ErrorCode::kInternal,
                   fmt::format("The request could not be read: {}", error.what()), ""}));
  }
}

void Exchange::on_prepared(ApiResult<Prepared> prepared) {
  if (done_) return;
  if (!prepared) {
    fail(prepared.error());
  } else if (hub_->shutting_down.load(std::memory_order_relaxed)) {
    fail(from_base({ErrorCode::kShuttingDown, "The server is shutting down.", ""}));
  } else if (prepared->request.form->background() != nullptr) {
    hand_over(std::move(*prepared));
  } else {
    choose(std::move(prepared->core));
    submit(std::move(prepared->request));
  }
}

void Exchange::choose(std::shared_ptr<ServiceCore> core) {
  core_ = std::move(core);
  core_->active_requests.fetch_add(1, std::memory_order_relaxed);
  call_.record->model = core_->name();
  call_.record->model_metrics = core_->metrics;
}

// Another exchange makes the response, and tells this one's client that it does.
void Exchange::hand_over(Prepared prepared) {
  done_ = true;
  const auto run = prepared.request.form->background();
  // What was counted against a key's limits ends with the response.
  const auto record = std::make_shared<RequestRecord>(*call_.record);
  record->background = true;
  call_.record->counted = false;
  call_.record->model = prepared.core->name();
  const auto responder = RecordedResponder::make(
      hub_, run->responder(call_.responder, hub_->background.queue()), record);
  const auto next = std::make_shared<Exchange>(hub_, Call{call_.endpoint, responder, record});
  next->answer_.started = answer_.started;
  next->choose(std::move(prepared.core));
  // Shared: a task must be copyable.
  const auto request = std::make_shared<PreparedRequest>(std::move(prepared.request));
  responder->post([next, request] {
    next->watch_client();
    next->submit(std::move(*request));
    if (next->done_) return;
    std::string out;
    next->begin_stream(out);
    next->call_.responder->write(std::move(out));
  });
}

void Exchange::submit(PreparedRequest prepared) {
  answer_.generation = std::move(prepared.generation);
  form_ = std::move(prepared.form);
  reader_ = std::move(prepared.reader);
  ignored_ = std::move(prepared.ignored);
  grammar_ = std::move(prepared.grammar);
  call_.record->submitted = hub_->clock.now();
  call_.record->max_tokens =
      answer_.generation.sampling.max_tokens.value_or(core_->options.context_max);
  gate_ = prepared.gate;
  const GenerationFields& generation = answer_.generation;
  if (generation.stream) watch_stream();
  const ChoiceOptions options = {.text = {.stops = generation.stop,
                                          .stop_regex = generation.stop_regex,
                                          .include_stop = generation.include_stop,
                                          .skip_special = generation.skip_special,
                                          .min_tokens = generation.sampling.min_tokens},
                                 .stop_token_ids = generation.sampling.stop_token_ids,
                                 .scored = generation.logprobs.has_value(),
                                 .keep_ids = generation.return_token_ids,
                                 .prompt_only = generation.prompt_only,
                                 .reader = reader_ ? &*reader_ : nullptr,
                                 .tell_reasoning = generation.tell_reasoning,
                                 .stream_reasoning = generation.stream_reasoning};
  answer_.prompts.reserve(prepared.prompts.size());
  for (PreparedPrompt& prompt : prepared.prompts) {
    const auto status = submit_prompt(std::move(prompt), options);
    if (status) continue;
    ApiError error = from_base(status.error());
    if (status.error().code == ErrorCode::kContextLengthExceeded) {
      error.param = call_.endpoint.prompt_field;
    }
    fail(error);
    return;
  }
}

base::Result<engine::Request> Exchange::engine_request(const PreparedPrompt& prompt) const {
  const GenerationFields& generation = answer_.generation;
  engine::Request request;
  request.prompt = prompt.ids;
  request.sampling = generation.sampling;
  request.sampling.thinking = prompt.thinking;
  const access::ApiKey* key = call_.record->key.get();
  request.client = key == nullptr ? generation.user : key->id;
  request.priority = generation.priority;
  if (generation.prediction) request.prediction = *generation.prediction;
  request.cache_namespace = cache_namespace(*hub_, key, generation.cache_salt);
  core_->set_deadlines(answer_.started, generation.timeout_seconds, request);
  if (grammar_ == nullptr) return request;
  const ConstraintTokens tokens{.vocabulary = core_->options.vocabulary,
                                .end_tokens = core_->options.end_tokens};
  for (int i = 0; i < generation.sampling.n; ++i) {
    request.constraints.push_back(VSURGE_TRY(make_output_constraint(*grammar_, gate_, tokens)));
  }
  return request;
}

base::Status Exchange::submit_prompt(PreparedPrompt prompt, const ChoiceOptions& options) {
  engine::Request request = VSURGE_TRY(engine_request(prompt));
  const engine::Ticket ticket = core_->engine.new_ticket();
  // A stop string or the time ends the answer where it is found, so each token is looked at when it
  // comes.
  const GenerationFields& generation = answer_.generation;
  const bool each = generation.stream || !generation.stop.empty() || generation.stop_regex ||
                    generation.predict_ms > 0;
  core_->router.add(
      ticket, &call_.responder->queue(),
      [self = shared_from_this(), i = answer_.prompts.size()](
          const std::vector<engine::Event>& events) { self->on_events(i, events); },
      each ? Pace::kEachStep : Pace::kAtEnd);
  if (auto status = core_->engine.submit(ticket, std::move(request)); !status) {
    core_->router.remove(ticket);
    return status;
  }
  AnswerPrompt asked;
  asked.ticket = ticket;
  const auto count = static_cast<std::size_t>(answer_.generation.sampling.n);
  asked.choices.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    asked.choices.emplace_back(core_->assets.tokenizer, options);
  }
  asked.touched.resize(count);
  asked.echo = std::move(prompt.echo);
  asked.prompt = std::move(prompt.ids);
  answer_.prompts.push_back(std::move(asked));
  return {};
}

void Exchange::on_events(std::size_t prompt, const std::vector<engine::Event>& events) {
  if (done_) return;
  const base::Nanoseconds now = hub_->clock.now();
  if (answer_.first_token == 0) answer_.first_token = now;
  call_.record->last_token = now;
  AnswerPrompt& asked = answer_.prompts[prompt];
  for (const engine::Event& event : events) {
    if (const auto status = take_event(asked, event); !status) {
      fail(from_base(status.error()));
      return;
    }
  }
  if (answer_.generation.predict_ms > 0) cut_late_choices(now);
  if (answer_.generation.stream) {
    stream_choices(prompt);
  } else if (answer_.all_done()) {
    answer_whole();
  }
}

base::Status Exchange::take_event(AnswerPrompt& prompt, const engine::Event& event) {
  if (event.kind == engine::EventKind::kPromptLogprobs) {
    prompt.logprobs.push_back(event.logprobs);
    return {};
  }
  const auto index = static_cast<std::size_t>(event.choice);
  Choice& choice = prompt.choices[index];
  call_.record->queued = event.usage.queued;
  if (choice.done()) return {};  // a stop string ended it; the rest is not shown
  prompt.touched[index] = 1;
  VSURGE_TRY(choice.take(event));
  if (choice.stopped_by_text() && !event.is_end()) {
    core_->engine.cancel(prompt.ticket, event.choice);
  }
  return {};
}

// llama.cpp's t_max_predict_ms: a line is finished first.
void Exchange::cut_late_choices(base::Nanoseconds now) {
  const auto most = static_cast<base::Nanoseconds>(answer_.generation.predict_ms) * 1'000'000;
  if (now - answer_.first_token <= most) return;
  for (AnswerPrompt& prompt : answer_.prompts) {
    for (std::size_t i = 0; i < prompt.choices.size(); ++i) {
      Choice& choice = prompt.choices[i];
      if (choice.done() || !choice.has_line()) continue;
      if (const auto status = choice.cut("length"); !status) return fail(from_base(status.error()));
      prompt.touched[i] = 1;
      core_->engine.cancel(prompt.ticket, static_cast<int>(i));
    }
  }
}

// All of one turn is one write.
void Exchange::stream_choices(std::size_t prompt) {
  AnswerPrompt& asked = answer_.prompts[prompt];
  std::string out;
  for (std::size_t i = 0; i < asked.choices.size(); ++i) {
    if (std::exchange(asked.touched[i], 0) == 0) continue;
    if (!stream_begun_) begin_stream(out);
    form_->stream_choice(answer_, prompt, i, out);
  }
  const bool all = answer_.all_done();
  if (all) {
    answer_.ended = hub_->clock.now();
    form_->stream_end(answer_, out);
  }
  if (out.empty()) return;
  call_.responder->write(std::move(out));
  if (!all) return;
  done_ = true;
  record_answer();
  call_.responder->end();
}

// The client, and all on the way to it, see that somebody is at work: also while the request waits
// for its first step.
void Exchange::on_quiet() {
  if (done_) return;
  std::string out;
  if (!stream_begun_) begin_stream(out);
  out += kKeepAliveComment;
  call_.responder->write(std::move(out));
}

// Who takes nothing is told nothing more, and makes room for others meanwhile.
void Exchange::on_pressure(bool behind) {
  if (done_) return;
  for (const AnswerPrompt& prompt : answer_.prompts) {
    if (behind) {
      core_->engine.suspend(prompt.ticket);
    } else {
      core_->engine.resume(prompt.ticket);
    }
  }
}

void Exchange::begin_stream(std::string& out) {
  stream_begun_ = true;
  call_.responder->begin_stream(
      200, headers({{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-cache"}}));
  form_->stream_begin(answer_, out);
}

void Exchange::answer_whole() {
  done_ = true;
  answer_.ended = hub_->clock.now();
  record_answer();
  call_.responder->send(200, headers({{"Content-Type", "application/json"}}),
                        form_->whole(answer_));
}

void Exchange::fail(const ApiError& error) {
  done_ = true;
  call_.record->error_code = error.code;
  record_answer();
  cancel_open_choices();
  if (stream_begun_) {
    std::string out;
    form_->stream_error(answer_, error, out);
    call_.responder->write(std::move(out));
    call_.responder->end();
  } else {
    if (form_ != nullptr) form_->abandoned(answer_);
    call_.responder->send(error.status, headers(hub_->error_headers(error)),
                          call_.endpoint.error_json(error));
  }
  if (error.status >= 500) {
    base::log_error("{} {}: {}", call_.record->id, error.status, error.message);
  }
}

void Exchange::cancel_open_choices() {
  for (const AnswerPrompt& prompt : answer_.prompts) {
    const bool open =
        std::ranges::any_of(prompt.choices, [](const Choice& choice) { return !choice.done(); });
    if (open) core_->engine.cancel(prompt.ticket);
  }
}

void Exchange::on_gone() {
  gone_.store(true, std::memory_order_relaxed);
  if (std::exchange(done_, true)) return;
  cancel_open_choices();
  if (form_ != nullptr) form_->abandoned(answer_);
  record_answer();
}

Headers Exchange::headers(Headers more) const {
  if (!ignored_.empty()) {
    more.emplace_back("X-Ignored-Fields",
                      fmt::format("{}; count={}", fmt::join(ignored_, ", "), ignored_.size()));
  }
  return more;
}

void Exchange::record_answer() {
  RequestRecord& record = *call_.record;
  const AnswerUsage tokens = answer_.usage();
  record.prompt_tokens = tokens.prompt_tokens;
  record.cached_tokens = tokens.cached_tokens;
  record.completion_tokens = tokens.completion_tokens;
  record.first_token = answer_.first_token;
  record.stream = answer_.generation.stream;
  for (const AnswerPrompt& prompt : answer_.prompts) {
    record.choices += static_cast<int>(prompt.choices.size());
    for (const Choice& choice : prompt.choices) {
      record.longest_answer = std::max<std::int64_t>(record.longest_answer, choice.tokens());
      if (!choice.done()) continue;
      ++(choice.finish() == std::string_view("length") ? record.cut : record.stopped);
    }
  }
  if (record.choices == 0) return;
  const char* reason = answer_.prompts.front().choices.front().finish();
  if (reason != nullptr) record.finish_reason = reason;
}

}  // namespace vsurge::api
