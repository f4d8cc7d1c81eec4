// All tool formats, one file each.
#pragma once

#include "api/formats/tool_format.h"

namespace vsurge::api {

extern const ToolFormat kApertusFormat;
extern const ToolFormat kCohereCommandFormat;
extern const ToolFormat kDeepseekV3Format;
extern const ToolFormat kDeepseekV31Format;
extern const ToolFormat kDeepseekV32Format;
extern const ToolFormat kErnie45Format;
extern const ToolFormat kFirefunctionFormat;
extern const ToolFormat kFunctionaryV31Format;
extern const ToolFormat kFunctionaryV32Format;
extern const ToolFormat kFunctiongemmaFormat;
extern const ToolFormat kGemma4Format;
extern const ToolFormat kGigachat3Format;
extern const ToolFormat kGlimmerFormat;
extern const ToolFormat kGlm45Format;
extern const ToolFormat kGlm47Format;
extern const ToolFormat kGraniteFormat;
extern const ToolFormat kGranite20bFcFormat;
extern const ToolFormat kHermesFormat;
extern const ToolFormat kHunyuanA13bFormat;
extern const ToolFormat kInternlmFormat;
extern const ToolFormat kJambaFormat;
extern const ToolFormat kKimiK2Format;
extern const ToolFormat kLfm2Format;
extern const ToolFormat kLlama3JsonFormat;
extern const ToolFormat kLlama4PythonicFormat;
extern const ToolFormat kLongcatFormat;
extern const ToolFormat kMinimaxFormat;
extern const ToolFormat kMinimaxM2Format;
extern const ToolFormat kMistralFormat;
extern const ToolFormat kNemotronFormat;
extern const ToolFormat kOlmo3Format;
extern const ToolFormat kOpenaiFormat;
extern const ToolFormat kPhi4MiniJsonFormat;
extern const ToolFormat kPythonicFormat;
extern const ToolFormat kQwen3CoderFormat;
extern const ToolFormat kQwen3XmlFormat;
extern const ToolFormat kSeedOssFormat;
extern const ToolFormat kSolarOpenFormat;
extern const ToolFormat kStep3Format;
extern const ToolFormat kStep3p5Format;
extern const ToolFormat kXlamFormat;

}  // namespace vsurge::api
