// What chat and completions requests have in common: sampling, length, stop strings, streaming.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <vector>

#include "api/api_error.h"
#include "api/fields.h"
#include "base/limits.h"
#include "engine/request.h"

namespace vsurge::api {

// Used where a request says nothing; the checkpoint's generation_config, else OpenAI's.
struct SamplingDefaults {
  float temperature = 1.0F;  // [0, 2]
  float top_p = 1.0F;        // (0, 1]
  float min_p = 0.0F;        // [0, 1]
  int top_k = 0;             // 0 = off
};

// Below this a temperature means greedy.
inline constexpr double kTemperatureMin = 1e-5;

struct GenerationFields {
  std::string model;
  engine::SamplingParams sampling;  // max_tokens only when the client gave it
  std::string max_tokens_field;     // its name in the request, for errors
  std::vector<std::string> stop;
  bool stream = false;
  bool include_usage = false;
  std::string user;
};

ApiResult<GenerationFields> read_generation_fields(const boost::json::object& object,
                                                   Endpoint endpoint,
                                                   const SamplingDefaults& defaults,
                                                   const base::JsonLimits& limits);

}  // namespace vsurge::api
