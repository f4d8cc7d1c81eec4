// GBNF, llama.cpp's grammar format, in terms of the one that the compiler reads.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace vsurge::text {

// A Lark grammar of the same answers: rules without recursion become terminals, so a grammar
// without any is matched exactly. In recursive ones a terminal takes as much as it can, as a lexer
// does: where the rule after it could begin with the same characters, some answers of the GBNF are
// not found; none comes in.
//
// Read as grammars/README.md of ggml-org/llama.cpp describes: rules `name ::= ...`, strings and
// character classes with their escapes, `.`, groups, `|`, `* + ? {m} {m,} {m,n}`, comments. The
// answer is the rule `root`. kInvalidRequest with line and column; tokens (`<...>`) are refused.
base::Result<std::string> lark_of_gbnf(std::string_view source);

}  // namespace vsurge::text
