#include "capacity/trace.h"

#include <algorithm>
#include <boost/json/value.hpp>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "base/escape.h"
#include "base/mapped_file.h"
#include "model/json_tree.h"

namespace vsurge::capacity {
namespace {

namespace json = boost::json;
using base::ErrorCode;
using base::fail;

constexpr std::string_view kCsvHeader = "TIMESTAMP,ContextTokens,GeneratedTokens";

// Reads one line after the other into a trace.
class Reader {
 public:
  Reader(std::string_view name, const TraceLimits& limits) : name_(name), limits_(limits) {}

  base::Result<Trace> read(std::string_view text);

 private:
  // "trace.csv:12: expected ..., found ..."
  std::unexpected<base::Error> bad(std::string_view expected, std::string_view found) const {
    constexpr std::size_t kShown = 80;
    return fail(ErrorCode::kUsage, "{}:{}: expected {}, found '{}'", name_, line_, expected,
                base::escape_for_line(found.substr(0, kShown)));
  }
  base::Status add_csv(std::string_view line);
  base::Status add_json(std::string_view line);
  base::Status add(double time, std::int64_t prompt, std::int64_t answer);
  void sort_by_arrival();

  const std::string_view name_;
  const TraceLimits& limits_;
  std::size_t line_ = 0;
  Trace trace_;
};

std::optional<int> digits(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty() || value < 0) {
    return std::nullopt;
  }
  return value;
}

std::optional<double> seconds(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= 0 && value < 61)) {
    return std::nullopt;
  }
  return value;
}

// "2023-11-16 18:15:46.6805900" -> seconds since 1970.
std::optional<double> time_of(std::string_view text) {
  if (text.size() < 19 || text[4] != '-' || text[7] != '-' ||
      (text[10] != ' ' && text[10] != 'T') || text[13] != ':' || text[16] != ':') {
    return std::nullopt;
  }
  const auto year = digits(text.substr(0, 4)), month = digits(text.substr(5, 2)),
             day = digits(text.substr(8, 2)), hour = digits(text.substr(11, 2)),
             minute = digits(text.substr(14, 2));
  const auto second = seconds(text.substr(17));
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *hour > 23 || *minute > 59) return std::nullopt;
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  return 86400.0 * static_cast<double>(days) + 3600.0 * *hour + 60.0 * *minute + *second;
}

base::Status Reader::add(double time, std::int64_t prompt, std::int64_t answer) {
  for (const std::int64_t tokens : {prompt, answer}) {
    if (tokens < 0 || tokens > limits_.tokens) {
      return bad(fmt::format("0 to {} tokens", limits_.tokens), fmt::format("{}", tokens));
    }
  }
  if (trace_.requests.size() >= limits_.requests) {
    return bad(fmt::format("at most {} requests", limits_.requests), "more");
  }
  trace_.requests.push_back({.arrival = time,
                             .prompt_tokens = static_cast<int>(std::max<std::int64_t>(prompt, 1)),
                             .answer_tokens = static_cast<int>(std::max<std::int64_t>(answer, 1)),
                             .first_block = trace_.blocks.size(),
                             .blocks = 0});
  return {};
}

base::Status Reader::add_csv(std::string_view line) {
  if (line_ == 1) {
    if (line != kCsvHeader) return bad(kCsvHeader, line);
    return {};
  }
  const std::size_t first = line.find(',');
  const std::size_t second = first == line.npos ? line.npos : line.find(',', first + 1);
  if (second == line.npos) return bad("three fields", line);
  const auto time = time_of(line.substr(0, first));
  if (!time) return bad("a time such as 2023-11-16 18:15:46.6805900", line.substr(0, first));
  const auto prompt = digits(line.substr(first + 1, second - first - 1));
  const auto answer = digits(line.substr(second + 1));
  if (!prompt || !answer) return bad("two numbers of tokens", line.substr(first + 1));
  return add(*time, *prompt, *answer);
}

