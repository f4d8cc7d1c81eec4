#include "access/key_file.h"

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <fstream>
#include <set>
#include <span>
#include <thread>

#include "base/atomic_file.h"
#include "base/limits.h"

namespace vsurge::access {
namespace {

namespace json = boost::json;
using base::ErrorCode;
using base::fail;

constexpr int kVersion = 1;
constexpr std::string_view kVersionName = "vsurge_keys";
constexpr unsigned kMode = 0600;
constexpr std::chrono::milliseconds kWriterWait{5000};
constexpr std::chrono::milliseconds kWriterLook{20};

struct LimitName {
  std::string_view name;
  std::optional<std::int64_t> KeyLimits::* limit;
};
constexpr std::array<LimitName, 5> kLimits = {{
    {"requests_per_minute", &KeyLimits::requests_per_minute},
    {"requests_per_day", &KeyLimits::requests_per_day},
    {"tokens_per_minute", &KeyLimits::tokens_per_minute},
    {"tokens_per_day", &KeyLimits::tokens_per_day},
    {"concurrent_requests", &KeyLimits::concurrent_requests},
}};

json::object key_json(const ApiKey& key) {
  json::object out = {{"id", key.id}, {"name", key.name}, {"role", role_name(key.role)}};
  if (!key.models.empty()) out["models"] = json::array(key.models.begin(), key.models.end());
  for (const LimitName& each : kLimits) {
    if (const auto limit = key.limits.*each.limit) out[each.name] = *limit;
  }
  if (key.created > 0) out["created"] = key.created;
  if (key.expires) out["expires"] = *key.expires;
  out["salt"] = to_hex(key.salt.data(), key.salt.size());
  out["digest"] = to_hex(key.digest.data(), key.digest.size());
  return out;
}

// One line's members, each taken once; what is left over is a fault.
class KeyReader {
 public:
  explicit KeyReader(const json::object& line) : line_(line) {}

  base::Result<std::string> text(std::string_view name) {
    const json::value* value = take(name);
    if (value == nullptr || !value->is_string()) return expected(name, "a text");
    return std::string(value->get_string());
  }
  base::Result<std::optional<std::int64_t>> integer(std::string_view name) {
    const json::value* value = take(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_int64() || value->get_int64() < 1) return expected(name, "an integer above 0");
    return value->get_int64();
  }
  base::Result<std::vector<std::string>> texts(std::string_view name) {
    std::vector<std::string> out;
    const json::value* value = take(name);
    if (value == nullptr) return out;
    if (!value->is_array() || value->get_array().empty()) return expected(name, "texts in []");
    for (const json::value& each : value->get_array()) {
      if (!each.is_string()) return expected(name, "texts in []");
      out.emplace_back(each.get_string());
    }
    return out;
  }
  template <class Bytes>
  base::Status bytes(std::string_view name, Bytes& out) {
    const auto read = from_hex<Bytes>(VSURGE_TRY(text(name)));
    if (!read) return expected(name, fmt::format("{} digits of hex", 2 * out.size()));
    out = *read;
    return {};
  }
  base::Status finish() const {
    if (taken_ == line_.size()) return {};
    return fail(ErrorCode::kEnvironment, "members that no key has");
  }
  static std::unexpected<base::Error> expected(std::string_view name, std::string_view what) {
    return fail(ErrorCode::kEnvironment, "'{}' must be {}", name, what);
  }

 private:
  const json::value* take(std::string_view name) {
    const json::value* value = line_.if_contains(name);
    if (value != nullptr) ++taken_;
    return value;
  }

