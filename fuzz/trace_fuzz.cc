// A trace of requests; after a NUL byte the description of a machine, on which it is served.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "capacity/cluster.h"
#include "capacity/machine.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vsurge;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto cut = std::min(text.find('\0'), text.size());
  const auto trace = capacity::parse_trace("trace", text.substr(0, cut));
  const auto machine =
      capacity::parse_machine("machine", text.substr(std::min(cut + 1, text.size())));
  if (!trace) return 0;
  CHECK(!trace->requests.empty() && trace->duration() >= 0);
  for (const capacity::TraceRequest& request : trace->requests) {
    CHECK(request.prompt_tokens >= 1 && request.answer_tokens >= 1);
    CHECK(trace->blocks_of(request).size() == request.blocks);
  }
  if (!machine || trace->requests.size() > 50) return 0;
  capacity::ClusterOptions options;
  options.replicas = 2;
  options.engine.context_max = 256;
  options.engine.pages = 64;
  options.engine.vocabulary = 100;
  options.engine.cost = machine->cost_of({.weight_bytes = 1e6, .layer_ops = 1e6, .head_ops = 1e5});
  if (!options.engine.cost.known()) return 0;
  const capacity::Outcome outcome = capacity::simulate(*trace, options);
  CHECK(outcome.finished + outcome.refused + outcome.too_long == trace->requests.size());
  return 0;
}
