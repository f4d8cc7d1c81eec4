#include "api/exchange.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace vsurge::api {

using base::ErrorCode;

Exchange::Exchange(std::shared_ptr<ServiceCore> core, Call call)
    : core_(std::move(core)), call_(std::move(call)), started_(core_->clock.now()) {
  core_->active_requests.fetch_add(1, std::memory_order_relaxed);
}

Exchange::~Exchange() {
  core_->active_requests.fetch_sub(1, std::memory_order_relaxed);
}

void Exchange::start(std::string body, base::WorkerPool& workers) {
  // Weak: the responder must not keep alive who keeps it alive.
  call_.responder->on_gone([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->on_gone();
  });
  const std::size_t size = body.size();
  auto& waiting = core_->text_queue_bytes;
  const bool fits = waiting.fetch_add(size) + size <= core_->options.text.text_queue_bytes_max;
  const bool taken =
      fits && workers.post([self = shared_from_this(), text = std::move(body)]() mutable {
        self->core_->text_queue_bytes.fetch_sub(text.size());
        auto prepared = prepare_request(*self->core_, self->call_.endpoint, text, self->gone_);
        Responder& responder = *self->call_.responder;
        responder.post([self = std::move(self), prepared = std::move(prepared)]() mutable {
          self->on_prepared(std::move(prepared));
        });
      });
  if (taken) return;
  waiting.fetch_sub(size);
  fail(from_base(
      {ErrorCode::kQueueFull, "Too many requests wait to be read; try again later.", ""}));
}

void Exchange::on_prepared(ApiResult<PreparedRequest> prepared) {
  if (done_) return;
  if (!prepared) {
    fail(prepared.error());
  } else if (core_->shutting_down.load(std::memory_order_relaxed)) {
    fail(from_base({ErrorCode::kShuttingDown, "The server is shutting down.", ""}));
  } else {
    submit(std::move(*prepared));
  }
}

void Exchange::submit(PreparedRequest prepared) {
  generation_ = std::move(prepared.generation);
  const bool chat = call_.endpoint == Endpoint::kChat;
  head_ = {.endpoint = call_.endpoint,
           .id = core_->new_id(chat ? "chatcmpl-" : "cmpl-"),
           .created = base::unix_seconds(),
           .model = core_->options.model_names.front(),
           .fingerprint = core_->options.fingerprint};
  writer_.emplace(head_, generation_.include_usage);
  choices_.reserve(prepared.prompts.size());
  for (std::size_t i = 0; i < prepared.prompts.size(); ++i) {
    prompt_tokens_ += static_cast<std::int64_t>(prepared.prompts[i].size());
    const engine::Ticket ticket = core_->engine.new_ticket();
    core_->router.add(ticket, [self = shared_from_this(), i](std::vector<engine::Event> events) {
      Responder& responder = *self->call_.responder;
      responder.post([self, i, events = std::move(events)] { self->on_events(i, events); });
    });
    engine::Request request;
    request.prompt = std::move(prepared.prompts[i]);
    request.sampling = generation_.sampling;
    request.client = generation_.user;
    if (const auto status = core_->engine.submit(ticket, std::move(request)); !status) {
      core_->router.remove(ticket);
      ApiError error = from_base(status.error());
      if (status.error().code == ErrorCode::kContextLengthExceeded) {
        error.param = chat ? "messages" : "prompt";
      }
      fail(error);
      return;
    }
    choices_.emplace_back(ticket, TextStream(core_->assets.tokenizer, generation_.stop));
  }
}

void Exchange::on_events(std::size_t index, const std::vector<engine::Event>& events) {
  if (done_) return;
  Choice& choice = choices_[index];
  std::string text;
  for (const engine::Event& event : events) {
    if (choice.finish != nullptr) break;  // a stop string ended it; the rest is not shown
    if (const auto status = take_event(choice, event, text); !status) {
      fail(from_base(status.error()));
      return;
    }
  }
  if (generation_.stream) {
    stream_text(index, text);
  } else {
    choice.shown += text;
    answer_if_done();
  }
}