  const json::object& line_;
  std::size_t taken_ = 0;
};

base::Result<ApiKey> read_key(const json::object& line) {
  KeyReader reader(line);
  ApiKey key;
  key.id = VSURGE_TRY(reader.text("id"));
  if (key.id.size() != kIdDigits || key.id.find_first_not_of("0123456789abcdef") != key.id.npos) {
    return KeyReader::expected("id", fmt::format("{} digits of hex", kIdDigits));
  }
  key.name = VSURGE_TRY(reader.text("name"));
  if (!is_key_name(key.name)) return KeyReader::expected("name", "letters, digits or . _ - @");
  const auto role = role_of(VSURGE_TRY(reader.text("role")));
  if (!role) return KeyReader::expected("role", "admin, user or readonly");
  key.role = *role;
  key.models = VSURGE_TRY(reader.texts("models"));
  for (const LimitName& each : kLimits) {
    key.limits.*each.limit = VSURGE_TRY(reader.integer(each.name));
  }
  key.created = VSURGE_TRY(reader.integer("created")).value_or(0);
  key.expires = VSURGE_TRY(reader.integer("expires"));
  VSURGE_TRY(reader.bytes("salt", key.salt));
  VSURGE_TRY(reader.bytes("digest", key.digest));
  VSURGE_TRY(reader.finish());
  return key;
}

base::Result<json::object> parse_line(std::string_view line) {
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 4;
  json::value value = json::parse(line, error, {}, options);
  if (error || !value.is_object()) return fail(ErrorCode::kEnvironment, "not a JSON object");
  return std::move(value.get_object());
}

// Lines without their ends; an empty text has none.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    out.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return out;
}

base::Status check_version(std::string_view line) {
  const auto first = parse_line(line);
  const json::value* version = first ? first->if_contains(kVersionName) : nullptr;
  if (version != nullptr && *version == kVersion) return {};
  return fail(ErrorCode::kEnvironment, "line 1: expected {{\"{}\":{}}}, the mark of a key file",
              kVersionName, kVersion);
}

// Waits while another process writes.
base::Result<base::AtomicFile> begin_writing(const std::filesystem::path& path) {
  const auto give_up = std::chrono::steady_clock::now() + kWriterWait;
  for (;;) {
    auto file = base::AtomicFile::create(path, kMode);
    if (file || std::chrono::steady_clock::now() >= give_up) return file;
    std::this_thread::sleep_for(kWriterLook);
  }
}

}  // namespace

std::string key_file_text(const std::vector<ApiKey>& keys) {
  std::string out = fmt::format("{{\"{}\":{}}}\n", kVersionName, kVersion);
  for (const ApiKey& key : keys) out += json::serialize(key_json(key)) + "\n";
  return out;
}

base::Result<std::vector<ApiKey>> parse_key_file(std::string_view text) {
  const base::AccessLimits limits;
  const auto lines = lines_of(text);
  if (lines.size() > limits.keys_max + 1) {
    return fail(ErrorCode::kEnvironment, "{} keys, the limit is {}", lines.size() - 1,
                limits.keys_max);
  }
  VSURGE_TRY(check_version(lines.empty() ? std::string_view() : lines.front()));
  std::vector<ApiKey> keys;
  std::set<std::string, std::less<>> seen;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const auto line = parse_line(lines[i]);
    if (!line) return fail(ErrorCode::kEnvironment, "line {}: {}", i + 1, line.error().message);
    auto key = read_key(*line);
    if (!key) return fail(ErrorCode::kEnvironment, "line {}: {}", i + 1, key.error().message);
    // A name cannot be taken for an id: those stand behind a blank here.
    if (!seen.insert(key->name).second || !seen.insert(" " + key->id).second) {
      return fail(ErrorCode::kEnvironment, "line {}: a name or id that stood before", i + 1);
    }
    keys.push_back(std::move(*key));
  }
  return keys;
}

base::Result<std::vector<ApiKey>> read_key_file(const std::filesystem::path& path) {
  const base::AccessLimits limits;
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(ErrorCode::kEnvironment, "{}: cannot be read", path.string());
  std::string text(limits.key_file_bytes_max + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > limits.key_file_bytes_max) {
    return fail(ErrorCode::kEnvironment, "{}: more than {} bytes", path.string(),
                limits.key_file_bytes_max);
  }
  auto keys = parse_key_file(text);
  if (!keys) {
    return fail(ErrorCode::kEnvironment, "{}: {}", path.string(), keys.error().message);
  }
  return keys;
}

base::Status update_key_file(const std::filesystem::path& path,
                             const std::function<base::Status(std::vector<ApiKey>&)>& change) {
  base::AtomicFile file = VSURGE_TRY(begin_writing(path));
  std::vector<ApiKey> keys;
  if (std::filesystem::exists(path)) keys = VSURGE_TRY(read_key_file(path));
  VSURGE_TRY(change(keys));
  const std::string text = key_file_text(keys);
  VSURGE_TRY(parse_key_file(text));  // nobody writes what a server would refuse
  VSURGE_TRY(file.write(std::as_bytes(std::span(text))));
  return file.commit();
}

}  // namespace vsurge::access
