#include "text/gguf_tokenizer.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <unordered_map>

#include "base/escape.h"
#include "base/limits.h"

namespace vsurge::text {
namespace {

namespace json = boost::json;

// tokenizer.ggml.token_type.
enum TokenType : std::int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4 };

using Vocabulary = std::unordered_map<std::string_view, std::size_t>;

std::string shown(std::string_view token) {
  return base::escape_for_line(base::shorten(token, 60));
}

base::Result<Vocabulary> index_tokens(const GgufVocabulary& vocabulary) {
  const auto count = vocabulary.tokens.size();
  if (count == 0) return base::fail(base::ErrorCode::kBadModel, "tokenizer.ggml.tokens: empty");
  if (count > base::TokenizerLimits{}.vocabulary_max) {
    return base::fail(base::ErrorCode::kBadModel, "tokenizer.ggml.tokens: {} tokens, limit {}",
                      count, base::TokenizerLimits{}.vocabulary_max);
  }
  if (!vocabulary.types.empty() && vocabulary.types.size() != count) {
    return base::fail(base::ErrorCode::kBadModel,
                      "tokenizer.ggml.token_type: {} entries for {} tokens",
                      vocabulary.types.size(), count);
  }
  Vocabulary index;
  index.reserve(count);
  for (std::size_t id = 0; id < count; ++id) {
    const std::string_view token = vocabulary.tokens[id];
    for (std::size_t at = 0; at < token.size();) {
      const auto length = base::utf8_length(token.substr(at));
      if (length == 0) {
        return base::fail(base::ErrorCode::kBadModel, "tokenizer.ggml.tokens[{}]: not UTF-8: '{}'",
                          id, shown(token));
      }
      at += length;
    }
    if (const auto [old, fresh] = index.emplace(token, id); !fresh) {
      return base::fail(base::ErrorCode::kBadModel, "tokenizer.ggml.tokens: '{}' is both {} and {}",
                        shown(token), old->second, id);
    }
  }
  return index;
}

base::Status check_id(const GgufVocabulary& vocabulary, const char* key,
                      std::optional<TokenId> id) {
  if (id && (*id < 0 || static_cast<std::size_t>(*id) >= vocabulary.tokens.size())) {
    return base::fail(base::ErrorCode::kBadModel, "tokenizer.ggml.{}: {} of {} tokens", key, *id,
                      vocabulary.tokens.size());
  }
  return {};
}

json::array added_tokens(const GgufVocabulary& vocabulary) {
  json::array added;
  for (std::size_t id = 0; id < vocabulary.types.size(); ++id) {
    const auto type = vocabulary.types[id];
    const bool special = type == kControl || type == kUnknown;
    if ((!special && type != kUserDefined) || vocabulary.tokens[id].empty()) continue;
    added.push_back(json::object{{"id", id},
                                 {"content", vocabulary.tokens[id]},
                                 {"single_word", false},
                                 {"lstrip", false},
                                 {"rstrip", false},
                                 {"normalized", false},
                                 {"special", special}});
  }
  return added;
}

// Beginning and end of text as the file wants them; null when there is nothing to add.
json::value post_processor(const GgufVocabulary& vocabulary, bool add_bos, bool add_eos) {
  json::array single;
  json::object special;
  const auto add = [&](std::optional<TokenId> id) {
    const auto& token = vocabulary.tokens[static_cast<std::size_t>(*id)];
    single.push_back(json::object{{"SpecialToken", json::object{{"id", token}, {"type_id", 0}}}});
    special[token] =
        json::object{{"id", token}, {"ids", json::array{*id}}, {"tokens", json::array{token}}};
  };
  if (add_bos && vocabulary.bos) add(vocabulary.bos);
  single.push_back(json::object{{"Sequence", json::object{{"id", "A"}, {"type_id", 0}}}});
  if (add_eos && vocabulary.eos) add(vocabulary.eos);
  if (special.empty()) return nullptr;
  auto pair = single;
  pair.push_back(json::object{{"Sequence", json::object{{"id", "B"}, {"type_id", 1}}}});
  return {{"type", "TemplateProcessing"},
          {"single", std::move(single)},
          {"pair", std::move(pair)},
          {"special_tokens", std::move(special)}};
}

json::object vocabulary_json(const GgufVocabulary& vocabulary) {
  json::object entries;
  entries.reserve(vocabulary.tokens.size());
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    entries.emplace(vocabulary.tokens[id], id);
  }
  return entries;
}

