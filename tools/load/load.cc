// vsurge_load: clients of a server on this machine, and the figures of what they got.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "connection.h"
#include "options.h"
#include "run.h"
#include "yardstick.h"

namespace {

using vsurge::load::Figures;

// NaN is not JSON: 0 where there is nothing.
double percentile(std::vector<double>& values, double share) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}

struct Row {
  std::string name;
  double value;
  const char* unit;
};

std::vector<Row> rows_of(Figures& figures) {
  const double seconds = figures.seconds;
  const auto count = [](long value) { return static_cast<double>(value); };
  std::vector<Row> rows = {{"begun", count(figures.begun), ""},
                           {"good", count(figures.good), ""},
                           {"refused", count(figures.refused), ""},
                           {"retried", count(figures.retried), ""},
                           {"unadvised", count(figures.unadvised), ""},
                           {"bad", count(figures.bad), ""},
                           {"cancelled", count(figures.cancelled), ""},
                           {"failed", count(figures.failed), ""},
                           {"seconds", seconds, "s"},
                           {"clients_cpu", figures.cpu_seconds, "s"},
                           {"tokens", count(figures.tokens), ""},
                           {"tokens_rate", count(figures.tokens) / seconds, "tokens/s"},
                           {"requests_rate", count(figures.good) / seconds, "1/s"}};
  const auto add = [&rows](const char* name, std::vector<double>& values) {
    rows.push_back({std::string(name) + "_p50", percentile(values, 0.5), "ms"});
    rows.push_back({std::string(name) + "_p90", percentile(values, 0.9), "ms"});
    rows.push_back({std::string(name) + "_p99", percentile(values, 0.99), "ms"});
  };
  add("first", figures.first_ms);
  add("between", figures.between_ms);
  add("whole", figures.whole_ms);
  add("refusal", figures.refusal_ms);
  return rows;
}

void print(const std::vector<Row>& rows, const std::string& path) {
  for (const Row& row : rows) {
    std::printf("%-16s %14.3f %s\n", row.name.c_str(), row.value, row.unit);
  }
  if (path.empty()) return;
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) vsurge::load::give_up(path.c_str());
  const char* separator = "{";
  for (const Row& row : rows) {
    std::fprintf(file, "%s\n\"%s\": %.6f", separator, row.name.c_str(), row.value);
    separator = ",";
  }
  std::fputs("\n}\n", file);
  std::fclose(file);
}

}  // namespace

int main(int argc, char** argv) {
  vsurge::load::Options options = vsurge::load::parse_options(argc, argv);
  if (options.yardstick) {
    options.port = vsurge::load::start_yardstick(options);
    options.model = "yardstick";
  }
  if (options.floor) {
    std::vector<double> micros = vsurge::load::send_floor(options);
    const double middle = percentile(micros, 0.5);
    print({{"send_p50", middle, "us"}, {"send_p99", percentile(micros, 0.99), "us"}}, options.json);
    return 0;
  }
  Figures figures = vsurge::load::run(options);
  print(rows_of(figures), options.json);
  if (!options.records.empty()) vsurge::load::write_records(options.records, figures.records);
  return figures.failed == 0 ? 0 : 1;
}
