// The log of the library, for programs that bring none of their own.
#pragma once

#include <string_view>

#include "base/error.h"

namespace vsurge::facade {

// Text at info on stderr, unless logging was set up already.
void ensure_logging();
// The level from here on; the format stays. kUsage for a word that is no level.
base::Status set_log_level(std::string_view level);

}  // namespace vsurge::facade
