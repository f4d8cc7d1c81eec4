// For tests: the default model, its tokenizer, and requests under constraints run through the real
// scheduler and executor, without engine thread. One thread.
#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/output_constraint.h"
#include "engine/scheduler.h"
#include "facade/gguf_vocabulary.h"
#include "tests/bytes_support.h"
#include "text/auto_tokenizer.h"
#include "text/grammar.h"

namespace vsurge::structured {

struct Told {
  std::vector<engine::TokenId> tokens;
  engine::FinishReason reason = engine::FinishReason::kError;
  std::string error;

  friend bool operator==(const Told&, const Told&) = default;
};
using Answers = std::map<std::pair<engine::Ticket, int>, Told>;

class Bed {
 public:
  // pages: of 16 tokens each.
  static base::Result<std::unique_ptr<Bed>> load(const std::filesystem::path& path, int pages,
                                                 int sequences) {
    std::unique_ptr<Bed> bed(new Bed);
    engine::bytes::Conditions conditions;
    conditions.path = path;
    conditions.threads = 2;
    conditions.options.context_max = 1024;
    conditions.options.pages = pages;
    conditions.options.max_concurrent_decodes = sequences;
    conditions.options.max_concurrent_prefill = sequences;
    bed->machine_ = VSURGE_TRY(engine::bytes::Machine::load(conditions));
    VSURGE_TRY(bed->machine_->reserve(conditions));
    const auto vocabulary = VSURGE_TRY(facade::read_gguf_vocabulary(path));
    auto assets = VSURGE_TRY(text::make_text_assets(vocabulary));
    bed->tokenizer_ = assets.tokenizer;
    const engine::EngineOptions& options = bed->machine_->options();
    bed->factory_ = VSURGE_TRY(
        text::GrammarFactory::make(bed->tokenizer_, options.vocabulary, options.eos_tokens));
    return bed;
  }

  const text::Tokenizer& tokenizer() const { return tokenizer_; }
  const text::GrammarFactory& factory() const { return factory_; }

  engine::Request request(std::string_view prompt, const engine::SamplingParams& sampling,
                          const text::Grammar* grammar) const {
    engine::Request out;
    out.prompt = tokenizer_.encode(prompt, false).value();
    out.sampling = sampling;
    const api::ConstraintTokens tokens{machine_->options().vocabulary,
                                       machine_->options().eos_tokens};
    for (int i = 0; grammar != nullptr && i < sampling.n; ++i) {
      out.constraints.push_back(api::make_output_constraint(*grammar, {}, tokens).value());
    }
    return out;
  }

  // All at once; steps until every answer has ended.
  Answers run(std::vector<engine::Request> requests) {
    engine::Scheduler scheduler(machine_->options());
    engine::StepResult result;
    Answers answers;
    base::Nanoseconds now = 1;
    engine::Ticket ticket = 0;
    for (engine::Request& each : requests) scheduler.add(++ticket, std::move(each), now);
    while (!scheduler.idle()) {
      const engine::StepPlan& plan = scheduler.plan(++now);
      result.reset(plan);
      if (!plan.empty()) machine_->executor().run(plan, result);
      for (const engine::Event& event : scheduler.commit(result, now)) {
        Told& told = answers[{event.ticket, event.choice}];
        if (!event.is_end()) {
          told.tokens.push_back(event.token);
          continue;
        }
        told.reason = event.reason;
        if (event.error) told.error = event.error->message;
      }
    }
    preemptions_ += scheduler.metrics().preemptions;
    return answers;
  }
  std::uint64_t preemptions() const { return preemptions_; }

 private:
  Bed() = default;
  std::unique_ptr<engine::bytes::Machine> machine_;
  text::Tokenizer tokenizer_;
  text::GrammarFactory factory_;
  std::uint64_t preemptions_ = 0;
};

}  // namespace vsurge::structured
