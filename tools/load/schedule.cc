#include "schedule.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "connection.h"

namespace vsurge::load {

std::vector<Arrival> read_schedule(const std::string& path) {
  std::ifstream file(path);
  if (!file) give_up(path.c_str());
  std::vector<Arrival> schedule;
  double before = 0;
  for (Arrival next; file >> next.at_s >> next.words >> next.answer_tokens;) {
    if (next.at_s < before || next.words < 0 || next.answer_tokens < 1) break;
    before = next.at_s;
    schedule.push_back(next);
  }
  if (!file.eof() || schedule.empty()) {
    std::fprintf(stderr, "vsurge_load: %s: line %zu is not 'second words tokens' in order\n",
                 path.c_str(), schedule.size() + 1);
    std::exit(1);
  }
  return schedule;
}

void write_records(const std::string& path, const std::vector<Record>& records) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) give_up(path.c_str());
  std::fputs("at_s,late_ms,first_ms,between_ms,gap_ms,whole_ms,tokens,status\n", file);
  for (const Record& r : records) {
    std::fprintf(file, "%.4f,%.3f,%.3f,%.3f,%.3f,%.3f,%ld,%d\n", r.at_s, r.late_ms, r.first_ms,
                 r.between_ms, r.gap_ms, r.whole_ms, r.tokens, r.status);
  }
  std::fclose(file);
}

}  // namespace vsurge::load
