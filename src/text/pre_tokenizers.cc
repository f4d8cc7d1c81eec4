// The splits that models of the byte-level BPE kind were trained with, as their own tokenizer.json
// files give them; the names are llama.cpp's (src/llama-vocab.cpp).
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "text/gguf_tokenizer.h"

namespace vsurge::text {
namespace {

constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDigit = R"(\p{N})";
constexpr std::string_view kDigits3 = R"(\p{N}{1,3})";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})"
    R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})"
                                    R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N})"
    R"(| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDeepseek3Cjk = R"([一-龥぀-ゟ゠-ヿ]+)";
constexpr std::string_view kDeepseek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
    R"(| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Letters with case (Lu, Ll, Lt), as Unicode stood when this tokenizer was made.
constexpr std::string_view kDeepseekLetters =
    R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚ)"
    R"(Ḁ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼ\u{1fbe}ῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u{2126}ℨ\u{212a}-ℭ)"
    R"(ℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ)"
    R"(𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+)";
constexpr std::string_view kDeepseekCjk = R"([一-龥ࠀ-一가-\u{d7ff}]+)";
constexpr std::string_view kBloom = R"( ?[^(\s|.,!?…。，、।۔،)]+)";

const std::array kKnown = {
    PreTokenizer{.names = "gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 "
                          "mellum modern-bert mpt olmo jais trillion granite-docling exaone4",
                 .patterns = {kGpt2}},
    PreTokenizer{.names = "default",
                 .patterns = {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, R"(\p{N}+)", R"([0-9][0-9][0-9])"}},
    PreTokenizer{.names = "smollm starcoder refact command-r codeshell exaone minerva-7b mellum2",
                 .patterns = {kDigit, kGpt2}},
    PreTokenizer{.names = "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2",
                 .patterns = {kLlama3},
                 .ignore_merges = true,
                 .add_bos = true},
    PreTokenizer{.names = "dbrx smaug-bpe chatglm-bpe", .patterns = {kLlama3}},
    PreTokenizer{.names = "glm4 glm5", .patterns = {kLlama3}, .ignore_merges = true},
    PreTokenizer{.names = "qwen2 megrez kormo f2llmv2", .patterns = {kQwen2}, .nfc = true},
    PreTokenizer{.names = "deepseek-r1-qwen stablelm2 hunyuan solar-open grok-2",
                 .patterns = {kQwen2}},
    PreTokenizer{.names = "qwen35", .patterns = {kQwen35}, .nfc = true},
    PreTokenizer{.names = "tekken", .patterns = {kTekken}, .ignore_merges = true, .add_bos = true},
    PreTokenizer{.names = "gpt-4o llama4 kanana2 talkie minimax-m2", .patterns = {kGpt4o}},
    PreTokenizer{.names = "tiny_aya cohere2moe",
                 .patterns = {R"(\d{1,3}(?=(?:\d{3})*\b))", kGpt4o}},
    PreTokenizer{.names = "deepseek-llm",
                 .patterns = {R"([\r\n])", kDeepseekLetters, R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)",
                              R"(\s+$)", kDeepseekCjk, R"(\p{N}+)"}},
    PreTokenizer{.names = "deepseek-coder",
                 .patterns = {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kDeepseekCjk, kDigit}},
    PreTokenizer{.names = "deepseek-v3 hunyuan-dense joyai-llm hy_v4",
                 .patterns = {kDigits3, kDeepseek3Cjk, kDeepseek3}},
    PreTokenizer{.names = "falcon",
                 .patterns = {R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2, R"([0-9][0-9][0-9])"}},
    PreTokenizer{.names = "bloom poro-chat gpt3-finnish", .patterns = {kBloom}},
    PreTokenizer{.names = "viking", .patterns = {kBloom, kDigit}},
    PreTokenizer{.names = "seed-coder",
                 .patterns = {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1})"
                              R"(| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)"}},
    PreTokenizer{.names = "bailingmoe bailingmoe2 llada-moe",
                 .patterns = {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N})"
                              R"(| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)"}},
};

// Calls visit(name) for each name of a row until it says true.
template <class Visit>
bool any_name(std::string_view names, Visit visit) {
  while (!names.empty()) {
    const auto end = std::min(names.find(' '), names.size());
    if (visit(names.substr(0, end))) return true;
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return false;
}

}  // namespace

const PreTokenizer* find_pre_tokenizer(std::string_view name) {
  if (name.empty()) name = "default";
  for (const auto& known : kKnown) {
    if (any_name(known.names, [&](std::string_view one) { return one == name; })) return &known;
  }
  return nullptr;
}

std::string known_pre_tokenizers() {
  std::vector<std::string_view> names;
  for (const auto& known : kKnown) {
    any_name(known.names, [&](std::string_view one) {
      names.push_back(one);
      return false;
    });
  }
  std::sort(names.begin(), names.end());
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace vsurge::text
