// A template and its context, with a zero byte between: text, or an error that is not our fault.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "text/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const auto gap = all.find('\0');
  const auto source = all.substr(0, gap);
  const auto context = gap == std::string_view::npos ? "{}" : all.substr(gap + 1);
  vsurge::base::TemplateLimits limits;
  limits.output_bytes_max = 1 * vsurge::base::kMiB;
  limits.fuel = 200'000;
  limits.render_time_ms_max = 500;
  const auto made = vsurge::text::ChatTemplate::compile(source, limits);
  if (!made) {
    if (made.error().code != vsurge::base::ErrorCode::kTemplateError) std::abort();
    return 0;
  }
  const auto text = made->render(context, 1'767'323'045);
  if (!text && text.error().code != vsurge::base::ErrorCode::kTemplateError) std::abort();
  if (text && text->size() > limits.output_bytes_max) std::abort();
  return 0;
}
