#include "engine/failpoint.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <stdexcept>
#include <utility>

namespace vsurge::engine {
namespace {

constexpr std::array<std::pair<std::string_view, Failure>, 3> kFailures = {{
    {"throw", Failure::kThrow},
    {"hang", Failure::kHang},
    {"nan", Failure::kNotFinite},
}};

[[noreturn]] void hang() {
  for (;;) {
    const timespec hour{3600, 0};
    ::nanosleep(&hour, nullptr);
  }
}

}  // namespace

base::Result<Failpoint> parse_failpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');  // a name may hold one
  const bool named = colon != std::string_view::npos;
  const std::string_view failure = named ? text.substr(colon + 1) : text;
  std::string engine(text.substr(0, named ? colon : 0));
  if (failure == "hang@load" && named == !engine.empty()) {
    return Failpoint{Failure::kHang, {}, std::move(engine)};
  }
  const std::size_t at = failure.find('@');
  const auto* kind = std::ranges::find(kFailures, failure.substr(0, at),
                                       &std::pair<std::string_view, Failure>::first);
  std::uint64_t step = 0;
  const char* end = failure.data() + failure.size();
  const bool number = at != std::string_view::npos &&
                      std::from_chars(failure.data() + at + 1, end, step).ptr == end &&
                      at + 1 < failure.size();
  if (kind == kFailures.end() || !number || named == engine.empty()) {
    return base::fail(base::ErrorCode::kUsage,
                      "failpoint: expected throw@N, hang@N, nan@N or hang@load, or one of them as "
                      "NAME:throw@N, found '{}'",
                      text);
  }
  return Failpoint{kind->second, step, std::move(engine)};
}

void FailingRunner::load() const {
  if (!failpoint_.step && failpoint_.failure == Failure::kHang) hang();
}

void FailingRunner::run(const StepPlan& plan, StepResult& result) {
  const bool due = steps_++ == failpoint_.step;
  if (due && failpoint_.failure == Failure::kThrow) throw std::runtime_error("failpoint");
  if (due && failpoint_.failure == Failure::kHang) hang();
  to_.run(plan, result);
  if (due && !result.rows.empty()) result.rows.front().status = kernels::SampleStatus::kNotFinite;
}

}  // namespace vsurge::engine