json::object bpe_model(const GgufVocabulary& vocabulary, json::array merges) {
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", false},
          {"vocab", vocabulary_json(vocabulary)},
          {"merges", std::move(merges)}};
}

base::Result<json::array> file_merges(const GgufVocabulary& vocabulary, const Vocabulary& index) {
  json::array merges;
  merges.reserve(vocabulary.merges.size());
  for (std::size_t i = 0; i < vocabulary.merges.size(); ++i) {
    const std::string_view merge = vocabulary.merges[i];
    // Both halves are whole tokens; a half may be a space only where it comes first.
    const auto gap = merge.find(' ', 1);
    if (gap == std::string_view::npos || gap + 1 == merge.size()) {
      return base::fail(base::ErrorCode::kBadModel,
                        "tokenizer.ggml.merges[{}]: expected two tokens, found '{}'", i,
                        shown(merge));
    }
    const auto left = merge.substr(0, gap);
    const auto right = merge.substr(gap + 1);
    const auto joined = std::string(left) + std::string(right);
    for (const std::string_view part : {left, right, std::string_view(joined)}) {
      if (!index.contains(part)) {
        return base::fail(base::ErrorCode::kBadModel,
                          "tokenizer.ggml.merges[{}]: '{}' is not in the vocabulary", i,
                          shown(part));
      }
    }
    merges.push_back(json::array{left, right});
  }
  return merges;
}

base::Result<json::object> byte_level(const GgufVocabulary& vocabulary, const Vocabulary& index) {
  const PreTokenizer* pre = find_pre_tokenizer(vocabulary.pre);
  if (pre == nullptr) {
    return base::fail(base::ErrorCode::kBadModel,
                      "tokenizer.ggml.pre: '{}' is not known; known are {}", shown(vocabulary.pre),
                      known_pre_tokenizers());
  }
  json::array steps;
  for (const auto pattern : pre->patterns) {
    steps.push_back(json::object{{"type", "Split"},
                                 {"pattern", json::object{{"Regex", pattern}}},
                                 {"behavior", "Isolated"},
                                 {"invert", false}});
  }
  const json::object bytes = {{"type", "ByteLevel"},
                              {"add_prefix_space", vocabulary.add_space_prefix.value_or(false)},
                              {"trim_offsets", true},
                              {"use_regex", false}};
  steps.push_back(bytes);
  auto model = bpe_model(vocabulary, VSURGE_TRY(file_merges(vocabulary, index)));
  model["ignore_merges"] = pre->ignore_merges;
  return json::object{
      {"normalizer", pre->nfc ? json::value(json::object{{"type", "NFC"}}) : json::value(nullptr)},
      {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}}},
      {"post_processor", post_processor(vocabulary, vocabulary.add_bos.value_or(pre->add_bos),
                                        vocabulary.add_eos.value_or(false))},
      {"decoder", bytes},
      {"model", std::move(model)}};
}

struct Merge {
  std::size_t left, right;
  float score;
  std::size_t left_length, right_length;  // in characters
  std::size_t order = 0;                  // the earlier one comes first among equals
};

// SentencePiece joins the pair whose union scores best; as a list of merges that is every way to
// split every token into two tokens, best union first.
base::Result<json::array> score_merges(const GgufVocabulary& vocabulary, const Vocabulary& index) {
  constexpr std::size_t kMergesMax = 4'000'000;  // a real file of 256,000 tokens has 580,000
  std::vector<Merge> merges;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (!vocabulary.types.empty() && vocabulary.types[id] != kNormal) continue;
    const std::string_view token = vocabulary.tokens[id];
    const auto first = merges.size();
    std::size_t characters = 0;
    for (std::size_t at = 0; at < token.size(); ++characters) {
      if (at > 0) {
        const auto left = index.find(token.substr(0, at));
        const auto right = index.find(token.substr(at));
        if (left != index.end() && right != index.end()) {
          merges.push_back({left->second, right->second, vocabulary.scores[id], characters, 0});
        }
      }
      at += base::utf8_length(token.substr(at));
    }
    if (merges.size() > kMergesMax) {
      return base::fail(base::ErrorCode::kBadModel,
                        "tokenizer.ggml.tokens: more than {} ways to join two tokens to one",
                        kMergesMax);
    }
    for (auto i = first; i < merges.size(); ++i) {
      merges[i].right_length = characters - merges[i].left_length;
    }
    std::sort(merges.begin() + static_cast<std::ptrdiff_t>(first), merges.end(),
              [](const Merge& a, const Merge& b) {
                return std::pair(a.left, a.right) < std::pair(b.left, b.right);
              });
  }
  for (std::size_t i = 0; i < merges.size(); ++i) merges[i].order = i;
  std::sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return std::tuple(-a.score, b.left_length, b.right_length, a.order) <
           std::tuple(-b.score, a.left_length, a.right_length, b.order);
  });
  json::array result;
  result.reserve(merges.size());
  for (const auto& merge : merges) {
    result.push_back(json::array{vocabulary.tokens[merge.left], vocabulary.tokens[merge.right]});
  }
  return result;
}

