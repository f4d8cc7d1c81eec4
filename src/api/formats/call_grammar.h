// Grammars that make a model write calls in its own format.
#pragma once

#include <string>

#include "api/formats/tool_format.h"
#include "api/formats/tool_spec.h"
#include "text/grammar.h"
#include "text/tokenizer.h"

namespace vsurge::api {

struct CallGrammarRequest {
  const ToolFormat& format;
  const ToolSpecs& tools;
  bool required = true;   // a call must come; else text may, in which no call begins
  bool parallel = false;  // several calls may come
  // Where text may come: an answer that is no call is JSON of this schema; empty: any text.
  std::string answer_schema = {};
};

// In llguidance's Lark. Arguments fit the schemas of their functions; those that a format writes
// as bare text are anything up to their end. The error is a schema's.
base::Result<text::GrammarSource> call_grammar(const CallGrammarRequest& request,
                                               const text::Tokenizer& tokenizer,
                                               const text::GrammarFactory& factory);

}  // namespace vsurge::api
