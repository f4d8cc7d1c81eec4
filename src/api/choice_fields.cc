#include "api/choice_fields.h"

#include <algorithm>
#include <utility>

#include "api/field_table.h"
#include "api/json.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

ApiResult<engine::BeamStop> read_early_stopping(const ObjectReader& body) {
  const json::value* value = body.find("early_stopping");
  if (value == nullptr) return engine::BeamStop::kWhenUnlikely;
  if (value->is_bool()) {
    return value->get_bool() ? engine::BeamStop::kWhenFull : engine::BeamStop::kWhenUnlikely;
  }
  if (!value->is_string()) {
    return wrong_type("early_stopping", "a boolean or \"never\"", type_name(*value));
  }
  if (value->get_string() != "never") {
    return bad_value("early_stopping", "'early_stopping' must be true, false or \"never\".");
  }
  return engine::BeamStop::kNever;
}

// vLLM's width is n; with best_of it is that, as in its older versions.
ApiResult<void> read_beam(const ObjectReader& body, engine::SamplingParams& out) {
  const bool search = VSURGE_TRY(read_flag(body, "use_beam_search"));
  const auto penalty = VSURGE_TRY(read_number(body, "length_penalty"));
  const auto stopping = VSURGE_TRY(read_early_stopping(body));
  if (!search) {
    if (penalty.value_or(1) != 1) {
      return bad_value("length_penalty",
                       "'length_penalty' is only for requests with 'use_beam_search': true.");
    }
    if (stopping != engine::BeamStop::kWhenUnlikely) {
      return bad_value("early_stopping",
                       "'early_stopping' is only for requests with 'use_beam_search': true.");
    }
    return {};
  }
  if (out.n < 2) {
    return bad_value("use_beam_search",
                     "'use_beam_search' needs an 'n' (or 'best_of') of 2 or more: its width.");
  }
  out.beam = {.width = out.n,
              .length_penalty = static_cast<float>(penalty.value_or(1)),
              .early_stopping = stopping};
  return {};
}

ApiResult<void> read_choices(const ObjectReader& body, GenerationFields& out) {
  out.choices = static_cast<int>(VSURGE_TRY(read_integer(body, "n")).value_or(1));
  const auto best_of = VSURGE_TRY(read_integer(body, "best_of"));
  out.sampling.n = static_cast<int>(best_of.value_or(out.choices));
  if (out.sampling.n < out.choices) {
    return bad_value("best_of", fmt::format("'best_of' ({}) must be at least 'n' ({}).",
                                            out.sampling.n, out.choices));
  }
  if (out.stream && out.sampling.n > out.choices) {
    return bad_value("best_of", "'best_of' greater than 'n' cannot be streamed.");
  }
  VSURGE_TRY(read_beam(body, out.sampling));
  // A search makes no more than it shows.
  if (out.sampling.beam.width > 0) out.sampling.n = out.choices;
  return {};
}

ApiResult<void> read_chat_logprobs(const ObjectReader& body, GenerationFields& out) {
  const bool wanted = VSURGE_TRY(read_flag(body, "logprobs"));
  const auto top = VSURGE_TRY(read_integer(body, "top_logprobs"));
  if (wanted) {
    out.logprobs = static_cast<int>(top.value_or(0));
  } else if (top.value_or(0) > 0) {
    return bad_value("top_logprobs", "'top_logprobs' is only for requests with 'logprobs': true.");
  }
  return {};
}

// They replace the likeliest, whose number then means nothing. An empty list is none, as in vLLM.
ApiResult<void> read_logprob_tokens(const ObjectReader& body, int vocabulary,
                                    GenerationFields& out) {
  auto ids = VSURGE_TRY(read_ids(body, "logprob_token_ids", vocabulary));
  if (!ids || ids->empty()) return {};
  if (!out.logprobs) {
    return bad_value("logprob_token_ids",
                     "'logprob_token_ids' is only for requests with 'logprobs'.");
  }
  out.logprobs = static_cast<int>(ids->size());
  out.sampling.logprob_token_ids = std::move(*ids);
  return {};
}

ApiResult<void> read_logprobs(const ObjectReader& body, Endpoint endpoint, GenerationFields& out) {
  if (endpoint == Endpoint::kChat) {
    VSURGE_TRY(read_chat_logprobs(body, out));
  } else {
    const auto top = VSURGE_TRY(read_integer(body, "logprobs"));
    if (top) out.logprobs = static_cast<int>(*top);
    out.echo = VSURGE_TRY(read_flag(body, "echo"));
  }
  const auto prompt = VSURGE_TRY(read_integer(body, "prompt_logprobs"));
  if (prompt && out.stream) {
    return bad_value("prompt_logprobs", "'prompt_logprobs' cannot be streamed.");
  }
  if (prompt) out.prompt_logprobs = static_cast<int>(*prompt);
  out.sampling.logprobs = out.logprobs;
  out.sampling.prompt_logprobs = out.prompt_logprobs;
  if (out.echo && out.logprobs) {
    out.sampling.prompt_logprobs = std::max(*out.logprobs, out.prompt_logprobs.value_or(0));
  }
  return {};
}

}  // namespace

ApiResult<void> read_choice_fields(const ObjectReader& body, Endpoint endpoint, int vocabulary,
                                   GenerationFields& out) {
  VSURGE_TRY(read_choices(body, out));
  VSURGE_TRY(read_logprobs(body, endpoint, out));
  VSURGE_TRY(read_logprob_tokens(body, vocabulary, out));
  // The best are told by their logprobs.
  const bool chosen = out.sampling.n > out.choices;
  if (chosen && !out.sampling.logprobs) out.sampling.logprobs = 0;
  out.return_token_ids = VSURGE_TRY(read_flag(body, "return_token_ids"));
  out.tokens_as_ids = VSURGE_TRY(read_flag(body, "return_tokens_as_token_ids"));
  return {};
}

}  // namespace vsurge::api
