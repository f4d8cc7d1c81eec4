#include "tests/sim/shrink.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "tests/sim/simulation.h"

namespace vsurge::engine::sim {
namespace {

constexpr unsigned kSecondsMax = 20;

class Shrinker {
 public:
  Shrinker(Scenario scenario, const Fails& fails) : best_(std::move(scenario)), fails_(fails) {}

  Scenario run() {
    bool smaller = true;
    for (int round = 0; smaller && round < 8; ++round) {
      smaller = drop_ops();
      smaller |= simplify_options();
      smaller |= simplify_requests();
      smaller |= earlier();
    }
    return best_;
  }

 private:
  // Keeps the change if the fault is still there.
  template <class Change>
  bool attempt(Change change) {
    Scenario candidate = best_;
    change(candidate);
    if (!fails_(candidate)) return false;
    best_ = std::move(candidate);
    return true;
  }
  template <class Field, class Value>
  bool set(Field field, Value value) {
    if (field(best_) == value) return false;
    return attempt([&](Scenario& s) { field(s) = value; });
  }
  // Towards `least`, by halves.
  template <class Field>
  bool lower(Field field, int least) {
    bool any = false;
    for (int step = field(best_) - least; step > 0; step /= 2) {
      while (field(best_) - step >= least && attempt([&](Scenario& s) { field(s) -= step; })) {
        any = true;
      }
    }
    return any;
  }

  bool drop_ops();
  bool simplify_options();
  bool simplify_requests();
  bool simplify_request(std::size_t index);
  bool earlier();

