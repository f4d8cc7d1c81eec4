// TextStream: the tokens of one answer to the text a client may see.
#pragma once

#include <string>
#include <vector>

#include "api/stop_scanner.h"
#include "text/detokenizer.h"

namespace vsurge::api {

// One per answer, one thread at a time. Special tokens are not part of the text. The concatenation
// of all that push() and finish() give is the answer, whatever the pace of the calls.
class TextStream {
 public:
  TextStream(const text::Tokenizer& tokenizer, std::vector<std::string> stops,
             bool skip_special = true);

  // Appends to `out` what the client may see now.
  base::Status push(text::TokenId token, std::string& out);
  // After the last token, unless stopped().
  base::Status finish(std::string& out);
  // A stop string was found: the answer is complete.
  bool stopped() const { return scanner_.found(); }

 private:
  text::Detokenizer detokenizer_;
  StopScanner scanner_;
};

}  // namespace vsurge::api
