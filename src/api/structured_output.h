// The fields of a request that constrain what its answer may say.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "api/api_error.h"
#include "api/fields.h"
#include "api/generation.h"
#include "api/reader.h"
#include "api/structural_tag.h"
#include "text/grammar.h"

namespace vsurge::api {

struct StructuredOutput {
  text::GrammarSource source;
  std::string param;  // the field that holds the source, for errors of compiling it
  std::shared_ptr<const StructuralTag> tag = nullptr;  // instead of source
};

// Reads response_format (OpenAI; llama.cpp's schema beside json_object), structured_outputs and the
// older guided_* (vLLM), json_schema and grammar (llama.cpp), regex, ebnf and structural_tag
// (SGLang). Nothing when
// the answer is free; two of them at once are refused, and so is what cannot go with one:
// ignore_eos and min_tokens, as an answer ends where its grammar does.
ApiResult<std::optional<StructuredOutput>> read_structured_output(const ObjectReader& body,
                                                                  Endpoint endpoint,
                                                                  const RequestContext& context);

}  // namespace vsurge::api
