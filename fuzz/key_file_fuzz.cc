// Any bytes as a file of API keys: an error that names a line, or keys that are written and read
// back as they are.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "access/key_file.h"
#include "base/error.h"

namespace vsurge::access {
namespace {

void run(std::string_view bytes) {
  const auto keys = parse_key_file(bytes);
  if (!keys) {
    CHECK(!keys.error().message.empty());
    CHECK(keys.error().message.find('\n') == std::string::npos);
    return;
  }
  const auto again = parse_key_file(key_file_text(*keys));
  CHECK(again.has_value(), "{}", again.error().message);
  CHECK(*again == *keys);
}

}  // namespace
}  // namespace vsurge::access

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  vsurge::access::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
