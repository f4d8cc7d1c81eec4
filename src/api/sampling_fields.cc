#include "api/sampling_fields.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include "api/field_table.h"
#include "api/json.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

constexpr base::EngineLimits kLimits;

// Writes the field to `target` if it is there.
ApiResult<void> read_float(const ObjectReader& body, table::Row<FieldKind::kNumber> row,
                           float& target) {
  const auto value = VSURGE_TRY(read_number(body, row));
  if (!value) return {};
  target = static_cast<float>(*value);
  // A double above 0 may be 0 as a float.
  if (row.field.shape.low_open) target = std::max(target, std::numeric_limits<float>::min());
  return {};
}

ApiResult<void> read_int(const ObjectReader& body, table::Row<FieldKind::kInteger> row,
                         int& target) {
  const auto value = VSURGE_TRY(read_integer(body, row));
  if (value) target = static_cast<int>(*value);
  return {};
}

ApiResult<void> read_seed(const ObjectReader& body, engine::SamplingParams& out) {
  const json::value* value = body.find("seed");
  if (value == nullptr) return {};
  if (!value->is_number()) return wrong_type("seed", "an integer", type_name(*value));
  if (value->is_uint64()) {
    out.seed = value->get_uint64();
  } else if (const auto exact = exact_integer(*value)) {
    out.seed = std::bit_cast<std::uint64_t>(*exact);
  } else if (value->get_double() == std::floor(value->get_double())) {
    return bad_value("seed", "'seed' must fit 64 bits.");
  } else {
    return wrong_type("seed", "an integer", "a number with a fraction");
  }
  return {};
}

ApiResult<void> read_truncation(const ObjectReader& body, engine::SamplingParams& out) {
  VSURGE_TRY(read_float(body, "temperature", out.temperature));
  if (out.temperature < kTemperatureMin) out.temperature = 0;
  VSURGE_TRY(read_float(body, "top_p", out.top_p));
  VSURGE_TRY(read_float(body, "min_p", out.min_p));
  VSURGE_TRY(read_int(body, {"top_k", kInChat}, out.top_k));  // -1 is vLLM's "off"
  out.top_k = std::max(out.top_k, 0);
  VSURGE_TRY(read_float(body, "typical_p", out.typical_p));
  VSURGE_TRY(read_float(body, "top_n_sigma", out.top_n_sigma));
  out.top_n_sigma = std::max(out.top_n_sigma, 0.0F);  // -1 is llama.cpp's "off"
  VSURGE_TRY(read_float(body, "xtc_probability", out.xtc.probability));
  return read_float(body, "xtc_threshold", out.xtc.threshold);
}

// Both names at once must agree.
ApiResult<void> read_repetition_penalty(const ObjectReader& body, engine::SamplingParams& out) {
  const auto vllm = VSURGE_TRY(read_number(body, "repetition_penalty"));
  const auto llama = VSURGE_TRY(read_number(body, "repeat_penalty"));
  if (vllm && llama && *vllm != *llama) {
    return bad_value("repeat_penalty",
                     fmt::format("'repetition_penalty' ({}) and 'repeat_penalty' ({}) mean the "
                                 "same and differ; send one of them.",
                                 *vllm, *llama));
  }
  VSURGE_TRY(read_float(body, "repetition_penalty", out.repetition_penalty));
  return read_float(body, "repeat_penalty", out.repetition_penalty);
}

ApiResult<void> read_penalties(const ObjectReader& body, GenerationFields& out) {
  engine::SamplingParams& sampling = out.sampling;
  VSURGE_TRY(read_repetition_penalty(body, sampling));
  VSURGE_TRY(read_float(body, "presence_penalty", sampling.presence_penalty));
  VSURGE_TRY(read_float(body, "frequency_penalty", sampling.frequency_penalty));
  VSURGE_TRY(read_float(body, "dry_multiplier", sampling.dry.multiplier));
  VSURGE_TRY(read_float(body, "dry_base", sampling.dry.base));
  VSURGE_TRY(read_int(body, "dry_allowed_length", sampling.dry.allowed_length));
  // llama.cpp's numbers: -1 is all, 0 is none.
  int last = -1;
  VSURGE_TRY(read_int(body, "dry_penalty_last_n", last));
  sampling.dry.range = std::max(last, 0);
  if (last == 0) sampling.dry.multiplier = 0;
  auto breakers = VSURGE_TRY(read_texts(body, "dry_sequence_breakers"));
  if (breakers) out.texts.dry_breakers = std::move(*breakers);
  return {};
}

