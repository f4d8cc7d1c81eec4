#include "api/pooled_texts.h"

#include <algorithm>
#include <limits>

#include "api/limits.h"
#include "api/reader.h"

namespace vsurge::api {
namespace {

using base::ErrorCode;

std::unexpected<ApiError> with_param(const base::Error& error, std::string param) {
  ApiError out = from_base(error);
  out.param = std::move(param);
  return std::unexpected(std::move(out));
}

}  // namespace

// A text of one letter, with and without.
ApiResult<TokenFrame> token_frame(const text::Tokenizer& tokenizer) {
  const auto bare = tokenizer.encode("a", false);
  const auto full = tokenizer.encode("a", true);
  if (!bare) return with_param(bare.error(), "");
  if (!full) return with_param(full.error(), "");
  const auto inside = std::ranges::search(*full, *bare);
  TokenFrame frame;
  frame.before.assign(full->begin(), inside.begin());
  frame.after.assign(inside.end(), full->end());
  return frame;
}

int pooled_tokens_max(const ServiceCore& core) {
  const int most = core.options.prompt_max;
  return most > 0 ? std::min(most, core.options.context_max) : core.options.context_max;
}

ApiResult<std::vector<engine::TokenId>> pooled_ids(const ServiceCore& core, std::string_view text,
                                                   const std::string& param) {
  const auto most = 2 * static_cast<std::size_t>(pooled_tokens_max(core));
  auto ids = core.assets.tokenizer.encode(text, false, most);
  if (ids) return std::move(*ids);
  if (ids.error().code != ErrorCode::kContextLengthExceeded) return with_param(ids.error(), param);
  return with_param({ErrorCode::kContextLengthExceeded,
                     fmt::format("This server takes texts of at most {} tokens; '{}' has more "
                                 "than {}.",
                                 pooled_tokens_max(core), param, most),
                     ""},
                    param);
}

ApiResult<void> check_pooled_length(const ServiceCore& core, std::size_t tokens,
                                    const std::string& param) {
  if (tokens == 0) {
    return bad_value(
        param, fmt::format("'{}' has no tokens, and this model's tokenizer adds none.", param));
  }
  const auto most = static_cast<std::size_t>(pooled_tokens_max(core));
  if (tokens <= most) return {};
  return with_param({ErrorCode::kContextLengthExceeded,
                     fmt::format("This server takes texts of at most {} tokens; '{}' has {}.", most,
                                 param, tokens),
                     ""},
                    param);
}

ApiResult<void> read_pooled_scheduling(const boost::json::object& object, std::string& user,
                                       int& priority, std::optional<double>& timeout_seconds) {
  const ObjectReader body(object, "");
  user = VSURGE_TRY(read_name(body, "user")).value_or("");
  priority = static_cast<int>(VSURGE_TRY(read_integer(body, "priority")).value_or(0));
  timeout_seconds = VSURGE_TRY(read_number(body, "timeout"));
  return {};
}

std::unexpected<ApiError> pooled_client_gone() {
  return std::unexpected(from_base({ErrorCode::kCancelled, "the client has gone", ""}));
}

}  // namespace vsurge::api