// An integer, perhaps written as 16.0.
std::optional<std::int64_t> integer(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  const auto number = value->to_number<double>();
  if (number != std::floor(number) || std::abs(number) > 9e15) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

base::Status Reader::add_json(std::string_view line) {
  constexpr std::size_t kDepthMax = 4;
  const auto parsed = model::parse_json(fmt::format("{}:{}", name_, line_), line, kDepthMax);
  if (!parsed) return bad("a JSON object", line);
  const json::object* object = parsed->if_object();
  if (object == nullptr) return bad("a JSON object", line);
  const auto time = integer(*object, "timestamp");
  const auto prompt = integer(*object, "input_length");
  const auto answer = integer(*object, "output_length");
  if (!time || *time < 0) return bad("timestamp: whole milliseconds", line);
  if (!prompt || !answer) return bad("input_length and output_length: whole numbers", line);
  VSURGE_TRY(add(1e-3 * static_cast<double>(*time), *prompt, *answer));
  const json::value* ids = object->if_contains("hash_ids");
  if (ids == nullptr) return {};
  if (!ids->is_array()) return bad("hash_ids: a list", line);
  const json::array& blocks = ids->get_array();
  TraceRequest& request = trace_.requests.back();
  const auto most = (static_cast<std::size_t>(request.prompt_tokens) +
                     static_cast<std::size_t>(trace_.block_tokens) - 1) /
                    static_cast<std::size_t>(trace_.block_tokens);
  if (trace_.blocks.size() + blocks.size() > limits_.blocks) {
    return bad(fmt::format("at most {} hash_ids in all", limits_.blocks), "more");
  }
  for (const json::value& id : blocks) {
    const auto number = id.is_number() ? id.to_number<double>() : -1;
    if (!(number >= 0 && number < 9e15)) return bad("hash_ids: whole numbers", line);
    if (request.blocks == most) break;  // of the answer
    trace_.blocks.push_back(static_cast<std::uint64_t>(number));
    ++request.blocks;
  }
  return {};
}

// Those of the same time stay as the file has them. (Of std::stable_sort libstdc++ 12's is one that
// clang takes for deprecated.)
void Reader::sort_by_arrival() {
  std::vector<std::pair<double, std::size_t>> order;
  for (const TraceRequest& request : trace_.requests) {
    order.emplace_back(request.arrival, order.size());
  }
  std::ranges::sort(order);
  std::vector<TraceRequest> sorted;
  sorted.reserve(order.size());
  for (const auto& [arrival, place] : order) sorted.push_back(trace_.requests[place]);
  trace_.requests = std::move(sorted);
}

base::Result<Trace> Reader::read(std::string_view text) {
  if (text.size() > limits_.bytes) {
    return fail(ErrorCode::kUsage, "{}: expected at most {} bytes, found {}", name_, limits_.bytes,
                text.size());
  }
  const bool is_json = text.starts_with('{');
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line_;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    VSURGE_TRY(is_json ? add_json(line) : add_csv(line));
  }
  if (trace_.requests.empty()) return bad("at least one request", "none");
  sort_by_arrival();
  const double first = trace_.requests.front().arrival;
  for (TraceRequest& request : trace_.requests) request.arrival -= first;
  if (trace_.duration() > limits_.seconds) {
    return fail(ErrorCode::kUsage,
                "{}: expected at most {:.0f} s from the first request to the last, found {:.0f}",
                name_, limits_.seconds, trace_.duration());
  }
  return std::move(trace_);
}

}  // namespace

base::Result<Trace> parse_trace(std::string_view name, std::string_view text,
                                const TraceLimits& limits) {
  return Reader(name, limits).read(text);
}

base::Result<Trace> read_trace(const std::string& path, const TraceLimits& limits) {
  auto text = base::read_text_file(path, limits.bytes);
  if (!text) return fail(ErrorCode::kEnvironment, "{}", text.error().message);
  return parse_trace(path, *text, limits);
}

}  // namespace vsurge::capacity
