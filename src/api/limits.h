// Limits of request fields; those of the body as a whole are in base/limits.h.
#pragma once

#include <cstddef>
#include <string_view>

namespace vsurge::api {

// Words of OpenAI's fields, as FieldShape writes them.
inline constexpr std::string_view kEffortWords = "none|minimal|low|medium|high|xhigh|max";
inline constexpr std::string_view kRetentionWords = "in_memory|in-memory|24h";

inline constexpr std::size_t kStopSequencesMax = 64;  // of /v1/messages
inline constexpr std::size_t kToolsMax = 512;         // of one request
inline constexpr std::size_t kFunctionNameBytesMax = 128;
inline constexpr std::size_t kToolCallsMax = 128;  // of one message
inline constexpr std::size_t kIdBytesMax = 256;    // names and ids: model, user, tool_call_id
inline constexpr std::size_t kChoicesMax = 1024;   // of all prompts of one request
inline constexpr std::size_t kMetadataPairsMax = 16;
inline constexpr std::size_t kMetadataKeyBytesMax = 64 * 4;  // 64 characters
inline constexpr std::size_t kMetadataValueBytesMax = 512 * 4;
inline constexpr double kTimeoutSecondsMax = 86'400;
inline constexpr double kPredictMsMax = 86'400'000;
inline constexpr std::size_t kTagsMax = 256;  // structural tags of a request, and their triggers
inline constexpr std::size_t kTagTextBytesMax = 64 << 10;
inline constexpr std::size_t kStopRegexesMax = 4;
inline constexpr std::size_t kStopRegexBytesMax = 1024;
inline constexpr std::size_t kBadWordBytesMax = 1024;
inline constexpr std::size_t kDryBreakersMax = 64;  // strings
inline constexpr std::size_t kDryBreakerBytesMax = 64;
inline constexpr std::size_t kRequestIdBytesMax = 128;
inline constexpr std::size_t kMethodLoggedBytesMax = 32;
inline constexpr std::size_t kLoggedBodyBytesMax = 16 << 10;
inline constexpr std::size_t kTraceparentBytesMax = 256;
inline constexpr std::size_t kAdminBodyBytesMax = 64 << 10;
inline constexpr std::size_t kModelAliasesMax = 16;
inline constexpr std::size_t kQuotedBytesMax = 200;  // of a client's text in an error

}  // namespace vsurge::api