  Scenario best_;
  const Fails& fails_;
};

bool Shrinker::drop_ops() {
  bool any = false;
  for (std::size_t size = std::max<std::size_t>(1, best_.ops.size() / 2);; size /= 2) {
    for (std::size_t at = 0; at < best_.ops.size();) {
      const bool dropped = attempt([&](Scenario& s) {
        const auto begin = s.ops.begin() + static_cast<std::ptrdiff_t>(at);
        const auto count = std::min(size, s.ops.size() - at);
        s.ops.erase(begin, begin + static_cast<std::ptrdiff_t>(count));
      });
      any |= dropped;
      if (!dropped) at += size;
    }
    if (size == 1) return any;
  }
}

bool Shrinker::simplify_options() {
  const auto option = [](auto field) {
    return [field](Scenario& s) -> auto& { return s.options.*field; };
  };
  using O = EngineOptions;
  bool any = set(option(&O::window), 0);
  any |= set(option(&O::logit_rows_max), 0);
  any |= set(option(&O::prefill_chunk_max), 0);
  any |= set(option(&O::prefix_cache), false);
  any |= set(option(&O::prefix_hash_bits), 64);
  any |= set(option(&O::passes_max), 64);
  any |= set([](Scenario& s) -> auto& { return s.audit_every; }, 1);
  any |= set([](Scenario& s) -> auto& { return s.outliers; }, 0);
  any |= set([](Scenario& s) -> auto& { return s.predictable; }, 0);
  any |= set([](Scenario& s) -> auto& { return s.options.cost.tokens_ns; },
             decltype(StepCost::tokens_ns){});
  any |= set(option(&O::client_weights), decltype(O::client_weights){});
  any |= lower(option(&O::max_concurrent_decodes), 1);
  any |= lower(option(&O::max_concurrent_prefill), 1);
  any |= lower(option(&O::max_batched_tokens), 1);
  any |= lower(option(&O::context_max), 2);
  any |= lower(option(&O::pages), 1);
  any |= lower(option(&O::page_size), 1);
  any |= lower(option(&O::vocabulary), 3);
  return any;
}

bool Shrinker::simplify_requests() {
  bool any = false;
  for (std::size_t i = 0; i < best_.requests.size(); ++i) {
    const bool arrives = std::any_of(best_.ops.begin(), best_.ops.end(), [i](const Op& op) {
      return op.kind == OpKind::kArrive && op.request == static_cast<int>(i);
    });
    if (arrives) any |= simplify_request(i);
  }
  return any;
}

bool Shrinker::simplify_request(std::size_t index) {
  const auto spec = [index](auto field) {
    return [index, field](Scenario& s) -> auto& { return s.requests[index].*field; };
  };
  const auto sampling = [index](auto field) {
    return [index, field](Scenario& s) -> auto& { return s.requests[index].sampling.*field; };
  };
  using R = RequestSpec;
  using S = SamplingParams;
  // All of the sampling at once, but for its length.
  bool any = false;
  attempt([index](Scenario& s) {
    S plain;
    plain.max_tokens = s.requests[index].sampling.max_tokens;
    plain.ignore_eos = true;
    s.requests[index].sampling = plain;
  });
  any |= set(spec(&R::fault), FaultKind::kNone);
  any |= set(spec(&R::continues), -1);
  any |= set(spec(&R::constrained), false);
  if (best_.requests[index].pooling) {
    any |= attempt([index](Scenario& s) { s.requests[index].pooling.reset(); });
  }
  any |= set(spec(&R::deadline_after), base::Nanoseconds{0});
  any |= set(spec(&R::queue_deadline_after), base::Nanoseconds{0});
  any |= set(spec(&R::priority), 0);
  any |= set(spec(&R::client), 0);
  any |= set(spec(&R::name_space), 0);
  any |= set(spec(&R::use_prefix_cache), true);
  any |= set(sampling(&S::speculative_tokens), 0);
  any |= set(sampling(&S::prompt_logprobs), std::optional<int>());
  any |= set(sampling(&S::logprob_token_ids), std::vector<TokenId>());
  any |= set(sampling(&S::logprobs), std::optional<int>());
  any |= set(sampling(&S::stop_token_ids), std::vector<TokenId>());
  any |= set(sampling(&S::bad_words), std::vector<std::vector<TokenId>>());
  any |= set(sampling(&S::allowed_token_ids), std::vector<TokenId>());
  any |= set(sampling(&S::suppress_tokens), std::vector<TokenId>());
  any |= lower(sampling(&S::n), 1);
  if (best_.requests[index].sampling.beam.width > 0) {
    const auto beam = [index](Scenario& s) -> auto& { return s.requests[index].sampling.beam; };
    any |= lower([beam](Scenario& s) -> int& { return beam(s).width; }, 2);
    any |= set([beam](Scenario& s) -> auto& { return beam(s).length_penalty; }, 1.0F);
    any |= set([beam](Scenario& s) -> auto& { return beam(s).early_stopping; }, BeamStop{});
  }
  any |= lower(spec(&R::length), 1);
  if (best_.requests[index].sampling.max_tokens) {
    any |=
        lower([index](Scenario& s) -> int& { return *s.requests[index].sampling.max_tokens; }, 1);
  }
  return any;
}

bool Shrinker::earlier() {
  bool any = false;
  for (std::size_t i = 0; i < best_.ops.size(); ++i) {
    const int before = i == 0 ? 0 : best_.ops[i - 1].tick;
    const int by = best_.ops[i].tick - before;
    if (by <= 0) continue;
    any |= attempt([&](Scenario& s) {
      for (std::size_t j = i; j < s.ops.size(); ++j) s.ops[j].tick -= by;
    });
  }
  return any;
}

}  // namespace

Scenario shrink(Scenario scenario, const Fails& fails) {
  return Shrinker(std::move(scenario), fails).run();
}

std::string fault_apart(const Scenario& scenario) {
  if (!check_options(scenario.options)) return {};
  int ends[2];
  if (pipe(ends) != 0) return {};
  const pid_t child = fork();
  if (child == 0) {
    alarm(kSecondsMax);
    if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(3);
    const std::string fault = run_scenario(scenario);
    _exit(write(ends[1], fault.data(), fault.size()) < 0 ? 3 : 0);
  }
  close(ends[1]);
  std::string fault(4096, '\0');
  const ssize_t size = read(ends[0], fault.data(), fault.size());
  close(ends[0]);
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return {};
  fault.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return WIFEXITED(status) ? fault : std::string("a CHECK failed, or there was no end");
}

bool same_fault(std::string_view a, std::string_view b) {
  const auto without_digits = [](std::string_view text) {
    std::string words(text);
    std::erase_if(words, [](char c) { return c >= '0' && c <= '9'; });
    return words;
  };
  return without_digits(a) == without_digits(b);
}

}  // namespace vsurge::engine::sim
