// Cuts a failing scenario down to one that a person can read.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "tests/sim/scenario.h"

namespace vsurge::engine::sim {

// Whether a scenario has the fault.
using Fails = std::function<bool(const Scenario&)>;

// The least scenario found for which `fails` still holds: without some events, requests' features
// and options' dimensions, and with smaller numbers.
Scenario shrink(Scenario scenario, const Fails& fails);

// The fault of a run in a process of its own, so that a CHECK that fails counts, and so does a run
// without an end. Empty when there is none.
std::string fault_apart(const Scenario& scenario);

// Whether two faults are the same, but for the numbers in them.
bool same_fault(std::string_view a, std::string_view b);

}  // namespace vsurge::engine::sim