base::Status Exchange::take_event(Choice& choice, const engine::Event& event, std::string& text) {
  if (!event.is_end()) {
    ++choice.tokens;
    choice.cached_tokens = event.usage.cached_tokens;
    VSURGE_TRY(choice.text.push(event.token, text));
    if (choice.text.stopped()) {
      choice.finish = "stop";
      core_->engine.cancel(choice.ticket);
    }
    return {};
  }
  choice.tokens = event.usage.completion_tokens;
  choice.cached_tokens = event.usage.cached_tokens;
  switch (event.reason) {
    case engine::FinishReason::kStop:
      choice.finish = "stop";
      break;
    case engine::FinishReason::kLength:
      choice.finish = "length";
      break;
    case engine::FinishReason::kCancelled:
      choice.finish = "cancelled";
      return base::fail(ErrorCode::kShuttingDown,
                        "The server stopped before the answer was whole.");
    case engine::FinishReason::kError:
      choice.finish = "error";
      return std::unexpected(*event.error);
  }
  VSURGE_TRY(choice.text.finish(text));
  if (choice.text.stopped()) choice.finish = "stop";
  return {};
}

// All of one turn is one write.
void Exchange::stream_text(std::size_t index, std::string_view text) {
  if (!stream_begun_) {
    stream_begun_ = true;
    call_.responder->begin_stream(
        200, headers({{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-cache"}}));
  }
  Choice& choice = choices_[index];
  std::string out;
  if (!std::exchange(choice.role_sent, true)) writer_->append_role(out, index);
  if (!text.empty()) writer_->append_text(out, index, text);
  if (choice.finish != nullptr) writer_->append_finish(out, index, choice.finish);
  const bool all =
      std::ranges::all_of(choices_, [](const Choice& c) { return c.finish != nullptr; });
  if (all) {
    if (generation_.include_usage) writer_->append_usage(out, usage());
    AnswerWriter::append_done(out);
  }
  if (!out.empty()) call_.responder->write(std::move(out));
  if (!all) return;
  done_ = true;
  call_.responder->end();
  log_end(200);
}

void Exchange::answer_if_done() {
  std::vector<AnswerChoice> answers;
  for (const Choice& choice : choices_) {
    if (choice.finish == nullptr) return;
    answers.push_back({choice.shown, choice.finish});
  }
  done_ = true;
  call_.responder->send(200, headers({{"Content-Type", "application/json"}}),
                        AnswerWriter::answer(head_, answers, usage()));
  log_end(200);
}

void Exchange::fail(const ApiError& error) {
  done_ = true;
  cancel_open_choices();
  const std::string body = error_json(error);
  if (stream_begun_) {
    std::string out;
    AnswerWriter::append_error(out, body);
    call_.responder->write(std::move(out));
    call_.responder->end();
  } else {
    call_.responder->send(error.status, headers(error_headers(error)), body);
  }
  if (error.status >= 500) {
    base::log_error("{} {}: {}", call_.request_id, error.status, error.message);
  }
  log_end(error.status);
}

void Exchange::cancel_open_choices() {
  for (const Choice& choice : choices_) {
    if (choice.finish == nullptr) core_->engine.cancel(choice.ticket);
  }
}

void Exchange::on_gone() {
  gone_.store(true, std::memory_order_relaxed);
  if (std::exchange(done_, true)) return;
  cancel_open_choices();
  log_end(499);
}

Headers Exchange::headers(Headers more) const {
  more.emplace_back("X-Request-ID", call_.request_id);
  return more;
}

AnswerUsage Exchange::usage() const {
  AnswerUsage out{.prompt_tokens = prompt_tokens_};
  for (const Choice& choice : choices_) {
    out.completion_tokens += choice.tokens;
    out.cached_tokens += choice.cached_tokens;
  }
  return out;
}

void Exchange::log_end(int status) const {
  const AnswerUsage tokens = usage();
  base::log_info("{} {} {} prompt {} answer {} tokens, {:.3f} s", call_.request_id,
                 call_.endpoint == Endpoint::kChat ? "chat" : "completion", status,
                 tokens.prompt_tokens, tokens.completion_tokens,
                 static_cast<double>(core_->clock.now() - started_) * 1e-9);
}

}  // namespace vsurge::api
