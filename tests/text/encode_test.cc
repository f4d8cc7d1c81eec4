// Words that are cut by hand, and ids out of a cache, against the crate's own passes: the same file
// with a step that does nothing, which is not known here.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <boost/json.hpp>
#include <random>
#include <thread>

#include "base/test_data.h"
#include "tests/text/test_support.h"

namespace vsurge::text {
namespace {

namespace json = boost::json;

constexpr std::string_view kBytes =
    R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false})";
constexpr std::string_view kBytesAndRule =
    R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true})";
constexpr std::string_view kNothing =
    R"({"type":"Split","pattern":{"String":"zqvxzqvx"},"behavior":"Isolated","invert":false})";
constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+)";
constexpr std::string_view kDigit = R"(\\p{N})";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3})"
    R"(| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N})"
    R"(| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+)";

std::string split(std::string_view pattern) {
  return fmt::format(
      R"({{"type":"Split","pattern":{{"Regex":"{}"}},"behavior":"Isolated","invert":false}})",
      pattern);
}

struct Case {
  std::string steps;  // of the pre-tokenizer, parted by commas
  std::string normalizer = "null";
  std::string post_processor = "null";
};

// All bytes, and some words of more than one.
json::object small_model() {
  json::object vocabulary;
  json::array merges;
  const auto add = [&](std::string_view token) { vocabulary.emplace(token, vocabulary.size()); };
  for (char32_t c = 0x21; c <= 0x143; ++c) {
    if (c == 0x7f || (c > 0x7f && c < 0xa1) || c == 0xad) continue;
    std::string utf8;
    if (c < 0x80) {
      utf8 += static_cast<char>(c);
    } else {
      utf8 += static_cast<char>(0xc0 | (c >> 6));
      utf8 += static_cast<char>(0x80 | (c & 63));
    }
    add(utf8);
  }
  constexpr std::array<std::array<std::string_view, 2>, 16> kMerges = {{
      {"h", "e"},
      {"t", "he"},
      {"Ġ", "t"},
      {"Ġt", "he"},
      {"i", "n"},
      {"in", "g"},
      {"l", "l"},
      {"'", "ll"},
      {"'", "s"},
      {"1", "2"},
      {"12", "3"},
      {"Ċ", "Ċ"},
      {"Ġ", "Ġ"},
      {"!", "Ċ"},
      {"Ã", "©"},
      {"Ġ", "!"},
  }};
  for (const auto& [left, right] : kMerges) {
    add(std::string(left) + std::string(right));
    merges.push_back(json::array{left, right});
  }
  return {{"type", "BPE"}, {"vocab", std::move(vocabulary)}, {"merges", std::move(merges)}};
}

json::array added_tokens(std::size_t first) {
  json::array out;
  for (const char* content : {"<|im_start|>", "<|im_end|>", "<|im", "ng!", "<s>"}) {
    out.push_back(json::object{{"id", first + out.size()},
                               {"content", content},
                               {"single_word", false},
                               {"lstrip", false},
                               {"rstrip", false},
                               {"normalized", false},
                               {"special", *content == '<'}});
  }
  return out;
}

json::object file_of(const Case& one) {
  json::object model = small_model();
  json::array added = added_tokens(model["vocab"].get_object().size());
  return {{"version", "1.0"},
          {"added_tokens", std::move(added)},
          {"normalizer", json::parse(one.normalizer)},
          {"pre_tokenizer",
           json::parse(fmt::format(R"({{"type":"Sequence","pretokenizers":[{}]}})", one.steps))},
          {"post_processor", json::parse(one.post_processor)},
          {"decoder", json::parse(kBytes)},
          {"model", std::move(model)}};
}

// The same, for the crate alone.
std::string in_full(json::object file) {
  json::value& steps = file["pre_tokenizer"];
  json::array all = {json::parse(kNothing)};
  const bool many = steps.at("type") == "Sequence";
  if (many) {
    for (const auto& step : steps.at("pretokenizers").as_array()) all.push_back(step);
  } else {
    all.push_back(steps);
  }
  steps = {{"type", "Sequence"}, {"pretokenizers", std::move(all)}};
  return json::serialize(file);
}

std::string random_text(std::mt19937& random) {
  constexpr auto kParts = std::to_array<std::string_view>({" ",
                                                           " ",
                                                           " ",
                                                           "  ",
                                                           "\n",
                                                           "\r\n",
                                                           "\t",
                                                           "\v\f",
                                                           "the",
                                                           " the",
                                                           "ing",
                                                           "I",
                                                           "'s",
                                                           "'LL",
                                                           "'re",
                                                           "'",
                                                           "1",
                                                           "12",
                                                           "12345",
                                                           "!",
                                                           "...",
                                                           "(",
                                                           "\"",
                                                           "-",
                                                           "_",
                                                           "\x7f",
                                                           "\x01",
                                                           "\xc3\xa9",
                                                           "e\xcc\x81",
                                                           "\xcc\x81",
                                                           "\xc2\xa0",
                                                           "\xe2\x80\xa8",
                                                           "\xe6\xbc\xa2",
                                                           "\xf0\x9f\x98\x80",
                                                           "'\xc5\xbf",
                                                           "\xc2\x85",
                                                           "\xc2\xbd",
                                                           "<|im_start|>",
                                                           "<|im_end|>",
                                                           "<|im",
                                                           "<|",
                                                           "ng!",
                                                           "<s>",
                                                           "abcdefghijklmnopqrstuvwxyzabcdefg"});
  std::string out;
  for (std::size_t left = random() % 24; left > 0; --left) out += kParts[random() % kParts.size()];
  return out;
}

