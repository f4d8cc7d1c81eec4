// config.json, and after a NUL byte generation_config.json.
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/log.h"
#include "model/families.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using vsurge::model::Config;
  [[maybe_unused]] static const auto quiet =
      vsurge::base::init_logging("off", vsurge::base::LogFormat::kText);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto cut = text.find('\0');
  const auto config = Config::parse("config.json", text.substr(0, cut));
  if (!config) return 0;
  std::optional<Config> generation;
  if (cut != std::string_view::npos) {
    auto parsed = Config::parse("generation_config.json", text.substr(cut + 1));
    if (parsed) generation = std::move(*parsed);
  }
  const auto spec = vsurge::model::spec_of_config(*config, generation ? &*generation : nullptr);
  if (!spec) return 0;
  CHECK(spec->heads % spec->kv_heads == 0 && spec->head_dim % 8 == 0 && spec->hidden > 0);
  vsurge::model::Rope rope(spec->rope);  // must not find fault with what was accepted
  return 0;
}
