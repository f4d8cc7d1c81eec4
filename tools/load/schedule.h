// When requests begin, by a file: a trace replayed.
#pragma once

#include <string>
#include <vector>

namespace vsurge::load {

struct Arrival {
  double at_s = 0;
  int words = 0;
  int answer_tokens = 0;
};

// What came of one request. Times count from when it was due, not from when it was sent.
struct Record {
  double at_s = 0;        // due
  double late_ms = 0;     // sent after that
  double first_ms = 0;    // its first text
  double between_ms = 0;  // mean time of a token after the first
  double gap_ms = 0;      // longest time without text
  double whole_ms = 0;
  long tokens = -1;  // -1: not answered in full
  int status = 0;
};

// Ends the program where a line is not in order, or earlier than the one before.
std::vector<Arrival> read_schedule(const std::string& path);

// As CSV, with a line of names.
void write_records(const std::string& path, const std::vector<Record>& records);

}  // namespace vsurge::load
