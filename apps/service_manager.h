// Tells systemd, or who else set NOTIFY_SOCKET, what state the program is in (sd_notify(3)).
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "options.h"

namespace vsurge::apps {

class ServiceManager {
 public:
  explicit ServiceManager(const Environment& environment);

  // "READY=1", "STOPPING=1". Does nothing when nobody asked to be told. Any thread.
  base::Status tell(std::string_view state) const;

 private:
  std::string socket_;  // path; '@' first = a name in the abstract space
};

}  // namespace vsurge::apps
