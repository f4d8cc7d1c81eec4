// What vsurge bench found, as a table, as JSON and as a picture.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "roofs.h"

namespace vsurge::apps {

enum class BenchKind { kDecode, kContext, kPrefill };

// One point. Speeds are in tokens/s of all streams together, over the rounds.
struct BenchRow {
  BenchKind kind = BenchKind::kDecode;
  int streams = 1;
  int tokens = 0;  // of the prompt (kPrefill) or of the context before the answer
  double median = 0;
  double least = 0;
  double most = 0;
  double read_gb_s = 0;  // beside this point
  double limit = 0;      // tokens/s that the machine allows; 0 = not known

  // Of one step, or to the first token of a prompt.
  double milliseconds() const {
    return 1e3 * (kind == BenchKind::kPrefill ? tokens : streams) / median;
  }
};

struct BenchReport {
  std::string model;
  std::string weights;  // for people
  std::string isa;
  int threads = 0;
  std::int64_t weight_bytes = 0;
  Roofs roofs;
  std::vector<BenchRow> rows;
};

std::string table_of(const BenchReport& report);
std::string json_of(const BenchReport& report);
std::string svg_of(const BenchReport& report);

}  // namespace vsurge::apps
