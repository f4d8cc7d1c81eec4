#include "text/tokenizer.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/escape.h"
#include "base/limits.h"
#include "base/log.h"
#include "text/bridge.h"
#include "text/gguf_tokenizer.h"

namespace vsurge::text {
namespace {

constexpr base::TokenizerLimits kLimits;

std::string named_json(std::span<const NamedToken> named) {
  namespace json = boost::json;
  if (named.empty()) return {};
  json::array list;
  list.reserve(named.size());
  for (const auto& token : named) {
    list.push_back(json::object{{"content", token.content},
                                {"single_word", token.single_word},
                                {"lstrip", token.lstrip},
                                {"rstrip", token.rstrip},
                                {"normalized", token.normalized},
                                {"special", token.special},
                                {"id", token.id ? json::value(*token.id) : json::value(nullptr)},
                                {"replaces", token.replaces},
                                {"named", token.named}});
  }
  return json::serialize(list);
}

void warn_of_decoder(const tb_tokenizer* tokenizer) {
  BridgeBytes kind;
  if (!tb_tokenizer_unstreamed(tokenizer, kind.out())) return;
  base::log_warning(
      "tokenizer.json: a decoder of kind {} cannot be streamed: an answer's text comes at its end",
      base::escape_for_line(base::shorten(kind.view(), 200)));
}

}  // namespace

base::Result<Tokenizer> Tokenizer::from_json(std::string_view json,
                                             std::span<const NamedToken> named) {
  if (json.size() > kLimits.file_bytes_max) {
    return base::fail(base::ErrorCode::kBadModel, "tokenizer.json: {} bytes, the limit is {}",
                      json.size(), kLimits.file_bytes_max);
  }
  const std::string more = named_json(named);
  tb_tokenizer* made = nullptr;
  BridgeBytes error;
  const int status =
      tb_tokenizer_new(bridge_data(json), json.size(), bridge_data(more), more.size(),
                       static_cast<std::uint32_t>(kLimits.vocabulary_max), &made, error.out());
  if (status != TB_OK) {
    // A file that makes the crate panic is a bad file: nothing of it is kept.
    return std::unexpected(
        bridge_error(TB_ERROR, error, base::ErrorCode::kBadModel, "tokenizer.json"));
  }
  Tokenizer tokenizer;
  tokenizer.handle_ = std::shared_ptr<const tb_tokenizer>(
      made, [](const tb_tokenizer* old) { tb_tokenizer_free(const_cast<tb_tokenizer*>(old)); });
  warn_of_decoder(made);
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

base::Result<std::vector<TokenId>> Tokenizer::encode(std::string_view text, bool add_special,
                                                     std::size_t tokens_max) const {
  CHECK(handle_ != nullptr, "a tokenizer that was not loaded");
  if (text.size() > kLimits.text_bytes_max) {
    return base::fail(base::ErrorCode::kInvalidRequest,
                      "text of {} bytes, the most that is tokenized at once is {}", text.size(),
                      kLimits.text_bytes_max);
  }
  tb_ids ids{};
  BridgeBytes error;
  const int status = tb_tokenizer_encode(handle_.get(), bridge_data(text), text.size(), add_special,
                                         tokens_max, &ids, error.out());
  if (status != TB_OK) {
    const auto code = status == TB_LIMIT ? base::ErrorCode::kContextLengthExceeded
                                         : base::ErrorCode::kInvalidRequest;
    return std::unexpected(bridge_error(status, error, code, "tokenizer"));
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

std::size_t Tokenizer::bytes_per_token() const {
  return handle_ == nullptr ? 0 : tb_tokenizer_bytes_per_token(handle_.get());
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