// OpenAI's object of token id -> bias; ids are written as JSON keys.
ApiResult<void> read_logit_bias(const ObjectReader& body, int vocabulary,
                                engine::SamplingParams& out) {
  const json::value* value = body.find("logit_bias");
  if (value == nullptr) return {};
  if (!value->is_object()) return wrong_type("logit_bias", "an object", type_name(*value));
  const json::object& object = value->get_object();
  if (object.size() > kLimits.logit_bias_max) {
    return bad_value("logit_bias",
                     fmt::format("'logit_bias' must have at most {} tokens; found {}.",
                                 kLimits.logit_bias_max, object.size()));
  }
  const ObjectReader reader(object, "logit_bias");
  for (const auto& [key, each] : object) {
    const std::string_view text = key;
    int id = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    // One way to write an id: each is named once.
    const bool plain = !text.empty() && (text[0] != '0' || text.size() == 1) && text[0] != '-';
    if (!plain || error != std::errc() || end != text.data() + text.size() || id >= vocabulary) {
      return bad_value("logit_bias", fmt::format("'logit_bias' must name token ids from 0 to {}; "
                                                 "found {}.",
                                                 vocabulary - 1, in_quotes(text)));
    }
    const auto bias = VSURGE_TRY(reader.number(text, {-100, 100}));
    if (!bias) return wrong_type(fmt::format("logit_bias.{}", text), "a number", "null");
    out.logit_bias.emplace_back(id, static_cast<float>(*bias));
  }
  return {};
}

ApiResult<void> read_bans(const ObjectReader& body, int vocabulary, GenerationFields& out) {
  engine::SamplingParams& sampling = out.sampling;
  VSURGE_TRY(read_logit_bias(body, vocabulary, sampling));
  auto words = VSURGE_TRY(read_texts(body, "bad_words"));
  if (words) out.texts.bad_words = std::move(*words);
  auto allowed = VSURGE_TRY(read_ids(body, "allowed_token_ids", vocabulary));
  if (allowed && allowed->empty()) {
    return bad_value("allowed_token_ids", "'allowed_token_ids' must not be empty.");
  }
  if (allowed) sampling.allowed_token_ids = std::move(*allowed);
  auto suppressed = VSURGE_TRY(read_ids(body, "suppress_tokens", vocabulary));
  if (suppressed) sampling.suppress_tokens = std::move(*suppressed);
  auto stops = VSURGE_TRY(read_ids(body, "stop_token_ids", vocabulary));
  if (stops) sampling.stop_token_ids = std::move(*stops);
  sampling.ignore_eos = VSURGE_TRY(read_flag(body, "ignore_eos"));
  VSURGE_TRY(read_int(body, "min_tokens", sampling.min_tokens));
  const auto thinking = VSURGE_TRY(read_integer(body, "thinking_token_budget"));
  if (thinking) out.texts.thinking_tokens = static_cast<int>(*thinking);
  return {};
}

ApiResult<void> read_guesses(const ObjectReader& body, int most, engine::SamplingParams& out) {
  const auto wanted = VSURGE_TRY(read_integer(body, "speculative_tokens"));
  out.speculative_tokens = most;
  if (!wanted) return {};
  if (*wanted > most) {
    return unsupported("speculative_tokens",
                       most == 0 ? std::string("'speculative_tokens' is not switched on here.")
                                 : fmt::format("'speculative_tokens' is at most {} here.", most));
  }
  out.speculative_tokens = static_cast<int>(*wanted);
  return {};
}

}  // namespace

ApiResult<void> read_sampling_fields(const ObjectReader& body, const RequestContext& context,
                                     const SamplingDefaults& defaults, GenerationFields& out) {
  out.sampling.temperature = defaults.temperature;
  out.sampling.top_p = defaults.top_p;
  out.sampling.min_p = defaults.min_p;
  out.sampling.top_k = defaults.top_k;
  out.sampling.repetition_penalty = defaults.repetition_penalty;
  VSURGE_TRY(read_truncation(body, out.sampling));
  VSURGE_TRY(read_penalties(body, out));
  VSURGE_TRY(read_bans(body, context.vocabulary, out));
  VSURGE_TRY(read_guesses(body, context.speculative_tokens_max, out.sampling));
  return read_seed(body, out.sampling);
}

}  // namespace vsurge::api
