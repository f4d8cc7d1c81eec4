// vsurge doctor: what of this machine and its settings is good for serving.

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>

#include "commands.h"
#include "json_text.h"
#include "options.h"
#include "vsurge/doctor.h"
#include "vsurge/error.h"

namespace vsurge::apps {
namespace {

struct DoctorCommand {
  DoctorOptions look;
  bool json = false;
};

const char* word_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kGood:
      return "ok";
    case Verdict::kPoor:
      return "warn";
    case Verdict::kBad:
      return "fail";
  }
  return "";
}

void print_text(const std::vector<Finding>& findings) {
  for (const Finding& each : findings) {
    fmt::print("{:<5} {:<11} {}\n", word_of(each.verdict), each.subject, each.found);
    if (!each.advice.empty()) fmt::print("{:<5} {:<11} -> {}\n", "", "", each.advice);
  }
}

void print_json(const std::vector<Finding>& findings) {
  std::string out = "[";
  for (const Finding& each : findings) {
    out += fmt::format(R"({}{{"subject":{},"verdict":"{}","found":{},"advice":{}}})",
                       out.size() > 1 ? "," : "", json_text(each.subject), word_of(each.verdict),
                       json_text(each.found), json_text(each.advice));
  }
  fmt::print("{}]\n", out);
}

}  // namespace

Run add_doctor(CLI::App& program) {
  CLI::App* command = program.add_subcommand("doctor", "check this machine and the server's files");
  const auto options = std::make_shared<DoctorCommand>();
  const auto set = std::make_shared<OptionSet>(*command);
  command->add_option("model", options->look.model, "Hugging Face folder or .gguf file to look at");
  set->add("--ssl-keyfile", options->look.ssl_keyfile, "as of serve");
  set->add("--ssl-certfile", options->look.ssl_certfile, "as of serve");
  set->add("--ssl-ca-certs", options->look.ssl_ca_certs, "as of serve");
  set->add("--api-key-file", options->look.api_key_file, "as of serve");
  command->add_flag("--json", options->json, "one JSON array");
  return [options, set](const Environment& environment) {
    if (const auto filled = set->fill_from(environment, ""); !filled) {
      throw Error(ErrorKind::kUsage, "usage", filled.error().message);
    }
    const std::vector<Finding> findings = diagnose(options->look);
    options->json ? print_json(findings) : print_text(findings);
    const bool bad = std::ranges::any_of(
        findings, [](const Finding& each) { return each.verdict == Verdict::kBad; });
    return bad ? static_cast<int>(ErrorKind::kEnvironment) : 0;
  };
}

}  // namespace vsurge::apps