void check_same(const Tokenizer& fast, const Tokenizer& full, std::string_view text, bool special) {
  const auto wanted = full.encode(text, special);
  const auto got = fast.encode(text, special);
  ASSERT_TRUE(wanted && got);
  ASSERT_EQ(*got, *wanted) << "'" << text << "'";
  ASSERT_EQ(fast.encode(text, special, wanted->size()), wanted);
  if (wanted->empty()) return;
  const auto late = fast.encode(text, special, wanted->size() - 1);
  const auto too = full.encode(text, special, wanted->size() - 1);
  ASSERT_FALSE(late || too);
  ASSERT_EQ(late.error().code, base::ErrorCode::kContextLengthExceeded);
  ASSERT_EQ(late.error().message, too.error().message);
}

Tokenizer loaded(std::string_view file) {
  auto tokenizer = Tokenizer::from_json(file);
  EXPECT_TRUE(tokenizer) << tokenizer.error().message;
  return std::move(*tokenizer);
}

std::vector<Case> cases() {
  const std::string bytes(kBytes), rule(kBytesAndRule), nfc = R"({"type":"NFC"})";
  const std::string digits = R"({"type":"Digits","individual_digits":true})";
  const std::string begins =
      R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},)"
      R"({"Sequence":{"id":"A","type_id":0}}],"pair":[{"Sequence":{"id":"A","type_id":0}},)"
      R"({"Sequence":{"id":"B","type_id":1}}],"special_tokens":{"<s>":{"id":"<s>","ids":[0],)"
      R"("tokens":["<s>"]}}})";
  return {{rule},
          {digits + "," + rule, "null", bytes},
          {split(kDigit) + "," + split(kGpt2) + "," + bytes, nfc},
          {split(kLlama3) + "," + bytes, "null", begins},
          {split(kQwen2) + "," + bytes, nfc},
          {split(kDigit) + "," + split(kLlama3) + "," + bytes}};
}

TEST(Encode, WordsCutByHandHaveTheCratesIds) {
  std::mt19937 random(20261130);
  for (const Case& one : cases()) {
    const json::object file = file_of(one);
    const Tokenizer fast = loaded(json::serialize(file));
    const Tokenizer full = loaded(in_full(file));
    for (int round = 0; round < 3000; ++round) {
      check_same(fast, full, random_text(random), round % 2 == 0);
      if (HasFatalFailure()) FAIL() << one.steps;
    }
  }
}

TEST(Encode, EveryPairOfCharacters) {
  for (const Case& one : cases()) {
    const json::object file = file_of(one);
    const Tokenizer fast = loaded(json::serialize(file));
    const Tokenizer full = loaded(in_full(file));
    for (int first = 0; first < 128; ++first) {
      std::string text;
      for (int second = 0; second < 128; ++second) {
        text += static_cast<char>(first);
        text += static_cast<char>(second);
        text += second % 3 == 0 ? "a " : second % 3 == 1 ? "7" : "";
      }
      check_same(fast, full, text, false);
      if (HasFatalFailure()) FAIL() << one.steps << " " << first;
    }
  }
}

TEST(Encode, RealVocabularies) {
  if (!base::test_data_path("tokenizers")) GTEST_SKIP() << base::test_data_missing("tokenizers");
  for (const char* name : {"qwen3", "gpt2"}) {
    const Tokenizer& fast = test::shared_tokenizer(name);
    const auto path = base::test_data_root() / "tokenizers" / name / "tokenizer.json";
    const Tokenizer full = loaded(in_full(test::read_json(path)));
    std::mt19937 random(7);
    for (int round = 0; round < 3000; ++round) {
      check_same(fast, full, random_text(random), false);
      if (HasFatalFailure()) FAIL() << name;
    }
  }
}

// The cache is read and written by all of them.
TEST(Encode, ManyThreads) {
  const json::object file = file_of(cases().front());
  const Tokenizer fast = loaded(json::serialize(file));
  const Tokenizer full = loaded(in_full(file));
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int round = 0; round < 1000; ++round) {
        const std::string text = random_text(random);
        EXPECT_EQ(fast.encode(text, false), full.encode(text, false));
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace vsurge::text
