// FailingRunner: a StepRunner that fails at a step of one's choice, to see what follows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "engine/step_runner.h"

namespace vsurge::engine {

enum class Failure : std::uint8_t {
  kThrow,
  kHang,       // for ever
  kNotFinite,  // the first row has logits that are no numbers
};

struct Failpoint {
  Failure failure = Failure::kThrow;
  std::optional<std::uint64_t> step = 0;  // the first is 0; nothing: before all, while it loads
  std::string engine;                     // its name; empty = each
};

// "throw@100", "hang@0", "nan@7", "hang@load", and for one of several engines "NAME:throw@100";
// kUsage else.
base::Result<Failpoint> parse_failpoint(std::string_view text);

class FailingRunner final : public StepRunner {
 public:
  // `to` must outlive it.
  FailingRunner(StepRunner& to, const Failpoint& failpoint) : to_(to), failpoint_(failpoint) {}
  void run(const StepPlan& plan, StepResult& result) override;
  // Before the first step: hangs where it should while it loads.
  void load() const;

 private:
  StepRunner& to_;
  const Failpoint failpoint_;
  std::uint64_t steps_ = 0;
};

}  // namespace vsurge::engine
