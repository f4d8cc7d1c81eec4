#include "text/tokenizer.h"

#include <algorithm>

#include "base/limits.h"
#include "text/bridge.h"
#include "text/gguf_tokenizer.h"

namespace vsurge::text {
namespace {

constexpr base::TokenizerLimits kLimits;

}  // namespace

base::Result<Tokenizer> Tokenizer::from_json(std::string_view json) {
  if (json.size() > kLimits.file_bytes_max) {
    return base::fail(base::ErrorCode::kBadModel, "tokenizer.json: {} bytes, the limit is {}",
                      json.size(), kLimits.file_bytes_max);
  }
  tb_tokenizer* made = nullptr;
  BridgeBytes error;
  const int status =
      tb_tokenizer_new(bridge_data(json), json.size(),
                       static_cast<std::uint32_t>(kLimits.vocabulary_max), &made, error.out());
  if (status != TB_OK) {
    // A file that makes the crate panic is a bad file: nothing of it is kept.
    return std::unexpected(
        bridge_error(TB_ERROR, error, base::ErrorCode::kBadModel, "tokenizer.json"));
  }
  Tokenizer tokenizer;
  tokenizer.handle_ = std::shared_ptr<const tb_tokenizer>(
      made, [](const tb_tokenizer* old) { tb_tokenizer_free(const_cast<tb_tokenizer*>(old)); });
  return tokenizer;
}

base::Result<Tokenizer> Tokenizer::from_gguf(const GgufVocabulary& vocabulary) {
  const std::string json = VSURGE_TRY(gguf_tokenizer_json(vocabulary));
  auto tokenizer = from_json(json);
  if (!tokenizer) {
    tokenizer.error().message = "GGUF vocabulary: " + tokenizer.error().message;
  }
  return tokenizer;
}

base::Result<std::vector<TokenId>> Tokenizer::encode(std::string_view text,
                                                     bool add_special) const {
  CHECK(handle_ != nullptr, "a tokenizer that was not loaded");
  if (text.size() > kLimits.text_bytes_max) {
    return base::fail(base::ErrorCode::kInvalidRequest,
                      "text of {} bytes, the most that is tokenized at once is {}", text.size(),
                      kLimits.text_bytes_max);
  }
  tb_ids ids{};
  BridgeBytes error;
  const int status = tb_tokenizer_encode(handle_.get(), bridge_data(text), text.size(), add_special,
                                         &ids, error.out());
  if (status != TB_OK) {
    return std::unexpected(
        bridge_error(status, error, base::ErrorCode::kInvalidRequest, "tokenizer"));
  }
  std::vector<TokenId> result(ids.size);
  std::transform(ids.data, ids.data + ids.size, result.begin(),
                 [](std::uint32_t id) { return static_cast<TokenId>(id); });
  tb_ids_free(&ids);
  return result;
}

base::Result<std::string> Tokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  CHECK(handle_ != nullptr, "a tokenizer that was not loaded");
  BridgeBytes text;
  BridgeBytes error;
  // A negative id becomes one far beyond every vocabulary: it stands for nothing, as there.
  const int status =
      tb_tokenizer_decode(handle_.get(), reinterpret_cast<const std::uint32_t*>(ids.data()),
                          ids.size(), skip_special, text.out(), error.out());
  if (status != TB_OK) {
    return std::unexpected(
        bridge_error(status, error, base::ErrorCode::kInvalidRequest, "tokenizer"));
  }
  return text.text();
}

std::int32_t Tokenizer::vocabulary() const {
  return handle_ == nullptr ? 0 : static_cast<std::int32_t>(tb_tokenizer_vocabulary(handle_.get()));
}

std::optional<TokenId> Tokenizer::id_of(std::string_view token) const {
  if (handle_ == nullptr) return std::nullopt;
  const auto id = tb_tokenizer_id_of(handle_.get(), bridge_data(token), token.size());
  if (id < 0) return std::nullopt;
  return static_cast<TokenId>(id);
}

std::optional<std::string> Tokenizer::token_of(TokenId id) const {
  if (handle_ == nullptr || id < 0) return std::nullopt;
  BridgeBytes text;
  BridgeBytes error;
  if (tb_tokenizer_token_of(handle_.get(), static_cast<std::uint32_t>(id), text.out(),
                            error.out()) != TB_OK) {
    return std::nullopt;
  }
  return text.text();
}

bool Tokenizer::is_special(TokenId id) const {
  return handle_ != nullptr && id >= 0 &&
         tb_tokenizer_is_special(handle_.get(), static_cast<std::uint32_t>(id));
}

}  // namespace vsurge::text
