// For tests: bodies with some members, and what is said of them.
#pragma once

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <ostream>
#include <span>
#include <string>
#include <string_view>

#include "api/chat_request.h"
#include "api/completion_request.h"

namespace vsurge::api::testing {

inline constexpr int kRequestVocabulary = 1000;

inline RequestContext context() {
  return {
      .sampling = {}, .json = {}, .vocabulary = kRequestVocabulary, .speculative_tokens_max = 4};
}

inline std::string with(Endpoint endpoint, std::string_view members) {
  std::string out = endpoint == Endpoint::kChat
                        ? R"({"model":"m","messages":[{"role":"user","content":"x"}])"
                        : R"({"model":"m","prompt":"x")";
  if (!members.empty()) out += ',';
  out += members;
  return out + "}";
}

// An empty code means it was taken.
struct Verdict {
  std::string code;
  std::string param;
  friend bool operator==(const Verdict&, const Verdict&) = default;
};
inline std::ostream& operator<<(std::ostream& out, const Verdict& v) {
  return out << v.code << " (" << v.param << ")";
}

inline Verdict verdict_of(Endpoint endpoint, const std::string& body, ApiError* error = nullptr) {
  const boost::json::value value = boost::json::parse(body);
  ApiError found;
  if (endpoint == Endpoint::kChat) {
    const auto result = read_chat_request(value, context());
    if (result) return {};
    found = result.error();
  } else {
    const auto result = read_completion_request(value, context());
    if (result) return {};
    found = result.error();
  }
  EXPECT_EQ(found.status, 400);
  EXPECT_FALSE(found.message.empty());
  if (error != nullptr) *error = found;
  return {found.code, found.param};
}

inline Verdict verdict(Endpoint endpoint, std::string_view members) {
  return verdict_of(endpoint, with(endpoint, members));
}
inline Verdict chat(std::string_view members) {
  return verdict(Endpoint::kChat, members);
}

inline constexpr Endpoint kEndpoints[] = {Endpoint::kChat, Endpoint::kCompletions};

struct Row {
  std::string_view members;
  std::string_view code;  // empty: taken
  std::string_view param = {};
};

inline void expect_in_both(std::span<const Row> rows) {
  for (const Endpoint endpoint : kEndpoints) {
    for (const Row& row : rows) {
      EXPECT_EQ(verdict(endpoint, row.members),
                (Verdict{std::string(row.code), std::string(row.param)}))
          << row.members;
    }
  }
}

}  // namespace vsurge::api::testing
