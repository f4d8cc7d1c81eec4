#include "api/echo.h"

#include <algorithm>

#include "api/text_stream.h"
#include "text/detokenizer.h"

namespace vsurge::api {

base::Result<Echo> make_echo(const text::Tokenizer& tokenizer,
                             std::span<const text::TokenId> prompt,
                             std::optional<std::string_view> text, bool skip_special) {
  Echo echo;
  text::Detokenizer detokenizer(tokenizer, !text && skip_special);
  std::size_t characters = 0;
  for (const text::TokenId token : prompt) {
    echo.offsets.push_back(characters);
    const std::string_view piece = VSURGE_TRY(detokenizer.push(token));
    characters += count_characters(piece);
    echo.text += piece;
  }
  echo.text += VSURGE_TRY(detokenizer.finish());
  if (!text) return echo;
  // Tokens may say more than the client wrote (BOS) or something else (normalised text).
  const std::size_t most = count_characters(*text);
  const std::size_t all = count_characters(echo.text);
  const std::size_t more = echo.text.ends_with(*text) ? all - most : 0;
  for (std::size_t& offset : echo.offsets) {
    offset = std::min(offset - std::min(offset, more), most);
  }
  echo.text = *text;
  return echo;
}

}  // namespace vsurge::api
