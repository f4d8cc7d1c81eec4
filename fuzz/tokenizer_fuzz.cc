// Bytes of a tokenizer.json: refused, or a tokenizer that encodes, decodes and streams, where the
// streamed pieces add up to the whole.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/log.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

using vsurge::text::Detokenizer;
using vsurge::text::TokenId;
using vsurge::text::Tokenizer;

namespace {

void use(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  const auto whole = tokenizer.decode(ids, false);
  Detokenizer stream(tokenizer, false);
  std::string pieces;
  for (const auto id : ids) {
    auto piece = stream.push(id);
    if (!piece) std::abort();
    pieces += *piece;
  }
  const auto rest = stream.finish();
  if (whole.has_value() != rest.has_value() && whole) std::abort();
  if (whole && pieces + *rest != *whole) std::abort();
}

constexpr std::string_view kText = "ab <s>\xe2\x82\xac 12\n";

// A limit changes nothing of a text that fits, and the bound of bytes holds.
void check_limit(const Tokenizer& tokenizer, std::string_view text,
                 const vsurge::base::Result<std::vector<TokenId>>& ids) {
  if (!ids) return;
  const auto bytes = tokenizer.bytes_per_token();
  if (bytes > 0 && text.size() > ids->size() * bytes) std::abort();
  const auto same = tokenizer.encode(text, true, ids->size());
  if (!same || *same != *ids) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  [[maybe_unused]] static const auto quiet =
      vsurge::base::init_logging("off", vsurge::base::LogFormat::kText);
  const auto tokenizer = Tokenizer::from_json({reinterpret_cast<const char*>(data), size});
  if (!tokenizer) return 0;
  const auto ids = tokenizer->encode(kText, true);
  if (ids) use(*tokenizer, *ids);
  check_limit(*tokenizer, kText, ids);
  std::vector<TokenId> some;
  for (TokenId id = -1; id < 40; ++id) {
    some.push_back(id);
    tokenizer->token_of(id);
    tokenizer->is_special(id);
  }
  use(*tokenizer, some);
  return 0;
}
