#include "api/text_stream.h"

#include <utility>

namespace vsurge::api {

TextStream::TextStream(const text::Tokenizer& tokenizer, std::vector<std::string> stops,
                       bool skip_special)
    : detokenizer_(tokenizer, skip_special), scanner_(std::move(stops)) {}

base::Status TextStream::push(text::TokenId token, std::string& out) {
  if (scanner_.found()) return {};
  scanner_.push(VSURGE_TRY(detokenizer_.push(token)), out);
  return {};
}

base::Status TextStream::finish(std::string& out) {
  if (scanner_.found()) return {};
  scanner_.push(VSURGE_TRY(detokenizer_.finish()), out);
  scanner_.finish(out);
  return {};
}

}  // namespace vsurge::api
