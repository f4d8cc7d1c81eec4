// Everything about text that a checkpoint says: tokenizer, chat template, special tokens.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "text/chat_template.h"
#include "text/infill.h"
#include "text/tokenizer.h"

namespace vsurge::text {

struct TextAssets {
  Tokenizer tokenizer;
  std::optional<ChatTemplate> chat_template;                         // the default one
  std::map<std::string, ChatTemplate, std::less<>> named_templates;  // "tool_use", "rag", ...
  // As templates see them: bos_token, eos_token, pad_token, image_token, ... (see token_files.h)
  std::map<std::string, std::string, std::less<>> special_tokens;
  std::optional<TokenId> bos, eos, padding;
  std::optional<InfillTokens> infill = std::nullopt;  // nothing: the model was not taught infilling
  std::int64_t model_length_max = 0;                  // 0 = not said
};

// A folder with tokenizer.json and, where present, tokenizer_config.json, special_tokens_map.json
// and chat_template.jinja (which wins over the key chat_template).
base::Result<TextAssets> load_text_assets(const std::filesystem::path& folder);
// The same from a GGUF file's metadata.
base::Result<TextAssets> make_text_assets(const GgufVocabulary& vocabulary);

}  // namespace vsurge::text
