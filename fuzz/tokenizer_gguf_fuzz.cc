// Any vocabulary that GGUF metadata could carry: refused, or a tokenizer that works.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/log.h"
#include "text/auto_tokenizer.h"

namespace {

// Lines of the input: kind, pre, template, flags, tokens up to an empty line, then merges. The
// first two bytes of a token are its type and score.
std::string_view line(std::string_view& rest) {
  const auto end = std::min(rest.find('\n'), rest.size());
  const auto found = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  [[maybe_unused]] static const auto quiet =
      vsurge::base::init_logging("off", vsurge::base::LogFormat::kText);
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  vsurge::text::GgufVocabulary made;
  made.kind = line(rest);
  made.pre = line(rest);
  made.chat_template = line(rest);
  const auto flags = line(rest);
  const auto flag = [&](std::size_t at) -> std::optional<bool> {
    if (at >= flags.size() || flags[at] == '-') return std::nullopt;
    return flags[at] == '1';
  };
  const auto id = [&](std::size_t at) -> std::optional<vsurge::text::TokenId> {
    if (at >= flags.size() || flags[at] == '-') return std::nullopt;
    return flags[at] - '0';
  };
  made.add_bos = flag(0);
  made.add_eos = flag(1);
  made.add_space_prefix = flag(2);
  made.bos = id(3);
  made.eos = id(4);
  made.unknown = id(5);
  made.padding = id(6);
  while (!rest.empty()) {
    const auto token = line(rest);
    if (token.empty()) break;
    made.types.push_back(token[0] - '0');
    made.scores.push_back(token.size() > 1 ? static_cast<float>(token[1]) : 0.0F);
    made.tokens.emplace_back(token.substr(std::min<std::size_t>(2, token.size())));
  }
  while (!rest.empty()) made.merges.emplace_back(line(rest));
  const auto assets = vsurge::text::make_text_assets(made);
  if (!assets) return 0;
  const auto ids = assets->tokenizer.encode("ab <s>\xe2\x82\xac 12\n", true);
  if (ids) CHECK(assets->tokenizer.decode(*ids, true).has_value());
  return 0;
}
