#include "api/logprobs.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "api/json.h"

namespace vsurge::api {
namespace {

// Shortest that reads back the same. JSON has no infinities; vLLM writes these.
void append_logprob(std::string& out, float logprob) {
  fmt::format_to(std::back_inserter(out), "{}", std::max(logprob, -9999.0F));
}

std::span<const kernels::TopLogprob> likeliest(const engine::Logprobs& logprobs, int top) {
  const auto all = std::span(logprobs.top);
  return all.first(std::min(all.size(), static_cast<std::size_t>(std::max(top, 0))));
}

}  // namespace

void append_ids(std::string& out, std::span<const engine::TokenId> ids) {
  out += '[';
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i > 0) out += ',';
    append_integer(out, ids[i]);
  }
  out += ']';
}

std::string LogprobsJson::name_of(engine::TokenId token) {
  return as_ids_ ? fmt::format("token_id:{}", token) : texts_.of(token).text;
}

// Without the closing brace.
void LogprobsJson::append_token(std::string& out, engine::TokenId token, float logprob) {
  out += R"({"token":)";
  append_json_string(out, name_of(token));
  out += R"(,"logprob":)";
  append_logprob(out, logprob);
  out += R"(,"bytes":[)";
  bool first = true;
  for (const char byte : texts_.of(token).bytes) {
    if (!std::exchange(first, false)) out += ',';
    append_integer(out, static_cast<unsigned char>(byte));
  }
  out += ']';
}

void LogprobsJson::append_chat(std::string& out, std::span<const ScoredToken> tokens, int top) {
  out += R"({"content":)";
  append_list(out, tokens, top);
  out += R"(,"refusal":null})";
}

void LogprobsJson::append_list(std::string& out, std::span<const ScoredToken> tokens, int top) {
  out += '[';
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) out += ',';
    const engine::Logprobs& logprobs = *tokens[i].logprobs;
    append_token(out, tokens[i].token, logprobs.logprob);
    out += R"(,"top_logprobs":[)";
    bool first = true;
    for (const kernels::TopLogprob& each : likeliest(logprobs, top)) {
      if (!std::exchange(first, false)) out += ',';
      append_token(out, each.token, each.logprob);
      out += '}';
    }
    out += "]}";
  }
  out += ']';
}

// Tokens may share a text; an object has it once, of the likelier.
void LogprobsJson::append_top_object(std::string& out, const ScoredToken& token, int top) {
  std::vector<std::string> names;
  const auto add = [&](engine::TokenId id, float logprob) {
    std::string name = name_of(id);
    if (std::ranges::find(names, name) != names.end()) return;
    if (!names.empty()) out += ',';
    append_json_string(out, name);
    out += ':';
    append_logprob(out, logprob);
    names.push_back(std::move(name));
  };
  out += '{';
  for (const auto& each : likeliest(*token.logprobs, top)) add(each.token, each.logprob);
  add(token.token, token.logprobs->logprob);
  out += '}';
}

void LogprobsJson::append_completion(std::string& out, std::span<const ScoredToken> tokens,
                                     int top) {
  const auto list = [&](std::string_view name, auto&& append) {
    out += name;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0) out += ',';
      append(tokens[i]);
    }
  };
  list(R"({"text_offset":[)", [&](const ScoredToken& token) {
    append_integer(out, static_cast<std::int64_t>(token.offset));
  });
  list(R"(],"token_logprobs":[)", [&](const ScoredToken& token) {
    if (token.logprobs == nullptr) {
      out += "null";
    } else {
      append_logprob(out, token.logprobs->logprob);
    }
  });
  list(R"(],"tokens":[)",
       [&](const ScoredToken& token) { append_json_string(out, name_of(token.token)); });
  list(R"(],"top_logprobs":[)", [&](const ScoredToken& token) {
    if (token.logprobs == nullptr) {
      out += "null";
    } else {
      append_top_object(out, token, top);
    }
  });
  out += "]}";
}

void LogprobsJson::append_ranked(std::string& out, const kernels::TopLogprob& token, int rank) {
  out += '"';
  append_integer(out, token.token);
  out += R"(":{"logprob":)";
  append_logprob(out, token.logprob);
  out += R"(,"rank":)";
  append_integer(out, rank);
  out += R"(,"decoded_token":)";
  append_json_string(out, texts_.of(token.token).text);
  out += '}';
}

void LogprobsJson::append_prompt(std::string& out, std::span<const engine::TokenId> prompt,
                                 std::span<const std::shared_ptr<const engine::Logprobs>> logprobs,
                                 int top) {
  out += "[null";
  for (std::size_t i = 0; i < std::min(logprobs.size(), prompt.size() - 1); ++i) {
    const engine::Logprobs& each = *logprobs[i];
    out += ",{";
    append_ranked(out, {prompt[i + 1], each.logprob}, each.rank);
    int rank = 0;
    for (const kernels::TopLogprob& other : likeliest(each, top)) {
      ++rank;
      if (other.token == prompt[i + 1]) continue;
      out += ',';
      append_ranked(out, other, rank);
    }
    out += '}';
  }
  out += ']';
}

}  // namespace vsurge::api
