// Structural tags: text that is free until a trigger begins a tag, whose content must fit a schema,
// a regex or a grammar. xgrammar's, as vLLM and SGLang take them.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <vector>

#include "api/api_error.h"
#include "api/generation.h"
#include "text/grammar.h"
#include "text/tokenizer.h"

namespace vsurge::api {

struct StructuralTag {
  struct Tag {
    std::string begin;
    text::GrammarSource content;  // a schema, a regex or a Lark grammar; an empty schema: any text
    bool free = false;            // any text up to `end`
    std::string end;
  };
  std::vector<std::string> triggers;  // each begins a tag or more
  std::vector<Tag> tags;
  bool at_least_one = false;      // a tag must come
  bool stop_after_first = false;  // nothing comes behind the first
};

// An object, or text that holds one: {"structures": [...], "triggers": [...]}, or {"format":
// {"type": "triggered_tags", ...}}.
ApiResult<StructuralTag> read_structural_tag(const boost::json::value& value,
                                             const std::string& path,
                                             const RequestContext& context);

// In llguidance's Lark. The error is that of a part.
base::Result<text::GrammarSource> structural_tag_grammar(const StructuralTag& tag,
                                                         const text::Tokenizer& tokenizer,
                                                         const text::GrammarFactory& factory);

}  // namespace vsurge::api
