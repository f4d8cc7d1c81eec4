#include "text/infill.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace vsurge::text {
namespace {

struct Names {
  std::string_view prefix, suffix, middle;  // middle empty: the suffix comes first
};

constexpr auto kNames = std::to_array<Names>({
    {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"},     // Qwen, CodeGemma, Granite 4
    {"<fim_prefix>", "<fim_suffix>", "<fim_middle>"},           // StarCoder, Granite Code
    {"<fim-prefix>", "<fim-suffix>", "<fim-middle>"},           // SantaCoder
    {"▁<PRE>", "▁<SUF>", "▁<MID>"},                             // Code Llama
    {"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"},     // DeepSeek
    {"<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"},  // GLM
    {"[PREFIX]", "[SUFFIX]", ""},                               // Codestral
});

// Some models end a gap with what separates files or pads, not with their end of text.
constexpr auto kEnds = std::to_array<std::string_view>(
    {"<|endoftext|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<|file_separator|>",
     "<fim_pad>", "<fim-pad>", "<file_sep>", "▁<EOT>"});

std::vector<TokenId> find_ends(const Tokenizer& tokenizer) {
  std::vector<TokenId> ends;
  for (const std::string_view name : kEnds) {
    if (const auto id = tokenizer.id_of(name)) ends.push_back(*id);
  }
  return ends;
}

}  // namespace

std::optional<InfillTokens> find_infill_tokens(const Tokenizer& tokenizer) {
  for (const Names& names : kNames) {
    const auto prefix = tokenizer.id_of(names.prefix);
    const auto suffix = tokenizer.id_of(names.suffix);
    const auto middle = names.middle.empty() ? std::nullopt : tokenizer.id_of(names.middle);
    if (!prefix || !suffix || middle.has_value() == names.middle.empty()) continue;
    return InfillTokens{*prefix, *suffix, middle, find_ends(tokenizer)};
  }
  return std::nullopt;
}

void append_infill(std::vector<TokenId>& prompt, const InfillTokens& tokens, const Gap& gap) {
  const auto append = [&](TokenId mark, std::span<const TokenId> ids) {
    prompt.push_back(mark);
    prompt.insert(prompt.end(), ids.begin(), ids.end());
  };
  if (tokens.middle) {
    append(tokens.prefix, gap.before);
    append(tokens.suffix, gap.behind);
    prompt.push_back(*tokens.middle);
  } else {
    append(tokens.suffix, gap.behind);
    append(tokens.prefix, gap.before);
  }
}

base::Result<std::vector<TokenId>> encode_continuation(const Tokenizer& tokenizer,
                                                       std::string_view text,
                                                       std::size_t tokens_max) {
  // A vocabulary of SentencePiece writes spaces so.
  if (!tokenizer.id_of("▁")) return tokenizer.encode(text, false, tokens_max);
  // Behind a character that no token joins with others there is no such space.
  constexpr std::string_view kAnchor = "☺";
  const std::vector<TokenId> anchor = VSURGE_TRY(tokenizer.encode(kAnchor, false));
  const std::size_t most =
      tokens_max > kAnyTokens - anchor.size() ? kAnyTokens : tokens_max + anchor.size();
  std::string anchored(kAnchor);
  anchored += text;
  std::vector<TokenId> ids = VSURGE_TRY(tokenizer.encode(anchored, false, most));
  const auto [of_anchor, begin] = std::ranges::mismatch(anchor, ids);
  if (of_anchor != anchor.end()) return tokenizer.encode(text, false, tokens_max);
  ids.erase(ids.begin(), begin);
  return ids;
}

}  // namespace vsurge::text
