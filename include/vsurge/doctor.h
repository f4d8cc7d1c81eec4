// diagnose(): what of this machine and its settings is good for serving, and what to change.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vsurge {

struct DoctorOptions {
  std::string model = {};  // path; empty: the model is not looked at
  std::string ssl_keyfile = {};
  std::string ssl_certfile = {};
  std::string ssl_ca_certs = {};
  std::string api_key_file = {};
};

enum class Verdict {
  kGood,
  kPoor,  // it will serve, but slower or less safely than it could
  kBad,   // it will not serve
};

struct Finding {
  std::string subject;  // "CPU", "memory", ...
  Verdict verdict = Verdict::kGood;
  std::string found;
  std::string advice = {};  // what to change; empty where all is well
};

// Looks, and changes nothing. Does not throw but for memory.
std::vector<Finding> diagnose(const DoctorOptions& options = {});

}  // namespace vsurge
