// vsurge keys: who may use a server.

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>

#include "commands.h"
#include "options.h"
#include "vsurge/api_keys.h"

namespace vsurge::apps {
namespace {

struct KeysOptions {
  std::string file;
  ApiKeyInfo info;
  std::string expires;  // days from now: 30d
  std::string name;
};

std::string key_file(const KeysOptions& options, const Environment& environment) {
  if (!options.file.empty()) return options.file;
  const char* named = environment("VSURGE_API_KEY_FILE");
  if (named != nullptr && *named != '\0') return named;
  throw Error(ErrorKind::kUsage, "usage", "--key-file: expected a path, or VSURGE_API_KEY_FILE");
}

constexpr std::int64_t kDaySeconds = 86'400;
constexpr std::int64_t kDaysMax = 36'500;

std::string days_fault(const std::string& text) {
  if (!text.ends_with('d')) return "expected days: 30d";
  return integer_fault(text.substr(0, text.size() - 1), 1, kDaysMax);
}

std::int64_t expiry_of(const std::string& days) {
  std::int64_t count = 0;
  std::from_chars(days.data(), days.data() + days.size() - 1, count);  // checked: days_fault()
  return std::time(nullptr) + kDaySeconds * count;
}

std::string day_of(std::int64_t seconds) {
  return fmt::format("{:%Y-%m-%d}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

std::string limits_of(const ApiKeyInfo& key) {
  std::string out;
  const auto add = [&](std::string_view what, const std::optional<std::int64_t>& limit) {
    if (limit) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", *limit, what);
  };
  add("requests/minute", key.requests_per_minute);
  add("requests/day", key.requests_per_day);
  add("tokens/minute", key.tokens_per_minute);
  add("tokens/day", key.tokens_per_day);
  add("at once", key.concurrent_requests);
  return out.empty() ? "-" : out;
}

void print_keys(const ApiKeys& keys) {
  constexpr const char* kRow = "{:<12}  {:<20}  {:<8}  {:<10}  {:<10}  {:<20}  {}\n";
  fmt::print(fmt::runtime(kRow), "id", "name", "role", "created", "expires", "models", "limits");
  for (const ApiKeyInfo& key : keys.list()) {
    fmt::print(fmt::runtime(kRow), key.id, key.name, key.role, day_of(key.created),
               key.expires ? day_of(*key.expires) : "-",
               key.models.empty() ? "all" : fmt::format("{}", fmt::join(key.models, ",")),
               limits_of(key));
  }
}

void tell_secret(const std::string& text) {
  std::fputs("This is the key; it is not shown again:\n", stderr);
  fmt::print("{}\n", text);
}

void add_limits(CLI::App& command, ApiKeyInfo& info) {
  const auto add = [&](const char* name, std::optional<std::int64_t>& limit, const char* what) {
    command.add_option(name, limit, what)->check([](const std::string& text) {
      return integer_fault(text, 1, std::numeric_limits<std::int64_t>::max());
    });
  };
  add("--requests-per-minute", info.requests_per_minute, "more get a 429");
  add("--requests-per-day", info.requests_per_day, "the same");
  add("--tokens-per-minute", info.tokens_per_minute, "of prompts and answers");
  add("--tokens-per-day", info.tokens_per_day, "the same");
  add("--concurrent-requests", info.concurrent_requests, "at once");
}

int run_keys(const CLI::App& command, KeysOptions& options, const Environment& environment) {
  ApiKeys keys(key_file(options, environment));
  if (command.got_subcommand("list")) {
    print_keys(keys);
  } else if (command.got_subcommand("revoke")) {
    keys.revoke(options.name);
  } else if (command.got_subcommand("rotate")) {
    tell_secret(keys.rotate(options.name));
  } else {
    options.info.name = options.name;
    if (!options.expires.empty()) options.info.expires = expiry_of(options.expires);
    tell_secret(keys.add(options.info));
  }
  return 0;
}

}  // namespace

Run add_keys(CLI::App& program) {
  CLI::App* command = program.add_subcommand("keys", "say who may use a server");
  const auto options = std::make_shared<KeysOptions>();
  command->require_subcommand(1);
  command->fallthrough();
  command->add_option("--key-file", options->file, "the file of keys; or VSURGE_API_KEY_FILE");
  CLI::App* add = command->add_subcommand("add", "add a key and print it, once");
  add->add_option("name", options->name, "whose it is")->required();
  add->add_option("--role", options->info.role, "readonly, user or admin")
      ->check(CLI::IsMember({"readonly", "user", "admin"}))
      ->capture_default_str();
  add->add_option("--models", options->info.models, "that it may use: a,b; default: all")
      ->delimiter(',');
  add->add_option("--expires", options->expires, "in so many days: 30d; default: never")
      ->check(days_fault);
  add_limits(*add, options->info);
  command->add_subcommand("list", "list the keys, without their secrets");
  CLI::App* revoke = command->add_subcommand("revoke", "refuse a key from now on");
  revoke->add_option("name", options->name, "name or id")->required();
  CLI::App* rotate = command->add_subcommand("rotate", "give a key a new secret and print it");
  rotate->add_option("name", options->name, "name or id")->required();
  return [command, options](const Environment& environment) {
    return run_keys(*command, *options, environment);
  };
}

}  // namespace vsurge::apps
