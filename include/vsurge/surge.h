// vSurge: one loaded model, serving many requests at once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "vsurge/auto_model.h"
#include "vsurge/auto_tokenizer.h"
#include "vsurge/error.h"
#include "vsurge/sampling_params.h"

namespace vsurge {

// A token, and what the model gave it before any parameter applied.
struct TokenLogprob {
  std::int32_t token_id = 0;
  float logprob = 0;          // natural
  int rank = 0;               // 1 = the likeliest; 0 = not known: of logprob_token_ids
  std::string decoded_token;  // of bytes that are no text: "bytes:\\xe2\\x82"
};

struct TokenLogprobs {
  TokenLogprob token;
  std::vector<TokenLogprob> top;  // at its place: the likeliest, or those of logprob_token_ids
};

// One of the answers to a prompt.
struct CompletionOutput {
  int index = 0;  // among those that were made: the seed is made of it
  std::string text;
  std::vector<std::int32_t> token_ids;  // all that were generated, the end-of-text token too
  // Where logprobs were asked for: of the tokens whose text is in `text`, and the sum over all.
  std::vector<TokenLogprobs> logprobs;
  double cumulative_logprob = 0;
  std::string finish_reason;  // "stop", "length", "cancelled"
  // The stop string or the token of stop_token_ids that ended it, if one did.
  std::variant<std::monostate, std::int32_t, std::string> stop_reason;
};

// The answer to one prompt (return value), or what is new of one of its answers (callback).
struct ReturnSample {
  std::string text;                     // new text (callback) or all of it (return value)
  std::string accumulated_text;         // all text so far
  std::vector<std::int32_t> token_ids;  // all ids so far
  double time_spent_computing = 0;      // seconds since the first token
  double tokens_per_second = 0;
  int num_generated_tokens = 0;
  int prompt_tokens = 0;
  int generation_idx = 0;     // which of n
  std::string finish_reason;  // empty while it goes on; "stop", "length", "cancelled"

  // --- beyond the original; return value only. What stands above is of the first of them.
  std::vector<CompletionOutput> outputs;       // n; the best first after best_of and beam search
  std::vector<TokenLogprobs> prompt_logprobs;  // from the second token on
};

struct SurgeMetrics {
  int requests_running = 0;
  int requests_waiting = 0;
  int pages_total = 0;
  int pages_used = 0;
  std::uint64_t requests_finished = 0;
  std::uint64_t requests_cancelled = 0;
  std::uint64_t requests_failed = 0;
  std::uint64_t requests_refused = 0;
  std::uint64_t prompt_tokens = 0;
  std::uint64_t generation_tokens = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t steps = 0;
  double step_seconds = 0;
  // Of step_seconds, by operation of the model: "linear", "attention", ...
  std::vector<std::pair<std::string, double>> op_seconds = {};
};

struct SurgeOptions {
  int max_concurrent_decodes = 64;  // sequences running at once
  int max_concurrent_prefill = 1;   // prompts being read at once
  std::vector<std::int32_t> extra_eos_token_ids = {};
  std::optional<int> max_prefill_length = {};  // longer prompts are refused; absent = max_length
  std::optional<int> max_length = {};          // prompt plus answer; absent = the model's
  int page_size = 128;                         // tokens of one page of KV cache: 16, 32, 64 or 128
  double hbm_utilization = 0.8;  // (0, 1]: share of the memory this process may use in all
  std::string vsurge_name = {};  // of the model in the API; empty = family and size
  bool verbose = true;
  std::uint64_t seed = 894;  // for requests that bring none

  // --- beyond the original
  int max_num_batched_tokens = 512;  // of one step
  // Prompts that begin like earlier ones are read from where they differ.
  bool enable_prefix_caching = true;
  // Milliseconds that a step may take while prompts are read beside running answers; 0 = twice what
  // it takes without them.
  double target_step_ms = 0;
  // What a request to the API may ask as speculative_tokens, and has if it is silent; 0 = off.
  int speculative_tokens = 0;
  // Of the KV cache, taken before the engine is ready; 0 = 4 GiB, or one context if that is more,
  // or what max_concurrent_decodes contexts need if that is less.
  std::int64_t kv_cache_memory_bytes = 0;
  // Seconds of one step, after which the engine counts as stuck: /health says 503, the log too.
  double watchdog_s = 30;
  // For tests: throw@N, hang@N or nan@N fail in the N-th step, hang@load never gets so far;
  // NAME:throw@N where that is its name.
  std::string failpoint = {};
  // That wait for a place in a step; more are refused.
  std::size_t max_queue_requests = 4096;
  std::size_t max_queue_tokens = 16'000'000;  // of their prompts
};

// Owns engine thread and KV cache. Any thread may call any function.
class vSurge {
 public:
  static vSurge from_model(const AutoModelForCausalLM& model, const AutoTokenizer& processor,
                           const SurgeOptions& options = {});
  ~vSurge();
  vSurge(vSurge&&) noexcept;
  vSurge& operator=(vSurge&&) noexcept;

  void start();    // warms up (the largest legal step, once) and starts the engine
  void compile();  // the same; the original has it as a step of its own
  void stop();     // ends every request; start() begins anew
  void pause();
  void resume();

  // Answers to all prompts; blocks, and starts the engine when it was not started.
  // on_sample gets each new piece as it comes (on the calling thread; with best_of greater than n
  // none does) and may return false to cancel that prompt. While nothing comes it is called all the
  // same about ten times a second for each running prompt, with an empty text, so that a long
  // prompt can be cancelled, too.
  using OnSample = std::function<bool(std::size_t prompt, const ReturnSample& sample)>;
  std::vector<ReturnSample> generate(const std::vector<std::string>& prompts,
                                     const SamplingParams& sampling_params = {},
                                     const OnSample& on_sample = {});
  // The same for prompts that are token ids already.
  std::vector<ReturnSample> generate(const std::vector<std::vector<std::int32_t>>& prompts,
                                     const SamplingParams& sampling_params = {},
                                     const OnSample& on_sample = {});
  ReturnSample generate(const std::string& prompt, const SamplingParams& sampling_params = {},
                        const OnSample& on_sample = {});

  int count_tokens(const std::string& text) const;
  int count_tokens(const std::vector<ChatMessage>& messages) const;  // through the template

  SurgeMetrics metrics() const;
  const std::string& vsurge_name() const;
  const AutoTokenizer& processor() const;
  AutoModelForCausalLM::Info model_info() const;
  int max_length() const;
  std::int64_t kv_cache_bytes() const;

  struct State;
  const std::shared_ptr<State>& state() const { return state_; }

 private:
  vSurge();
  std::shared_ptr<State> state_;
};

}  // namespace vsurge
