// How a query and a document become one prompt for a checkpoint that scores pairs.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "api/plain_call.h"
#include "api/pooled_texts.h"

namespace vsurge::api {

// One request's; text workers.
class RerankPrompts {
 public:
  // The chat template where it knows messages of the roles query and document; else, for scores by
  // logits of a vocabulary with <|im_start|>, the prompt of Qwen3-Reranker; else query and document
  // one after the other with what the tokenizer adds around them, as cross encoders of
  // sentence-transformers. `instruction` may be empty.
  static ApiResult<RerankPrompts> make(const ServiceCore& core, std::string_view instruction);

  // False: there is no place for an instruction in it.
  bool takes_instruction() const { return layout_ != Layout::kPair; }
  // A 400 with `param` where it does not fit.
  ApiResult<std::vector<engine::TokenId>> of(std::string_view query, std::string_view document,
                                             const std::string& param) const;

 private:
  enum class Layout : std::uint8_t { kTemplate, kQwen3, kPair };

  RerankPrompts(const ServiceCore& core, std::string_view instruction)
      : core_(&core), instruction_(instruction) {}
  ApiResult<std::string> text_of(std::string_view query, std::string_view document,
                                 const std::string& param) const;

  const ServiceCore* core_;
  std::string_view instruction_;
  Layout layout_ = Layout::kPair;
  TokenFrame frame_;  // of kPair
};

}  // namespace vsurge::api
