#include "text/auto_tokenizer.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

#include "base/escape.h"
#include "base/limits.h"
#include "base/mapped_file.h"

namespace vsurge::text {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

constexpr std::size_t kConfigBytesMax = 16 * base::kMiB;
constexpr std::size_t kConfigDepthMax = 32;
constexpr std::size_t kTemplatesMax = 64;
// The names transformers gives to templates.
constexpr std::string_view kTokenKeys[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                           "pad_token", "cls_token", "mask_token"};

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

base::Result<json::object> read_object(const fs::path& path) {
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

// A special token is a string, or an object whose "content" is one; null and absent are nothing.
base::Result<std::optional<std::string>> token_text(const json::value& value,
                                                    std::string_view where) {
  if (value.is_null()) return std::nullopt;
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_object()) {
    const auto* content = value.get_object().if_contains("content");
    if (content != nullptr && content->is_string()) return std::string(content->get_string());
  }
  return base::fail(base::ErrorCode::kBadModel,
                    "{}: expected a string, an object with a string \"content\", or null", where);
}

base::Status read_special_tokens(const json::object& config, const fs::path& path,
                                 TextAssets& assets) {
  for (const auto key : kTokenKeys) {
    const auto* value = config.if_contains(key);
    if (value == nullptr) continue;
    auto token = VSURGE_TRY(token_text(*value, path.string() + ": " + std::string(key)));
    if (token) assets.special_tokens.insert_or_assign(std::string(key), std::move(*token));
  }
  return {};
}

struct TemplateSource {
  std::string name;  // "default" is the one used when nothing else is asked for
  std::string text;
};

void set_source(std::vector<TemplateSource>& sources, std::string name, std::string text) {
  const auto same = [&](const TemplateSource& one) { return one.name == name; };
  const auto old = std::find_if(sources.begin(), sources.end(), same);
  if (old != sources.end()) {
    old->text = std::move(text);
  } else {
    sources.push_back({std::move(name), std::move(text)});
  }
}

// chat_template: a string, or a list of {name, template}; of one name the last counts.
base::Status read_config_templates(const json::object& config, const fs::path& path,
                                   std::vector<TemplateSource>& sources) {
  const auto* value = config.if_contains("chat_template");
  if (value == nullptr || value->is_null()) return {};
  if (value->is_string()) {
    set_source(sources, "default", std::string(value->get_string()));
    return {};
  }
  const auto bad = [&] {
    return base::fail(base::ErrorCode::kBadModel,
                      "{}: chat_template: expected a string or a list of {{name, template}}",
                      path.string());
  };
  if (!value->is_array() || value->get_array().size() > kTemplatesMax) return bad();
  for (const auto& entry : value->get_array()) {
    if (!entry.is_object()) return bad();
    const auto* name = entry.get_object().if_contains("name");
    const auto* text = entry.get_object().if_contains("template");
    if (name == nullptr || text == nullptr || !name->is_string() || !text->is_string()) {
      return bad();
    }
    set_source(sources, std::string(name->get_string()), std::string(text->get_string()));
  }
  return {};
}

// Files win over what tokenizer_config.json says.
base::Status read_template_files(const fs::path& folder, std::vector<TemplateSource>& sources) {
  const auto size_max = base::TemplateLimits{}.source_bytes_max;
  if (const auto path = folder / "chat_template.jinja"; is_file(path)) {
    std::string source = VSURGE_TRY(base::read_text_file(path, size_max));
    set_source(sources, "default", std::move(source));
  } else if (const auto old = folder / "chat_template.json"; is_file(old)) {
    VSURGE_TRY(read_config_templates(VSURGE_TRY(read_object(old)), old, sources));
  }
  std::vector<fs::path> more;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder / "additional_chat_templates", ignored)) {
    if (entry.path().extension() == ".jinja" && is_file(entry.path())) {
      more.push_back(entry.path());
    }
    if (more.size() >= kTemplatesMax) break;
  }
  std::sort(more.begin(), more.end());
  for (const auto& path : more) {
    std::string source = VSURGE_TRY(base::read_text_file(path, size_max));
    set_source(sources, path.stem().string(), std::move(source));
  }
  return {};
}

