// POST /v1/completions.
#pragma once

#include "api/prepare.h"

namespace vsurge::api {

extern const GenerationEndpoint kCompletionsEndpoint;

}  // namespace vsurge::api
