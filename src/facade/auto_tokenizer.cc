#include "vsurge/auto_tokenizer.h"

#include <boost/json.hpp>

#include <ctime>
#include <filesystem>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mapped_file.h"
#include "facade/auto_tokenizer_state.h"
#include "facade/errors.h"
#include "facade/gguf_vocabulary.h"
#include "model/packed_source.h"

namespace vsurge {
namespace {

namespace json = boost::json;
using base::ErrorCode;
using base::fail;

base::Result<text::TextAssets> load(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    const auto metadata = path / model::kMetadataName;  // of a packed folder
    if (!std::filesystem::exists(metadata, error)) return text::load_text_assets(path);
    return text::make_text_assets(VSURGE_TRY(facade::read_gguf_vocabulary(metadata)));
  }
  if (!std::filesystem::exists(path, error)) {
    return fail(ErrorCode::kBadModel,
                "{}: no such file or folder (nothing is downloaded: give a Hugging Face folder or "
                "a .gguf file)",
                path.string());
  }
  if (path.extension() == ".json") {
    const base::TokenizerLimits limits;
    const std::string source = VSURGE_TRY(base::read_text_file(path, limits.file_bytes_max));
    text::TextAssets assets;
    assets.tokenizer = VSURGE_TRY(text::Tokenizer::from_json(source));
    return assets;
  }
  return text::make_text_assets(VSURGE_TRY(facade::read_gguf_vocabulary(path)));
}

// The wall clock as a local time read as if it were UTC: what strftime_now() prints.
std::int64_t local_now() {
  const std::time_t now = base::unix_seconds();
  std::tm local{};
  ::localtime_r(&now, &local);
  return ::timegm(&local);
}

base::Result<json::object> parse_context(std::string_view text) {
  json::parse_options options;
  options.max_depth = 256;
  boost::system::error_code error;
  json::value value = json::parse(text, error, {}, options);
  if (error || !value.is_object()) {
    return fail(ErrorCode::kUsage, "context: expected a JSON object, found {}",
                error ? error.message() : "another value");
  }
  return std::move(value.as_object());
}

const text::ChatTemplate& template_of(const AutoTokenizer::State& state) {
  if (!state.assets.chat_template) {
    facade::throw_error({ErrorCode::kTemplateError, "this model has no chat template", {}});
  }
  return *state.assets.chat_template;
}

}  // namespace

AutoTokenizer AutoTokenizer::from_pretrained(const std::string& path) {
  auto state = std::make_shared<State>();
  state->assets = facade::unwrap(load(path));
  AutoTokenizer result;
  result.eos_token_id = state->assets.eos;
  result.bos_token_id = state->assets.bos;
  result.pad_token_id = state->assets.padding;
  result.state_ = std::move(state);
  return result;
}

const AutoTokenizer::State& AutoTokenizer::state() const {
  if (state_ == nullptr) {
    facade::throw_error(
        {ErrorCode::kUsage, "tokenizer: expected one of from_pretrained(), found none", {}});
  }
  return *state_;
}

std::vector<std::int32_t> AutoTokenizer::encode(std::string_view text,
                                                bool add_special_tokens) const {
  return facade::unwrap(state().assets.tokenizer.encode(text, add_special_tokens));
}

std::string AutoTokenizer::decode(const std::vector<std::int32_t>& ids,
                                  bool skip_special_tokens) const {
  return facade::unwrap(state().assets.tokenizer.decode(ids, skip_special_tokens));
}

std::string AutoTokenizer::convert_id_to_token(std::int32_t id) const {
  return state().assets.tokenizer.token_of(id).value_or("");
}

std::int32_t AutoTokenizer::vocab_size() const {
  return state().assets.tokenizer.vocabulary();
}

bool AutoTokenizer::has_chat_template() const {
  return state().assets.chat_template.has_value();
}

std::string AutoTokenizer::apply_chat_template(const std::vector<ChatMessage>& messages,
                                               bool add_generation_prompt) const {
  json::array list;
  for (const ChatMessage& message : messages) {
    list.push_back(json::object{{"role", message.role}, {"content", message.content}});
  }
  const json::object context{{"messages", std::move(list)},
                             {"tools", nullptr},
                             {"documents", nullptr},
                             {"add_generation_prompt", add_generation_prompt}};
  return render_chat_template(json::serialize(context));
}

std::string AutoTokenizer::render_chat_template(std::string_view context_json,
                                                std::optional<std::int64_t> now) const {
  json::object context = facade::unwrap(parse_context(context_json));
  const text::ChatTemplate& chat_template = template_of(state());
  for (const auto& [name, token] : state().assets.special_tokens) {
    if (!context.contains(name)) context[name] = token;
  }
  return facade::unwrap(chat_template.render(json::serialize(context), now.value_or(local_now())));
}

std::string render_template_file(const std::string& path, std::string_view context_json,
                                 std::optional<std::int64_t> now) {
  const base::TemplateLimits limits;
  const std::string source = facade::unwrap(base::read_text_file(path, limits.source_bytes_max));
  const auto compiled = facade::unwrap(text::ChatTemplate::compile(source, limits));
  facade::unwrap(parse_context(context_json));  // says what is wrong with it
  return facade::unwrap(compiled.render(context_json, now.value_or(local_now())));
}

}  // namespace vsurge
