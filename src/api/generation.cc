#include "api/generation.h"

#include <algorithm>
#include <bit>
#include <boost/json/array.hpp>
#include <cmath>
#include <limits>

#include "api/json.h"
#include "api/limits.h"
#include "api/reader.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

constexpr std::int64_t kIntMax = std::numeric_limits<int>::max();

// Both names at once must agree.
ApiResult<void> read_max_tokens(const ObjectReader& body, GenerationFields& out) {
  const auto old_name = VSURGE_TRY(body.integer("max_tokens", 1, kIntMax));
  const auto new_name = VSURGE_TRY(body.integer("max_completion_tokens", 1, kIntMax));
  if (old_name && new_name && *old_name != *new_name) {
    return bad_value("max_tokens",
                     fmt::format("'max_tokens' ({}) and 'max_completion_tokens' ({}) mean the "
                                 "same and differ; send one of them.",
                                 *old_name, *new_name));
  }
  const auto value = new_name ? new_name : old_name;
  if (value) out.sampling.max_tokens = static_cast<int>(*value);
  out.max_tokens_field = new_name ? "max_completion_tokens" : "max_tokens";
  return {};
}

ApiResult<void> read_seed(const ObjectReader& body, engine::SamplingParams& out) {
  const json::value* value = body.find("seed");
  if (value == nullptr) return {};
  if (!value->is_number()) return wrong_type("seed", "an integer", type_name(*value));
  if (value->is_uint64()) {
    out.seed = value->get_uint64();
  } else if (const auto exact = exact_integer(*value)) {
    out.seed = std::bit_cast<std::uint64_t>(*exact);
  } else if (value->get_double() == std::floor(value->get_double())) {
    return bad_value("seed", "'seed' must fit 64 bits.");
  } else {
    return wrong_type("seed", "an integer", "a number with a fraction");
  }
  return {};
}

ApiResult<void> read_sampling(const ObjectReader& body, const SamplingDefaults& defaults,
                              engine::SamplingParams& out) {
  const auto temperature = VSURGE_TRY(body.number("temperature", {0, 2}));
  out.temperature = static_cast<float>(temperature.value_or(defaults.temperature));
  if (out.temperature < kTemperatureMin) out.temperature = 0;
  const auto top_p = VSURGE_TRY(body.number("top_p", {.low = 0, .high = 1, .low_open = true}));
  // A double above 0 may be 0 as a float.
  out.top_p = std::max(static_cast<float>(top_p.value_or(defaults.top_p)),
                       std::numeric_limits<float>::min());
  const auto min_p = VSURGE_TRY(body.number("min_p", {0, 1}));
  out.min_p = static_cast<float>(min_p.value_or(defaults.min_p));
  const auto top_k = VSURGE_TRY(body.integer("top_k", -1, kIntMax));  // -1 is vLLM's "off"
  out.top_k = static_cast<int>(std::max<std::int64_t>(top_k.value_or(defaults.top_k), 0));
  return read_seed(body, out);
}

ApiResult<std::string> read_stop_string(const json::value& value, const std::string& path,
                                        const base::JsonLimits& limits) {
  if (!value.is_string()) return wrong_type(path, "a string", type_name(value));
  const std::string_view text = value.get_string();
  if (text.empty()) return bad_value(path, fmt::format("'{}' must not be empty.", path));
  if (text.size() > limits.stop_string_bytes_max) {
    return bad_value(path, fmt::format("'{}' must have at most {} bytes; found {}.", path,
                                       limits.stop_string_bytes_max, text.size()));
  }
  return std::string(text);
}

ApiResult<std::vector<std::string>> read_stop(const ObjectReader& body,
                                              const base::JsonLimits& limits) {
  std::vector<std::string> stops;
  const json::value* value = body.find("stop");
  if (value == nullptr) return stops;
  if (!value->is_array()) {
    if (!value->is_string()) {
      return wrong_type("stop", "a string or an array of strings", type_name(*value));
    }
    stops.push_back(VSURGE_TRY(read_stop_string(*value, "stop", limits)));
    return stops;
  }
  const json::array& array = value->get_array();
  if (array.size() > limits.stop_strings_max) {
    return bad_value("stop", fmt::format("'stop' must have at most {} strings; found {}.",
                                         limits.stop_strings_max, array.size()));
  }
  for (std::size_t i = 0; i < array.size(); ++i) {
    stops.push_back(VSURGE_TRY(read_stop_string(array[i], fmt::format("stop[{}]", i), limits)));
  }
  return stops;
}

ApiResult<void> read_stream(const ObjectReader& body, Endpoint endpoint, GenerationFields& out) {
  out.stream = VSURGE_TRY(body.boolean("stream", false));
  const json::value* options = body.find("stream_options");
  if (options == nullptr) return {};
  if (!options->is_object()) {
    return wrong_type("stream_options", "an object", type_name(*options));
  }
  if (!out.stream) {
    return bad_value("stream_options",
                     "'stream_options' is only for requests with 'stream': true.");
  }
  VSURGE_TRY(check_fields(options->get_object(), endpoint, "stream_options."));
  const ObjectReader reader(options->get_object(), "stream_options");
  out.include_usage = VSURGE_TRY(reader.boolean("include_usage", false));
  return {};
}

}  // namespace

ApiResult<GenerationFields> read_generation_fields(const json::object& object, Endpoint endpoint,
                                                   const SamplingDefaults& defaults,
                                                   const base::JsonLimits& limits) {
  const ObjectReader body(object, "");
  GenerationFields out;
  auto model = VSURGE_TRY(body.name("model", kIdBytesMax));
  if (!model) return missing("model");
  out.model = std::move(*model);
  VSURGE_TRY(check_fields(object, endpoint));
  VSURGE_TRY(read_max_tokens(body, out));
  VSURGE_TRY(read_sampling(body, defaults, out.sampling));
  out.stop = VSURGE_TRY(read_stop(body, limits));
  VSURGE_TRY(read_stream(body, endpoint, out));
  out.user = VSURGE_TRY(body.name("user", kIdBytesMax)).value_or("");
  return out;
}

}  // namespace vsurge::api
