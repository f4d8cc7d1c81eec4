// A server that says the same canned stream to everybody, as fast as sockets take it: what
// vsurge_load gets from it is the most that vsurge_load can measure.
#pragma once

#include "load/options.h"

namespace vsurge::load {

// Starts it, on a thread that ends with the program; its port.
int start_yardstick(const Options& options);

}  // namespace vsurge::load
