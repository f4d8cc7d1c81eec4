// MockRunner: a StepRunner without a model. Everybody is told the same text, a token a step, and a
// step takes a set time.
#pragma once

#include <vector>

#include "base/clock.h"
#include "engine/step_runner.h"

namespace vsurge::mock {

class MockRunner final : public engine::StepRunner {
 public:
  // text: at least one token; said again and again. step: how long a step takes at least, from the
  // begin of the one before; 0 = no time.
  MockRunner(std::vector<engine::TokenId> text, base::Nanoseconds step)
      : text_(std::move(text)), step_(step) {}
  void run(const engine::StepPlan& plan, engine::StepResult& result) override;

 private:
  void wait();

  const std::vector<engine::TokenId> text_;
  const base::Nanoseconds step_;
  const base::SteadyClock clock_;
  base::Nanoseconds next_ = 0;
};

}  // namespace vsurge::mock
