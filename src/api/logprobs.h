// LogprobsJson: logprobs as the endpoints tell them.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "api/choice.h"
#include "api/token_texts.h"

namespace vsurge::api {

// One thread at a time; remembers the texts of tokens.
class LogprobsJson {
 public:
  // as_ids: tokens are written as "token_id:5".
  LogprobsJson(const text::Tokenizer& tokenizer, bool as_ids)
      : texts_(tokenizer), as_ids_(as_ids) {}

  // {"content":[{"token","logprob","bytes","top_logprobs":[...]}],"refusal":null}; `top` likeliest
  // tokens beside each. All tokens have logprobs.
  void append_chat(std::string& out, std::span<const ScoredToken> tokens, int top);
  // The list in it alone.
  void append_list(std::string& out, std::span<const ScoredToken> tokens, int top);
  // {"text_offset","token_logprobs","tokens","top_logprobs"}: beside each token an object of the
  // `top` likeliest and the token itself. A token without logprobs has null.
  void append_completion(std::string& out, std::span<const ScoredToken> tokens, int top);
  // [null, {"5":{"logprob","rank","decoded_token"}}, ...], as vLLM: the token itself and the `top`
  // likeliest of each place but the first. logprobs[i] is of prompt[i + 1].
  void append_prompt(std::string& out, std::span<const engine::TokenId> prompt,
                     std::span<const std::shared_ptr<const engine::Logprobs>> logprobs, int top);

 private:
  std::string name_of(engine::TokenId token);
  void append_token(std::string& out, engine::TokenId token, float logprob);
  void append_top_object(std::string& out, const ScoredToken& token, int top);
  void append_ranked(std::string& out, const kernels::TopLogprob& token, int rank);

  TokenTexts texts_;
  bool as_ids_;
};

// [1,2,3]
void append_ids(std::string& out, std::span<const engine::TokenId> ids);

}  // namespace vsurge::api
