// Grammars of answers that may begin with reasoning, where its marks are written by several tokens.
#pragma once

#include "api/formats/reasoning_format.h"
#include "base/error.h"
#include "text/grammar.h"
#include "text/tokenizer.h"

namespace vsurge::api {

struct ReasoningStart {
  const ReasoningFormat& format;
  bool open = false;   // the prompt has opened it
  bool calls = false;  // the answer itself is written in the model's tool format
};

// Each mark is one token of the vocabulary: then a ReasoningGate tells where reasoning ends.
bool marks_are_tokens(const ReasoningStart& start, const text::Tokenizer& tokenizer);

// A Lark grammar: reasoning, which is open or may come, blanks, and what `answer` allows. The
// reasoning ends at the first of the texts that close it. Fails as GrammarFactory::lark_schema.
base::Result<text::GrammarSource> behind_reasoning(const text::GrammarSource& answer,
                                                   const ReasoningStart& start,
                                                   const text::Tokenizer& tokenizer,
                                                   const text::GrammarFactory& factory);

}  // namespace vsurge::api
