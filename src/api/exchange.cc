#include "api/exchange.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "api/json.h"
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
  logprobs_.emplace(core_->assets.tokenizer, generation_.tokens_as_ids);
  choice_options_ = {.text = {.stops = std::move(generation_.stop),
                              .include_stop = generation_.include_stop,
                              .skip_special = generation_.skip_special,
                              .min_tokens = generation_.sampling.min_tokens},
                     .stop_token_ids = generation_.sampling.stop_token_ids,
                     .scored = generation_.logprobs.has_value(),
                     .keep_ids = generation_.return_token_ids,
                     .prompt_only = generation_.prompt_only};
  asked_.reserve(prepared.prompts.size());
  for (PreparedPrompt& prompt : prepared.prompts) {
    const auto status = submit_prompt(std::move(prompt));
    if (status) continue;
    ApiError error = from_base(status.error());
    if (status.error().code == ErrorCode::kContextLengthExceeded) {
      error.param = chat ? "messages" : "prompt";
    }
    fail(error);
    return;
  }
}

engine::Request Exchange::engine_request(const PreparedPrompt& prompt) const {
  engine::Request request;
  request.prompt = prompt.ids;
  request.sampling = generation_.sampling;
  request.sampling.thinking = prompt.thinking;
  request.client = generation_.user;
  request.priority = generation_.priority;
  request.cache_namespace = generation_.cache_salt;
  if (generation_.timeout_seconds) {
    request.deadline =
        started_ + static_cast<base::Nanoseconds>(*generation_.timeout_seconds * 1e9);
  }
  return request;
}

base::Status Exchange::submit_prompt(PreparedPrompt prompt) {
  const engine::Ticket ticket = core_->engine.new_ticket();
  core_->router.add(
      ticket, [self = shared_from_this(), i = asked_.size()](std::vector<engine::Event> events) {
        Responder& responder = *self->call_.responder;
        responder.post([self, i, events = std::move(events)] { self->on_events(i, events); });
      });
  if (auto status = core_->engine.submit(ticket, engine_request(prompt)); !status) {
    core_->router.remove(ticket);
    return status;
  }
  Asked asked;
  asked.ticket = ticket;
  asked.prompt_tokens = prompt.ids.size();
  const auto count = static_cast<std::size_t>(generation_.sampling.n);
  asked.choices.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    asked.choices.emplace_back(core_->assets.tokenizer, choice_options_);
  }
  asked.begun.resize(count);
  asked.touched.resize(count);
  asked.echo = std::move(prompt.echo);
  asked.prompt = std::move(prompt.ids);
  asked_.push_back(std::move(asked));
  return {};
}

void Exchange::on_events(std::size_t prompt, const std::vector<engine::Event>& events) {
  if (done_) return;
  Asked& asked = asked_[prompt];
  for (const engine::Event& event : events) {
    if (const auto status = take_event(asked, event); !status) {
      fail(from_base(status.error()));
      return;
    }
  }
  if (generation_.stream) {
    stream_choices(prompt);
  } else if (all_done()) {
    answer_all();
  }
}

base::Status Exchange::take_event(Asked& asked, const engine::Event& event) {
  if (event.kind == engine::EventKind::kPromptLogprobs) {
    asked.prompt_logprobs.push_back(event.logprobs);
    return {};
  }
  const auto index = static_cast<std::size_t>(event.choice);
  Choice& choice = asked.choices[index];
  if (choice.done()) return {};  // a stop string ended it; the rest is not shown
  asked.touched[index] = 1;
  VSURGE_TRY(choice.take(event));
  if (choice.stopped_by_text() && !event.is_end()) {
    core_->engine.cancel(asked.ticket, event.choice);
  }
  return {};
}

bool Exchange::all_done() const {
  return std::ranges::all_of(asked_, [](const Asked& asked) {
    return std::ranges::all_of(asked.choices, [](const Choice& choice) { return choice.done(); });
  });
}

