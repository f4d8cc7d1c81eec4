#include "text/bridge.h"

#include "base/escape.h"

namespace vsurge::text {
namespace {

constexpr std::size_t kMessageBytesMax = 2000;

}  // namespace

base::Error bridge_error(int status, const BridgeBytes& text, base::ErrorCode code,
                         std::string_view what) {
  const std::string shown = base::escape_for_line(base::shorten(text.view(), kMessageBytesMax));
  if (status == TB_PANIC) {
    return {base::ErrorCode::kInternal, fmt::format("{}: failed inside: {}", what, shown), {}};
  }
  return {code, what.empty() ? shown : fmt::format("{}: {}", what, shown), {}};
}

}  // namespace vsurge::text
