// What the program and its service manager (systemd, or who else sets its variables) tell each
// other: states (sd_notify(3)), signs of life (sd_watchdog_enabled(3)) and sockets that it made
// (sd_listen_fds(3)).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "options.h"

namespace vsurge::apps {

// Sockets that listen already, as FireOptions::listen and admin_listen have them.
struct HandedSockets {
  std::vector<std::string> listen;
  std::vector<std::string> admin_listen;  // those of the name "admin"
};

class ServiceManager {
 public:
  explicit ServiceManager(const Environment& environment);

  // "READY=1", "STOPPING=1". Does nothing when nobody asked to be told. Any thread.
  base::Status tell(std::string_view state) const;
  // That its settings are being read anew; READY=1 ends it.
  base::Status tell_reloading() const;
  // Within how many seconds it wants to hear WATCHDOG=1 again and again; nothing: it does not.
  std::optional<double> watchdog_s() const { return watchdog_s_; }
  // kUsage when the variables are not as systemd writes them.
  base::Result<HandedSockets> sockets() const;

 private:
  std::string socket_;  // path; '@' first = a name in the abstract space
  std::optional<double> watchdog_s_;
  std::string listen_count_;  // empty: none, or another process's
  std::string listen_names_;
};

}  // namespace vsurge::apps
