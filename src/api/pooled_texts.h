// Texts to token ids for requests that are pooled. Text workers.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/field_table.h"
#include "api/plain_call.h"
#include "engine/request.h"

namespace vsurge::api {

// What the tokenizer puts around one text by itself.
struct TokenFrame {
  std::vector<engine::TokenId> before;
  std::vector<engine::TokenId> after;

  std::size_t size() const { return before.size() + after.size(); }
};
ApiResult<TokenFrame> token_frame(const text::Tokenizer& tokenizer);

// The longest text that can be pooled, in tokens.
int pooled_tokens_max(const ServiceCore& core);

// Ids of a text without a frame; of texts far too long the error is told at once. `param` names it.
ApiResult<std::vector<engine::TokenId>> pooled_ids(const ServiceCore& core, std::string_view text,
                                                   const std::string& param);
// A 400 with `param` where there are none, or too many.
ApiResult<void> check_pooled_length(const ServiceCore& core, std::size_t tokens,
                                    const std::string& param);

// What the calls have in common. Absent: as by default.
inline constexpr FieldShape kPriorityShape =
    table::row_of("priority", FieldKind::kInteger, kInAll).shape;
inline constexpr FieldShape kTimeoutShape =
    table::row_of("timeout", FieldKind::kNumber, kInAll).shape;
ApiResult<void> read_pooled_scheduling(const boost::json::object& body, std::string& user,
                                       int& priority, std::optional<double>& timeout_seconds);

std::unexpected<ApiError> pooled_client_gone();

}  // namespace vsurge::api