// All of one turn is one write.
void Exchange::stream_choices(std::size_t prompt) {
  Asked& asked = asked_[prompt];
  std::string out;
  for (std::size_t i = 0; i < asked.choices.size(); ++i) {
    if (std::exchange(asked.touched[i], 0) != 0) stream_choice(prompt, i, out);
  }
  const bool all = all_done();
  if (all) {
    if (generation_.include_usage) writer_->append_usage(out, usage());
    AnswerWriter::append_done(out);
  }
  if (out.empty()) return;
  if (!std::exchange(stream_begun_, true)) {
    call_.responder->begin_stream(
        200, headers({{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-cache"}}));
  }
  call_.responder->write(std::move(out));
  if (!all) return;
  done_ = true;
  call_.responder->end();
  log_end(200);
}

void Exchange::stream_choice(std::size_t prompt, std::size_t choice, std::string& out) {
  Asked& asked = asked_[prompt];
  Choice& from = asked.choices[choice];
  const AnswerUsage so_far = usage_of(asked, from);
  AnswerPiece piece{.index = prompt * asked.choices.size() + choice,
                    .text = {},
                    .usage = generation_.continuous_usage ? &so_far : nullptr};
  ChoicePart part = take_part(asked, from);
  std::string members;
  if (std::exchange(asked.begun[choice], 1) == 0) {
    members = prompt_members(asked);
    piece.more = members;
    writer_->append_role(out, piece);
    if (call_.endpoint == Endpoint::kChat) members.clear();
    if (generation_.echo) put_echo(asked, part);
  }
  if (!part.empty() || !members.empty()) {
    const std::string logprobs = logprobs_json(part);
    members += ids_member(part);
    piece.text = part.text;
    piece.logprobs = logprobs;
    piece.more = members;
    writer_->append_text(out, piece);
  }
  if (!from.done()) return;
  const std::string stop = stop_member(from);
  piece.text = from.finish();
  piece.more = stop;
  writer_->append_finish(out, piece);
}

void Exchange::answer_all() {
  const bool chat = call_.endpoint == Endpoint::kChat;
  struct Told {
    ChoicePart part;
    std::string logprobs;
    std::string more;
    const char* finish;
  };
  std::vector<Told> told;
  for (Asked& asked : asked_) {
    const std::string members = chat ? std::string() : prompt_members(asked);
    std::vector<double> means;
    for (const Choice& choice : asked.choices) means.push_back(choice.logprob_mean());
    for (const std::size_t i : best_choices(means, static_cast<std::size_t>(generation_.choices))) {
      Choice& choice = asked.choices[i];
      Told& one = told.emplace_back(take_part(asked, choice), "", members, choice.finish());
      if (generation_.echo) put_echo(asked, one.part);
      one.logprobs = logprobs_json(one.part);
      one.more += ids_member(one.part) + stop_member(choice);
    }
  }
  std::vector<AnswerChoice> answers;
  for (const Told& one : told) {
    answers.push_back({one.part.text, one.finish, one.logprobs, one.more});
  }
  done_ = true;
  call_.responder->send(
      200, headers({{"Content-Type", "application/json"}}),
      AnswerWriter::answer(head_, answers, usage(),
                           chat ? prompt_members(asked_.front()) : std::string()));
  log_end(200);
}

// Offsets are of the text a client gets.
ChoicePart Exchange::take_part(const Asked& asked, Choice& choice) {
  ChoicePart part = choice.take_part();
  if (part.scored.empty() || asked.echo.text.empty()) return part;
  const std::size_t before = count_characters(asked.echo.text);
  for (ScoredToken& token : part.scored) token.offset += before;
  return part;
}

void Exchange::put_echo(const Asked& asked, ChoicePart& part) const {
  part.text.insert(0, asked.echo.text);
  if (!generation_.logprobs) return;
  std::vector<ScoredToken> all;
  all.reserve(asked.prompt.size() + part.scored.size());
  for (std::size_t i = 0; i < asked.prompt.size(); ++i) {
    const bool known = i > 0 && i <= asked.prompt_logprobs.size();
    all.push_back(
        {asked.prompt[i], asked.echo.offsets[i], known ? asked.prompt_logprobs[i - 1] : nullptr});
  }
  std::ranges::move(part.scored, std::back_inserter(all));
  part.scored = std::move(all);
}

std::string Exchange::logprobs_json(const ChoicePart& part) {
  if (!generation_.logprobs) return "null";
  std::string out;
  if (call_.endpoint == Endpoint::kChat) {
    logprobs_->append_chat(out, part.scored, *generation_.logprobs);
  } else {
    logprobs_->append_completion(out, part.scored, *generation_.logprobs);
  }
  return out;
}

// vLLM's members about the prompt: of the answer in chat, of the choice in completions.
std::string Exchange::prompt_members(const Asked& asked) {
  std::string out;
  if (generation_.prompt_logprobs) {
    out += R"(,"prompt_logprobs":)";
    logprobs_->append_prompt(out, asked.prompt, asked.prompt_logprobs,
                             *generation_.prompt_logprobs);
  }
  if (generation_.return_token_ids) {
    out += R"(,"prompt_token_ids":)";
    append_ids(out, asked.prompt);
  }
  return out;
}

std::string Exchange::ids_member(const ChoicePart& part) const {
  if (!generation_.return_token_ids) return {};
  std::string out = R"(,"token_ids":)";
  append_ids(out, part.ids);
  return out;
}

std::string Exchange::stop_member(const Choice& choice) {
  std::string out;
  if (!choice.stop_string().empty()) {
    out = R"(,"stop_reason":)";
    append_json_string(out, choice.stop_string());
  } else if (choice.stop_token() >= 0) {
    out = fmt::format(R"(,"stop_reason":{})", choice.stop_token());
  }
  return out;
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
  for (const Asked& asked : asked_) {
    const bool open =
        std::ranges::any_of(asked.choices, [](const Choice& choice) { return !choice.done(); });
    if (open) core_->engine.cancel(asked.ticket);
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

// Each prompt is counted once, whatever the number of its choices.
AnswerUsage Exchange::usage() const {
  AnswerUsage out;
  for (const Asked& asked : asked_) {
    out.prompt_tokens += static_cast<std::int64_t>(asked.prompt_tokens);
    out.cached_tokens += asked.choices.front().cached_tokens();
    for (const Choice& choice : asked.choices) out.completion_tokens += choice.tokens();
  }
  return out;
}

AnswerUsage Exchange::usage_of(const Asked& asked, const Choice& choice) {
  return {.prompt_tokens = static_cast<std::int64_t>(asked.prompt_tokens),
          .cached_tokens = asked.choices.front().cached_tokens(),
          .completion_tokens = choice.tokens()};
}

void Exchange::log_end(int status) const {
  const AnswerUsage tokens = usage();
  base::log_info("{} {} {} prompt {} answer {} tokens, {:.3f} s", call_.request_id,
                 call_.endpoint == Endpoint::kChat ? "chat" : "completion", status,
                 tokens.prompt_tokens, tokens.completion_tokens,
                 static_cast<double>(core_->clock.now() - started_) * 1e-9);
}

}  // namespace vsurge::api
