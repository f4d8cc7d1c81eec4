#include "text/token_files.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <charconv>
#include <utility>

#include "base/escape.h"
#include "base/limits.h"
#include "base/mapped_file.h"

namespace vsurge::text {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

constexpr std::size_t kConfigBytesMax = 16 * base::kMiB;
constexpr std::size_t kConfigDepthMax = 32;
constexpr std::string_view kTokenKeys[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                           "pad_token", "cls_token", "mask_token"};

std::unexpected<base::Error> wrong(const std::string& where, std::string_view key,
                                   std::string_view expected) {
  return base::fail(base::ErrorCode::kBadModel, "{}: {}: expected {}", where,
                    base::escape_for_line(base::shorten(key, 100)), expected);
}

// A string, or an object with "content" and flags; nothing for any other value.
std::optional<NamedToken> token_of(const json::value& value) {
  NamedToken token;
  if (value.is_string()) {
    token.content = value.get_string();
    return token;
  }
  if (!value.is_object()) return std::nullopt;
  const json::object& fields = value.get_object();
  const auto* content = fields.if_contains("content");
  if (content == nullptr || !content->is_string()) return std::nullopt;
  token.content = content->get_string();
  const auto flag = [&](std::string_view key, bool missing) {
    const auto* found = fields.if_contains(key);
    return found != nullptr && found->is_bool() ? found->get_bool() : missing;
  };
  token.special = flag("special", false);
  token.single_word = flag("single_word", false);
  token.lstrip = flag("lstrip", false);
  token.rstrip = flag("rstrip", false);
  token.normalized = flag("normalized", !token.special);
  return token;
}

class Reader {
 public:
  // One file's keys; those of a later file win.
  base::Status take(const json::object& file, const std::string& where) {
    for (const auto& [name, value] : file) {
      const std::string_view key = name;
      const bool standard = std::ranges::find(kTokenKeys, key) != std::end(kTokenKeys);
      if (!standard && !key.ends_with("_token")) continue;
      const auto token = token_of(value);
      if (token) {
        names_.insert_or_assign(std::string(key), *token);
      } else if (value.is_null()) {
        names_.erase(std::string(key));
      } else if (standard) {
        return wrong(where, key, "a string, an object with a string \"content\", or null");
      }
    }
    const auto* extra = file.if_contains("extra_special_tokens");
    const bool none = extra == nullptr || extra->is_null() ||
                      (extra->is_array() && extra->get_array().empty()) ||
                      (extra->is_object() && extra->get_object().empty());
    if (!none) return take_more("extra_special_tokens", *extra, where);
    const auto* old = file.if_contains("additional_special_tokens");
    if (old == nullptr || old->is_null() || !more_.empty()) return {};
    return take_more("additional_special_tokens", *old, where);
  }

  // added_tokens_decoder: {"<id>": {"content": ..., flags}}.
  base::Status take_decoder(const json::value& decoder, const std::string& where) {
    constexpr std::string_view kKey = "added_tokens_decoder";
    if (!decoder.is_object()) return wrong(where, kKey, "an object");
    for (const auto& [id, value] : decoder.get_object()) {
      auto token = token_of(value);
      if (!token || !value.is_object()) {
        return wrong(where, std::string(kKey) + "/" + std::string(id),
                     "an object with a string \"content\"");
      }
      TokenId number = 0;
      const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
      if (error != std::errc{} || end != id.data() + id.size() || number < 0) {
        return wrong(where, std::string(kKey) + "/" + std::string(id), "an id as the key");
      }
      token->id = number;
      token->replaces = true;
      with_id_.push_back(std::move(*token));
    }
    return {};
  }

  // added_tokens.json: {"content": id}.
  base::Status take_added(const json::object& file, const std::string& where) {
    for (const auto& [content, id] : file) {
      const auto number = id.is_int64() ? id.get_int64() : -1;
      if (!std::in_range<TokenId>(number) || number < 0) return wrong(where, content, "an id");
      NamedToken token;
      token.content = content;
      token.id = static_cast<TokenId>(number);
      token.special = is_named(token.content);
      token.normalized = !token.special;
      with_id_.push_back(std::move(token));
    }
    return {};
  }

  TokenFiles finish() && {
    TokenFiles files;
    for (auto& token : with_id_) {
      token.named = is_named(token.content);
      files.tokens.push_back(std::move(token));
    }
    for (auto& [name, token] : names_) {
      files.names.emplace(name, token.content);
      token.special = true;
      files.tokens.push_back(std::move(token));
    }
    for (auto& token : more_) files.tokens.push_back(std::move(token));
    return files;
  }

 private:
  base::Status take_more(std::string_view key, const json::value& value, const std::string& where) {
    if (value.is_object()) {
      for (const auto& [name, inner] : value.get_object()) {
        const auto token = token_of(inner);
        if (!token) return wrong(where, std::string(key) + "/" + std::string(name), "a token");
        names_.insert_or_assign(std::string(name), *token);
      }
      return {};
    }
    if (!value.is_array()) return wrong(where, key, "a list of tokens, or an object of them");
    for (const auto& inner : value.get_array()) {
      const auto token = token_of(inner);
      if (!token) return wrong(where, key, "a list of tokens");
      more_.push_back(*token);
    }
    return {};
  }

  bool is_named(std::string_view content) const {
    return std::ranges::any_of(names_,
                               [&](const auto& one) { return one.second.content == content; });
  }

  std::map<std::string, NamedToken> names_;
  std::vector<NamedToken> more_;
  std::vector<NamedToken> with_id_;
};

}  // namespace

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

base::Result<json::object> read_json_object(const fs::path& path) {
  const std::string text = VSURGE_TRY(base::read_text_file(path, kConfigBytesMax));
  json::parse_options options;
  options.max_depth = kConfigDepthMax;
  json::error_code error;
  auto value = json::parse(text, error, {}, options);
  if (error) {
    return base::fail(base::ErrorCode::kBadModel, "{}: not JSON: {}", path.string(),
                      error.message());
  }
  if (!value.is_object()) {
    return base::fail(base::ErrorCode::kBadModel, "{}: expected an object", path.string());
  }
  return std::move(value.get_object());
}

base::Result<TokenFiles> read_token_files(const fs::path& folder, const json::object& config) {
  Reader reader;
  const std::string where = (folder / "tokenizer_config.json").string();
  VSURGE_TRY(reader.take(config, where));
  if (const auto* decoder = config.if_contains("added_tokens_decoder"); decoder != nullptr) {
    VSURGE_TRY(reader.take_decoder(*decoder, where));
    return std::move(reader).finish();
  }
  if (const auto path = folder / "special_tokens_map.json"; is_file(path)) {
    VSURGE_TRY(reader.take(VSURGE_TRY(read_json_object(path)), path.string()));
  }
  if (const auto path = folder / "added_tokens.json"; is_file(path)) {
    VSURGE_TRY(reader.take_added(VSURGE_TRY(read_json_object(path)), path.string()));
  }
  return std::move(reader).finish();
}

}  // namespace vsurge::text
