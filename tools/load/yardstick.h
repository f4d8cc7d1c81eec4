// A server that says the same canned stream to everybody, as fast as sockets take it: what
// vsurge_load gets from it is the most that vsurge_load can measure.
#pragma once

#include <vector>

#include "options.h"

namespace vsurge::load {

// Starts it, on a thread that ends with the program; its port.
int start_yardstick(const Options& options);

// The least time from a step to each stream's send(): one thread that sends an event to each client
// in turn, 50 times a second, and does nothing else. Microseconds from the first send's call to
// each one's; clients read once in turn_ms.
std::vector<double> send_floor(const Options& options);

}  // namespace vsurge::load