base::Status compile_templates(const std::vector<TemplateSource>& sources, const std::string& where,
                               TextAssets& assets) {
  for (const auto& [name, text] : sources) {
    auto compiled = ChatTemplate::compile(text);
    if (!compiled) {
      return base::fail(base::ErrorCode::kBadModel, "{}: template '{}': {}", where,
                        base::escape_for_line(base::shorten(name, 60)), compiled.error().message);
    }
    if (name == "default") {
      assets.chat_template = std::move(*compiled);
    } else {
      assets.named_templates.insert_or_assign(name, std::move(*compiled));
    }
  }
  return {};
}

std::optional<TokenId> id_of(const TextAssets& assets, std::string_view key) {
  const auto found = assets.special_tokens.find(key);
  if (found == assets.special_tokens.end()) return std::nullopt;
  return assets.tokenizer.id_of(found->second);
}

// model_max_length; "no limit" is written as 1e30.
std::int64_t length_max(const json::object& config) {
  const auto* value = config.if_contains("model_max_length");
  if (value == nullptr || !value->is_number()) return 0;
  const auto length = value->to_number<double>();
  return length >= 1 && length < 1e12 ? static_cast<std::int64_t>(length) : 0;
}

}  // namespace

base::Result<TextAssets> load_text_assets(const fs::path& folder) {
  const auto tokenizer_path = folder / "tokenizer.json";
  TextAssets assets;
  {
    const auto file = VSURGE_TRY(base::MappedFile::open(tokenizer_path));
    auto tokenizer = Tokenizer::from_json(file.text());
    if (!tokenizer) {
      tokenizer.error().message = folder.string() + ": " + tokenizer.error().message;
      return std::unexpected(std::move(tokenizer.error()));
    }
    assets.tokenizer = std::move(*tokenizer);
  }
  std::vector<TemplateSource> sources;
  // The older file first: what tokenizer_config.json says wins over it.
  if (const auto path = folder / "special_tokens_map.json"; is_file(path)) {
    VSURGE_TRY(read_special_tokens(VSURGE_TRY(read_object(path)), path, assets));
  }
  if (const auto path = folder / "tokenizer_config.json"; is_file(path)) {
    const json::object config = VSURGE_TRY(read_object(path));
    VSURGE_TRY(read_special_tokens(config, path, assets));
    VSURGE_TRY(read_config_templates(config, path, sources));
    assets.model_length_max = length_max(config);
  }
  VSURGE_TRY(read_template_files(folder, sources));
  VSURGE_TRY(compile_templates(sources, folder.string(), assets));
  assets.bos = id_of(assets, "bos_token");
  assets.eos = id_of(assets, "eos_token");
  assets.padding = id_of(assets, "pad_token");
  return assets;
}

base::Result<TextAssets> make_text_assets(const GgufVocabulary& vocabulary) {
  TextAssets assets;
  assets.tokenizer = VSURGE_TRY(Tokenizer::from_gguf(vocabulary));
  const auto add = [&](const char* key, std::optional<TokenId> id) {
    if (!id) return std::optional<TokenId>{};
    const auto token = assets.tokenizer.token_of(*id);
    if (!token) return std::optional<TokenId>{};
    assets.special_tokens.emplace(key, *token);
    return id;
  };
  assets.bos = add("bos_token", vocabulary.bos);
  assets.eos = add("eos_token", vocabulary.eos);
  assets.padding = add("pad_token", vocabulary.padding);
  add("unk_token", vocabulary.unknown);
  if (!vocabulary.chat_template.empty()) {
    VSURGE_TRY(compile_templates({{"default", vocabulary.chat_template}}, "tokenizer.chat_template",
                                 assets));
  }
  return assets;
}

}  // namespace vsurge::text
