// A scenario in words.
#include "tests/sim/scenario.h"

namespace vsurge::engine::sim {
namespace {

constexpr std::array kOps = {"arrives", "cancel", "cancel choice",    "clear cache",
                             "flush",   "expire", "time jump",        "set cost",
                             "suspend", "resume", "abort everything", "abort with a plan in hand"};
constexpr std::array kFaults = {"none",      "not finite", "nothing allowed",
                                "bad token", "row status", "chunk status"};

class Text {
 public:
  template <class T>
  void add(const char* name, const T& value, const T& usual) {
    if (!(value == usual)) text_ += fmt::format(" {}={}", name, value);
  }
  void add_tokens(const char* name, const std::vector<TokenId>& tokens) {
    if (!tokens.empty()) text_ += fmt::format(" {}=[{}]", name, fmt::join(tokens, " "));
  }
  template <class T>
  void add(const char* name, const std::optional<T>& value) {
    if (value) text_ += fmt::format(" {}={}", name, *value);
  }
  std::string take() { return std::exchange(text_, {}); }

 private:
  std::string text_;
};

std::string options_text(const Scenario& scenario) {
  const EngineOptions& o = scenario.options;
  const EngineOptions usual;
  Text text;
  text.add("pages", o.pages, usual.pages);
  text.add("page_size", o.page_size, 0);
  text.add("context_max", o.context_max, usual.context_max);
  text.add("window", o.window, usual.window);
  text.add("vocabulary", o.vocabulary, usual.vocabulary);
  text.add_tokens("eos", o.eos_tokens);
  text.add("max_concurrent_decodes", o.max_concurrent_decodes, 0);
  text.add("max_concurrent_prefill", o.max_concurrent_prefill, 0);
  text.add("max_batched_tokens", o.max_batched_tokens, 0);
  text.add("prefill_chunk_max", o.prefill_chunk_max, usual.prefill_chunk_max);
  text.add("logit_rows_max", o.logit_rows_max, usual.logit_rows_max);
  text.add("prefix_cache", o.prefix_cache, usual.prefix_cache);
  text.add("prefix_hash_bits", o.prefix_hash_bits, usual.prefix_hash_bits);
  text.add("passes_max", o.passes_max, usual.passes_max);
  text.add("target_step", o.target_step, usual.target_step);
  text.add("cost of a token", o.cost.tokens_ns[0], 0.0);
  text.add("predictable", scenario.predictable, 0);
  text.add("audit_every", scenario.audit_every, 1);
  for (const auto& [client, weight] : o.client_weights) {
    text.add(("weight of " + client).c_str(), weight, 1.0);
  }
  return text.take();
}

void add_sampling(Text& text, const SamplingParams& s) {
  const SamplingParams usual;
  text.add("max_tokens", s.max_tokens);
  text.add("min_tokens", s.min_tokens, 0);
  text.add("ignore_eos", s.ignore_eos, false);
  text.add_tokens("stop", s.stop_token_ids);
  text.add("n", s.n, 1);
  text.add("beams", s.beam.width, 0);
  text.add("length_penalty", s.beam.length_penalty, 1.0F);
  text.add("early_stopping", static_cast<int>(s.beam.early_stopping), 0);
  text.add("speculative_tokens", s.speculative_tokens, 0);
  text.add("logprobs", s.logprobs);
  text.add_tokens("logprobs of", s.logprob_token_ids);
  text.add("prompt_logprobs", s.prompt_logprobs);
  text.add("repetition_penalty", s.repetition_penalty, usual.repetition_penalty);
  text.add("presence_penalty", s.presence_penalty, usual.presence_penalty);
  text.add("frequency_penalty", s.frequency_penalty, usual.frequency_penalty);
  text.add("dry", s.dry.multiplier, usual.dry.multiplier);
  text.add_tokens("allowed", s.allowed_token_ids);
  text.add_tokens("suppressed", s.suppress_tokens);
  for (const auto& [token, bias] : s.logit_bias)
    text.add(fmt::format("bias {}", token).c_str(), bias, 0.0F);
  for (const auto& word : s.bad_words) text.add_tokens("bad word", word);
  if (s.thinking) text.add("thinking", s.thinking->tokens, -1);
}

std::string request_text(const RequestSpec& spec) {
  Text text;
  text.add("length", spec.length, 0);
  text.add("tree", spec.tree, 0);
  text.add("branch_at", spec.branch_at, spec.length);
  text.add("branch", spec.branch, 0);
  text.add("continues", spec.continues, -1);
  text.add("priority", spec.priority, 0);
  text.add("client", spec.client, 0);
  text.add("name_space", spec.name_space, 0);
  text.add("use_prefix_cache", spec.use_prefix_cache, true);
  text.add("constrained", spec.constrained, false);
  text.add("queue_deadline_after", spec.queue_deadline_after, base::Nanoseconds{0});
  text.add("deadline_after", spec.deadline_after, base::Nanoseconds{0});
  if (spec.pooling) {
    text.add("pooling", static_cast<int>(spec.pooling->states), -1);
    text.add_tokens("logits of", spec.pooling->logits_of);
  }
  add_sampling(text, spec.sampling);
  if (spec.fault != FaultKind::kNone) {
    text.add("fault", std::string(kFaults[static_cast<std::size_t>(spec.fault)]), std::string());
    text.add("fault_choice", spec.fault_choice, 0);
    text.add("fault_at", spec.fault_at, -1);
  }
  return text.take();
}

}  // namespace

std::string describe(const Scenario& scenario) {
  std::string text = fmt::format("seed={}{}\n", scenario.seed, options_text(scenario));
  for (const Op& op : scenario.ops) {
    text += fmt::format("tick {:>3}: ", op.tick);
    if (op.request >= 0) text += fmt::format("request {} ", op.request);
    text += kOps[static_cast<std::size_t>(op.kind)];
    if (op.kind == OpKind::kArrive) {
      text += request_text(scenario.requests[static_cast<std::size_t>(op.request)]);
    } else if (op.kind == OpKind::kCancelChoice) {
      text += fmt::format(" {}", op.choice);
    } else if (op.amount != 0) {
      text += fmt::format(" {}", op.amount);
    }
    text += '\n';
  }
  return text;
}

}  // namespace vsurge::engine::sim
