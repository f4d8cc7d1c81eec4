// Any bytes as the value of a label: the metrics stay one sample on one line of valid UTF-8, and
// what a scraper reads back is the text, with U+FFFD for what was not UTF-8.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/metric_text.h"
#include "base/error.h"
#include "base/escape.h"

namespace vsurge::api {
namespace {

std::string cleaned(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t size = base::utf8_length(text);
    out += size == 0 ? "\xEF\xBF\xBD" : text.substr(0, size);
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return out;
}

// Up to the quote that ends the value, as the format's reader does it.
std::string unescaped(std::string_view text, std::size_t& at) {
  std::string out;
  for (; at < text.size() && text[at] != '"'; ++at) {
    CHECK(text[at] != '\n');
    if (text[at] != '\\') {
      out += text[at];
      continue;
    }
    ++at;
    CHECK(at < text.size() && (text[at] == 'n' || text[at] == '"' || text[at] == '\\'));
    out += text[at] == 'n' ? '\n' : text[at];
  }
  return out;
}

void run(std::string_view bytes) {
  constexpr std::string_view kHead = "m{a=\"";
  constexpr std::string_view kTail = "\",b=\"c\"} 1.0\n";
  MetricText metrics;
  metrics.metric("m", MetricKind::kGauge, "Help.");
  metrics.sample({{"a", bytes}, {"b", "c"}}, 1);
  const std::string text = metrics.take();
  CHECK(cleaned(text) == text);
  std::size_t at = text.find(kHead) + kHead.size();
  CHECK(unescaped(text, at) == cleaned(bytes));
  CHECK(std::string_view(text).substr(at) == kTail);
}

}  // namespace
}  // namespace vsurge::api

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  vsurge::api::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
