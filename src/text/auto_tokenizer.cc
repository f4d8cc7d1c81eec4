#include "text/auto_tokenizer.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

#include "base/escape.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mapped_file.h"
#include "text/token_files.h"

namespace vsurge::text {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

constexpr std::size_t kTemplatesMax = 64;

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
    VSURGE_TRY(read_config_templates(VSURGE_TRY(read_json_object(old)), old, sources));
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

base::Result<Tokenizer> load_tokenizer(const fs::path& folder, const TokenFiles& files) {
  const std::string text = VSURGE_TRY(
      base::read_text_file(folder / "tokenizer.json", base::TokenizerLimits{}.file_bytes_max));
  auto tokenizer = Tokenizer::from_json(text, files.tokens);
  if (!tokenizer) {
    tokenizer.error().message = folder.string() + ": " + tokenizer.error().message;
    return tokenizer;
  }
  // transformers would give these new ids, for which the model has no row.
  for (const auto& [name, content] : files.names) {
    if (tokenizer->id_of(content)) continue;
    base::log_warning("{}: {} '{}' is not in tokenizer.json: it stays plain text", folder.string(),
                      base::escape_for_line(base::shorten(name, 60)),
                      base::escape_for_line(base::shorten(content, 60)));
  }
  return tokenizer;
}

// As the file says by their ids; else by their names.
std::optional<InfillTokens> infill_of(const GgufVocabulary& vocabulary,
                                      const Tokenizer& tokenizer) {
  const auto known = [&](const std::optional<TokenId>& id) {
    return id && tokenizer.token_of(*id).has_value();
  };
  if (!known(vocabulary.fim_prefix) || !known(vocabulary.fim_suffix)) {
    return find_infill_tokens(tokenizer);
  }
  InfillTokens out{.prefix = *vocabulary.fim_prefix,
                   .suffix = *vocabulary.fim_suffix,
                   .middle = std::nullopt,
                   .ends = {}};
  if (known(vocabulary.fim_middle)) out.middle = vocabulary.fim_middle;
  for (const TokenId id : vocabulary.fim_ends) {
    if (known(id)) out.ends.push_back(id);
  }
  return out;
}

}  // namespace

base::Result<TextAssets> load_text_assets(const fs::path& folder) {
  TextAssets assets;
  std::vector<TemplateSource> sources;
  json::object config;
  if (const auto path = folder / "tokenizer_config.json"; is_file(path)) {
    config = VSURGE_TRY(read_json_object(path));
    VSURGE_TRY(read_config_templates(config, path, sources));
    assets.model_length_max = length_max(config);
  }
  TokenFiles files = VSURGE_TRY(read_token_files(folder, config));
  assets.tokenizer = VSURGE_TRY(load_tokenizer(folder, files));
  assets.special_tokens = std::move(files.names);
  VSURGE_TRY(read_template_files(folder, sources));
  VSURGE_TRY(compile_templates(sources, folder.string(), assets));
  assets.bos = id_of(assets, "bos_token");
  assets.eos = id_of(assets, "eos_token");
  assets.padding = id_of(assets, "pad_token");
  assets.infill = find_infill_tokens(assets.tokenizer);
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
  assets.infill = infill_of(vocabulary, assets.tokenizer);
  if (!vocabulary.chat_template.empty()) {
    VSURGE_TRY(compile_templates({{"default", vocabulary.chat_template}}, "tokenizer.chat_template",
                                 assets));
  }
  return assets;
}

}  // namespace vsurge::text
