#include "api/formats/tool_formats.h"

#include <array>

#include "api/formats/harmony.h"

namespace vsurge::api {

std::span<const ToolFormat* const> tool_formats() {
  static const auto all = std::to_array<const ToolFormat*>({
      &kApertusFormat,       &kCohereCommandFormat, &kDeepseekV3Format,   &kDeepseekV31Format,
      &kDeepseekV32Format,   &kErnie45Format,       &kFirefunctionFormat, &kFunctionaryV31Format,
      &kFunctiongemmaFormat, &kGemma4Format,        &kGigachat3Format,    &kGlimmerFormat,
      &kGlm45Format,         &kGlm47Format,         &kGraniteFormat,      &kGranite20bFcFormat,
      &kHermesFormat,        &kHunyuanA13bFormat,   &kInternlmFormat,     &kJambaFormat,
      &kKimiK2Format,        &kLfm2Format,          &kLlama3JsonFormat,   &kLlama4PythonicFormat,
      &kLongcatFormat,       &kMinimaxFormat,       &kMinimaxM2Format,    &kMistralFormat,
      &kNemotronFormat,      &kOlmo3Format,         &kOpenaiFormat,       &kPhi4MiniJsonFormat,
      &kPythonicFormat,      &kQwen3CoderFormat,    &kQwen3XmlFormat,     &kSeedOssFormat,
      &kStep3Format,         &kStep3p5Format,       &kXlamFormat,         &kFunctionaryV32Format,
      &kSolarOpenFormat,     &harmony_tools(),
  });
  return all;
}

const ToolFormat* find_tool_format(std::string_view name) {
  for (const ToolFormat* format : tool_formats()) {
    if (format->name == name) return format;
  }
  for (const ToolFormat* format : tool_formats()) {
    if (format->aliases.contains(name)) return format;
  }
  return nullptr;
}

}  // namespace vsurge::api
