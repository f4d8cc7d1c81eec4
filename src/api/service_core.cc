#include "api/service_core.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace vsurge::api {
namespace {

std::unique_ptr<GrammarCache> make_grammars(const text::Tokenizer& tokenizer,
                                            const ModelOptions& options) {
  if (options.end_tokens.empty()) return nullptr;
  auto factory = text::GrammarFactory::make(tokenizer, options.vocabulary, options.end_tokens);
  if (!factory) {
    base::log_warning("answers cannot be constrained (response_format, tool_choice): {}",
                      factory.error().message);
    return nullptr;
  }
  return std::make_unique<GrammarCache>(std::move(*factory), base::GrammarLimits{}.cache_bytes_max);
}

}  // namespace

ServiceCore::ServiceCore(ServiceHub& hub_in, const ServedModel& model)
    : hub(hub_in),
      options(model.options),
      assets(model.assets),
      engine(model.engine),
      router(model.router),
      grammars(make_grammars(assets.tokenizer, options)) {}

void ServiceCore::set_deadlines(base::Nanoseconds arrived, std::optional<double> timeout_seconds,
                                engine::Request& request) const {
  base::Nanoseconds longest = hub.options.request_timeout;
  if (timeout_seconds) {
    const auto own = static_cast<base::Nanoseconds>(*timeout_seconds * 1e9);
    longest = longest == 0 ? own : std::min(longest, own);
  }
  if (longest != 0 || timeout_seconds) request.deadline = arrived + longest;
  const base::Nanoseconds queued = hub.options.queue_timeout;
  if (queued != 0) request.queue_deadline = arrived + queued;
}

bool ServiceCore::knows_model(std::string_view name) const {
  return std::ranges::find(options.model_names, name) != options.model_names.end();
}

}  // namespace vsurge::api