base::Status check_scores(const GgufVocabulary& vocabulary) {
  if (vocabulary.scores.size() != vocabulary.tokens.size()) {
    return base::fail(base::ErrorCode::kBadModel, "tokenizer.ggml.scores: {} for {} tokens",
                      vocabulary.scores.size(), vocabulary.tokens.size());
  }
  for (std::size_t id = 0; id < vocabulary.scores.size(); ++id) {
    if (!std::isfinite(vocabulary.scores[id])) {
      return base::fail(base::ErrorCode::kBadModel, "tokenizer.ggml.scores[{}]: not a number", id);
    }
    // Splitting a token of n characters costs n look-ups of up to n bytes.
    if (vocabulary.tokens[id].size() > 1024) {
      return base::fail(base::ErrorCode::kBadModel, "tokenizer.ggml.tokens[{}]: {} bytes", id,
                        vocabulary.tokens[id].size());
    }
  }
  return {};
}

base::Result<json::object> sentence_piece(const GgufVocabulary& vocabulary,
                                          const Vocabulary& index) {
  VSURGE_TRY(check_scores(vocabulary));
  const bool prefix = vocabulary.add_space_prefix.value_or(true);
  const json::object space = {{"String", " "}};
  json::array normalizers;
  if (prefix) normalizers.push_back(json::object{{"type", "Prepend"}, {"prepend", "▁"}});
  normalizers.push_back(json::object{{"type", "Replace"}, {"pattern", space}, {"content", "▁"}});
  json::array decoders = {
      json::object{
          {"type", "Replace"}, {"pattern", json::object{{"String", "▁"}}}, {"content", " "}},
      json::object{{"type", "ByteFallback"}}, json::object{{"type", "Fuse"}}};
  if (prefix) {
    decoders.push_back(
        json::object{{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  auto model = bpe_model(vocabulary, VSURGE_TRY(score_merges(vocabulary, index)));
  model["byte_fallback"] = true;
  model["fuse_unk"] = true;
  if (vocabulary.unknown) {
    model["unk_token"] = vocabulary.tokens[static_cast<std::size_t>(*vocabulary.unknown)];
  }
  return json::object{
      {"normalizer", {{"type", "Sequence"}, {"normalizers", std::move(normalizers)}}},
      {"pre_tokenizer", nullptr},
      {"post_processor", post_processor(vocabulary, vocabulary.add_bos.value_or(true),
                                        vocabulary.add_eos.value_or(false))},
      {"decoder", {{"type", "Sequence"}, {"decoders", std::move(decoders)}}},
      {"model", std::move(model)}};
}

}  // namespace

base::Result<std::string> gguf_tokenizer_json(const GgufVocabulary& vocabulary) {
  const Vocabulary index = VSURGE_TRY(index_tokens(vocabulary));
  VSURGE_TRY(check_id(vocabulary, "bos_token_id", vocabulary.bos));
  VSURGE_TRY(check_id(vocabulary, "eos_token_id", vocabulary.eos));
  VSURGE_TRY(check_id(vocabulary, "unknown_token_id", vocabulary.unknown));
  json::object file;
  if (vocabulary.kind == "gpt2") {
    file = VSURGE_TRY(byte_level(vocabulary, index));
  } else if (vocabulary.kind == "llama") {
    file = VSURGE_TRY(sentence_piece(vocabulary, index));
  } else {
    return base::fail(base::ErrorCode::kBadModel,
                      "tokenizer.ggml.model: '{}' is not known; known are gpt2, llama",
                      shown(vocabulary.kind));
  }
  file["version"] = "1.0";
  file["truncation"] = nullptr;
  file["padding"] = nullptr;
  file["added_tokens"] = added_tokens(vocabulary);
  return json::serialize(file);
}

}  // namespace vsurge::text
