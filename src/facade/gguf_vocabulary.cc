#include "facade/gguf_vocabulary.h"

#include <cstdint>
#include <limits>

#include "model/gguf.h"

namespace vsurge::facade {
namespace {

using model::GgufFile;

constexpr model::IntegerRange kAnyId = {0, std::numeric_limits<std::int32_t>::max()};

base::Status read_token(const GgufFile& file, const char* key, std::optional<text::TokenId>& out) {
  const auto value = VSURGE_TRY(file.integer(key, kAnyId));
  if (value) out = static_cast<text::TokenId>(*value);
  return {};
}

// Absent lists stay empty: text says what a vocabulary of its kind must have.
base::Status read_lists(const GgufFile& file, text::GgufVocabulary& vocabulary) {
  const auto tokens = VSURGE_TRY(file.texts("tokenizer.ggml.tokens"));
  if (tokens) vocabulary.tokens.assign(tokens->begin(), tokens->end());
  const auto merges = VSURGE_TRY(file.texts("tokenizer.ggml.merges"));
  if (merges) vocabulary.merges.assign(merges->begin(), merges->end());
  const auto types = VSURGE_TRY(file.integers("tokenizer.ggml.token_type", kAnyId));
  if (types) {
    for (const std::int64_t type : *types) {
      vocabulary.types.push_back(static_cast<std::int32_t>(type));
    }
  }
  auto scores = VSURGE_TRY(file.numbers("tokenizer.ggml.scores"));
  if (scores) vocabulary.scores = std::move(*scores);
  return {};
}

// Older files have the names without "fim_".
base::Status read_infill(const GgufFile& file, text::GgufVocabulary& vocabulary) {
  const auto read = [&](const char* key, const char* old_key, std::optional<text::TokenId>& out) {
    base::Status status = read_token(file, key, out);
    if (status && !out && old_key != nullptr) status = read_token(file, old_key, out);
    return status;
  };
  VSURGE_TRY(read("tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id",
                  vocabulary.fim_prefix));
  VSURGE_TRY(read("tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id",
                  vocabulary.fim_suffix));
  VSURGE_TRY(read("tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id",
                  vocabulary.fim_middle));
  for (const char* key : {"tokenizer.ggml.fim_pad_token_id", "tokenizer.ggml.fim_rep_token_id",
                          "tokenizer.ggml.fim_sep_token_id"}) {
    std::optional<text::TokenId> id;
    VSURGE_TRY(read(key, nullptr, id));
    if (id) vocabulary.fim_ends.push_back(*id);
  }
  return {};
}

}  // namespace

base::Result<text::GgufVocabulary> read_gguf_vocabulary(const std::filesystem::path& path) {
  const GgufFile file = VSURGE_TRY(GgufFile::open(path, GgufFile::Body::kCut));
  text::GgufVocabulary vocabulary;
  const auto kind = VSURGE_TRY(file.text("tokenizer.ggml.model"));
  if (!kind) {
    return base::fail(base::ErrorCode::kBadModel, "{}: expected tokenizer.ggml.model, found none",
                      path.string());
  }
  vocabulary.kind = *kind;
  vocabulary.pre = VSURGE_TRY(file.text("tokenizer.ggml.pre")).value_or("");
  vocabulary.chat_template = VSURGE_TRY(file.text("tokenizer.chat_template")).value_or("");
  VSURGE_TRY(read_lists(file, vocabulary));
  VSURGE_TRY(read_token(file, "tokenizer.ggml.bos_token_id", vocabulary.bos));
  VSURGE_TRY(read_token(file, "tokenizer.ggml.eos_token_id", vocabulary.eos));
  VSURGE_TRY(read_token(file, "tokenizer.ggml.unknown_token_id", vocabulary.unknown));
  VSURGE_TRY(read_token(file, "tokenizer.ggml.padding_token_id", vocabulary.padding));
  VSURGE_TRY(read_infill(file, vocabulary));
  vocabulary.add_bos = VSURGE_TRY(file.boolean("tokenizer.ggml.add_bos_token"));
  vocabulary.add_eos = VSURGE_TRY(file.boolean("tokenizer.ggml.add_eos_token"));
  vocabulary.add_space_prefix = VSURGE_TRY(file.boolean("tokenizer.ggml.add_space_prefix"));
  return vocabulary;
}

}  // namespace vsurge::facade
