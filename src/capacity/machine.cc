#include "capacity/machine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>
#include <boost/json/value.hpp>

#include "base/mapped_file.h"
#include "model/json_tree.h"

namespace vsurge::capacity {
namespace {

namespace json = boost::json;
using base::ErrorCode;
using base::fail;

constexpr double kGiga = 1e9;
constexpr double kNsMax = 1e15;    // of a step: eleven days
constexpr double kRateMin = 1e-3;  // giga per second: so that all times are finite
constexpr double kRateMax = 1e9;
constexpr double kMemoryGbMax = 1e6;

// Numbers of one object, each known by name.
class Members {
 public:
  Members(const std::string& name, std::string path, const json::object& object)
      : name_(name), path_(std::move(path)), object_(object) {}

  // 0 where it is absent.
  base::Result<double> number(std::string_view key, double least, double most) const {
    const json::value* value = object_.if_contains(key);
    if (value == nullptr) return 0;
    const double found = value->is_number() ? value->to_number<double>() : -1;
    if (!(found >= least && found <= most)) {
      return fail(ErrorCode::kUsage, "{}: {}{}: expected a number from {} to {}", name_, path_, key,
                  least, most);
    }
    return found;
  }
  base::Status only(std::initializer_list<std::string_view> known) const {
    for (const auto& [key, value] : object_) {
      if (std::ranges::find(known, std::string_view(key)) != known.end()) continue;
      return fail(ErrorCode::kUsage, "{}: expected {}, found {}{}", name_, fmt::join(known, ", "),
                  path_, std::string_view(key));
    }
    return {};
  }

 private:
  const std::string& name_;
  const std::string path_;
  const json::object& object_;
};

base::Result<engine::StepCost> parse_step(const std::string& name, const json::value& value) {
  if (!value.is_object()) return fail(ErrorCode::kUsage, "{}: step: expected an object", name);
  const Members members(name, "step.", value.get_object());
  VSURGE_TRY(members.only({"tokens_ns", "row_ns", "decode_key_ns", "prompt_key_ns"}));
  engine::StepCost cost;
  const json::value* times = value.get_object().if_contains("tokens_ns");
  const bool is_list = times != nullptr && times->is_array() && !times->get_array().empty() &&
                       times->get_array().size() <= cost.tokens_ns.size();
  if (!is_list) {
    return fail(ErrorCode::kUsage, "{}: step.tokens_ns: expected a list of 1 to {} times", name,
                cost.tokens_ns.size());
  }
  std::size_t power = 0;
  for (const json::value& time : times->get_array()) {
    const double ns = time.is_number() ? time.to_number<double>() : 0;
    if (!(ns > 0 && ns <= kNsMax)) {
      return fail(ErrorCode::kUsage, "{}: step.tokens_ns: expected nanoseconds above 0", name);
    }
    cost.tokens_ns[power++] = ns;
  }
  cost.row_ns = VSURGE_TRY(members.number("row_ns", 0, kNsMax));
  cost.decode_key_ns = VSURGE_TRY(members.number("decode_key_ns", 0, kNsMax));
  cost.prompt_key_ns = VSURGE_TRY(members.number("prompt_key_ns", 0, kNsMax));
  return cost;
}

}  // namespace

engine::StepCost Machine::cost_of(const ModelWork& work) const {
  if (measured.known()) return measured;
  const double read_ns = work.weight_bytes / read_bytes_per_second * kGiga;
  const auto ops_ns = [&](double ops) { return ops / ops_per_second * kGiga; };
  engine::StepCost cost;
  for (std::size_t power = 0; power < cost.tokens_ns.size(); ++power) {
    const auto tokens = static_cast<double>(1U << power);
    cost.tokens_ns[power] = std::max(read_ns, ops_ns(tokens * work.layer_ops + work.head_ops));
  }
  cost.row_ns = ops_ns(work.head_ops);
  cost.decode_key_ns = work.key_bytes / read_bytes_per_second * kGiga;
  cost.prompt_key_ns = ops_ns(work.prompt_key_ops);
  return cost;
}

base::Result<Machine> parse_machine(const std::string& name, std::string_view text) {
  constexpr std::size_t kDepthMax = 4;
  auto parsed = model::parse_json(name, text, kDepthMax);
  if (!parsed) return fail(ErrorCode::kUsage, "{}", parsed.error().message);
  if (!parsed->is_object()) return fail(ErrorCode::kUsage, "{}: expected a JSON object", name);
  const Members members(name, "", parsed->get_object());
  VSURGE_TRY(members.only({"memory_gb", "read_gb_s", "gop_s", "step"}));
  Machine machine;
  machine.memory_bytes = kGiga * VSURGE_TRY(members.number("memory_gb", 0, kMemoryGbMax));
  machine.read_bytes_per_second =
      kGiga * VSURGE_TRY(members.number("read_gb_s", kRateMin, kRateMax));
  machine.ops_per_second = kGiga * VSURGE_TRY(members.number("gop_s", kRateMin, kRateMax));
  if (const json::value* step = parsed->get_object().if_contains("step")) {
    machine.measured = VSURGE_TRY(parse_step(name, *step));
  } else if (machine.read_bytes_per_second == 0 || machine.ops_per_second == 0) {
    return fail(ErrorCode::kUsage, "{}: expected step, or read_gb_s and gop_s", name);
  }
  return machine;
}

base::Result<Machine> read_machine(const std::string& path) {
  constexpr std::size_t kBytesMax = 1 << 16;
  auto text = base::read_text_file(path, kBytesMax);
  if (!text) return fail(ErrorCode::kEnvironment, "{}", text.error().message);
  return parse_machine(path, *text);
}

std::string machine_json(const engine::StepCost& cost, double memory_bytes) {
  std::string times;
  for (const double ns : cost.tokens_ns) {
    if (ns > 0) times += fmt::format("{}{:.0f}", times.empty() ? "" : ", ", ns);
  }
  return fmt::format(
      "{{\"memory_gb\": {:.3f}, \"step\": {{\"tokens_ns\": [{}], \"row_ns\": {:.1f},\n"
      "  \"decode_key_ns\": {:.3f}, \"prompt_key_ns\": {:.4f}}}}}\n",
      memory_bytes / kGiga, times, cost.row_ns, cost.decode_key_ns, cost.prompt_key_ns);
}

}  // namespace vsurge::capacity
