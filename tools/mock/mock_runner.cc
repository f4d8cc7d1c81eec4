#include "mock_runner.h"

#include <algorithm>
#include <ctime>

namespace vsurge::mock {

// Sleeps, so that the cores are the server's.
void MockRunner::wait() {
  if (step_ == 0) return;
  const base::Nanoseconds now = clock_.now();
  if (next_ > now) {
    constexpr base::Nanoseconds kSecond = 1'000'000'000;
    const timespec rest{(next_ - now) / kSecond, (next_ - now) % kSecond};
    ::nanosleep(&rest, nullptr);
  }
  next_ = std::max(next_, now - step_) + step_;
}

void MockRunner::run(const engine::StepPlan& plan, engine::StepResult& result) {
  wait();
  for (std::size_t i = 0; i < result.rows.size(); ++i) {
    const std::uint64_t position = plan.rows[i].position;
    result.rows[i] = {.token = text_[position % text_.size()],
                      .status = kernels::SampleStatus::kOk};
  }
}

}  // namespace vsurge::mock
