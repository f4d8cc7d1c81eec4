// structured_sample MODEL.gguf|tokenizer.json TOKENS_MAX SEED < sources.jsonl > answers.jsonl
//
// Compiles each source and samples one answer as a model without sense would write it: random
// logits for each token, temperature 2. A line of input is {"kind","text","whitespace"}, a line of
// output {"status": "refused"|"ended"|"cut"|"failed", "message" or "text", "tokens"}; the last line
// has the times in microseconds.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/mapped_file.h"
#include "facade/gguf_vocabulary.h"
#include "text/auto_tokenizer.h"
#include "text/grammar.h"

namespace {

namespace json = boost::json;
namespace text = vsurge::text;
namespace base = vsurge::base;
using Kind = text::GrammarSource::Kind;

constexpr double kTemperature = 2;
constexpr double kLogitSpread = 4;  // standard deviation of the logits

double microseconds_since(std::chrono::steady_clock::time_point then) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - then).count();
}

struct Times {
  std::vector<double> compile, copy, first_mask, mask, accept;
};

json::object summary(std::vector<double> values) {
  if (values.empty()) return {};
  std::ranges::sort(values);
  const auto at = [&](double part) {
    return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
  };
  double sum = 0;
  for (const double value : values) sum += value;
  return {{"count", values.size()},
          {"mean", sum / static_cast<double>(values.size())},
          {"p50", at(0.5)},
          {"p99", at(0.99)},
          {"max", values.back()}};
}

// Draws from a distribution over all tokens, those allowed alone. The weights belong to one answer;
// each token of it sees them in another order.
class RandomModel {
 public:
  RandomModel(int tokens, std::uint64_t seed) : random_(seed) {
    std::normal_distribution<double> logit(0, kLogitSpread);
    weights_.resize(static_cast<std::size_t>(tokens));
    double sum = 0;
    for (double& weight : weights_) {
      weight = std::exp(logit(random_) / kTemperature);
      sums_.push_back(sum += weight);
    }
  }

  text::TokenId any() { return static_cast<text::TokenId>(random_() % weights_.size()); }

  // Any that is allowed; some must be.
  text::TokenId any_of(const std::vector<std::uint32_t>& mask) {
    std::size_t word = random_() % mask.size();
    while (mask[word] == 0) word = (word + 1) % mask.size();
    return static_cast<text::TokenId>(32 * word) + std::countr_zero(mask[word]);
  }

  // -1 when nothing is allowed.
  text::TokenId draw(const std::vector<std::uint32_t>& mask) {
    const std::size_t count = weights_.size();
    const std::size_t turn = random_() % count;
    // Mostly one of a few draws from all tokens is allowed; that is the same distribution.
    for (int tries = 0; tries < 64; ++tries) {
      const double at = std::uniform_real_distribution<double>(0, sums_.back())(random_);
      const auto place = std::ranges::upper_bound(sums_, at) - sums_.begin();
      const auto token = (static_cast<std::size_t>(place) % count + count - turn) % count;
      if ((mask[token / 32] >> (token % 32) & 1U) != 0) return static_cast<text::TokenId>(token);
    }
    double sum = 0;
    each(mask, [&](std::size_t token) { sum += weight(token, turn); });
    if (sum <= 0) return -1;
    double left = std::uniform_real_distribution<double>(0, sum)(random_);
    std::size_t last = 0;
    each(mask, [&](std::size_t token) {
      if (left >= 0) last = token;
      left -= weight(token, turn);
    });
    return static_cast<text::TokenId>(last);
  }

 private:
  double weight(std::size_t token, std::size_t turn) const {
    return weights_[(token + turn) % weights_.size()];
  }

  template <class Use>
  static void each(const std::vector<std::uint32_t>& mask, Use use) {
    for (std::size_t word = 0; word < mask.size(); ++word) {
      for (std::uint32_t bits = mask[word]; bits != 0; bits &= bits - 1) {
        use(32 * word + static_cast<std::size_t>(std::countr_zero(bits)));
      }
    }
  }

  std::mt19937_64 random_;
  std::vector<double> weights_;
  std::vector<double> sums_;  // of the weights up to and with each
};

// A token of whom asking alone tells otherwise than the mask; -1 = none was found. Half of those
// that are tried may come.
text::TokenId contradicted(text::GrammarMatcher& matcher, const std::vector<std::uint32_t>& mask,
                           RandomModel& model) {
  constexpr int kTries = 24;
  for (int i = 0; i < kTries; ++i) {
    const text::TokenId token = i % 2 == 0 ? model.any_of(mask) : model.any();
    const auto at = static_cast<std::size_t>(token);
    const auto told = matcher.allows(token);
    if (!told || *told != ((mask[at / 32] >> (at % 32) & 1U) != 0)) return token;
  }
  return -1;
}

struct Setup {
  text::Tokenizer tokenizer;
  text::GrammarFactory factory;
  text::TokenId end;
  std::size_t tokens_max;
};

json::object sample(const Setup& setup, const text::GrammarSource& source, std::uint64_t seed,
                    Times& times) {
  const auto begun = std::chrono::steady_clock::now();
  const auto grammar = setup.factory.compile(source);
  if (!grammar) return {{"status", "refused"}, {"message", grammar.error().message}};
  times.compile.push_back(microseconds_since(begun));
  const auto copied = std::chrono::steady_clock::now();
  auto matcher = grammar->matcher();
  times.copy.push_back(microseconds_since(copied));
  const int vocabulary = setup.tokenizer.vocabulary();
  std::vector<std::uint32_t> mask((static_cast<std::size_t>(vocabulary) + 31) / 32);
  RandomModel model(vocabulary, seed);
  std::vector<text::TokenId> ids;
  json::object out{{"status", "cut"}};
  while (matcher && ids.size() < setup.tokens_max) {
    const auto asked = std::chrono::steady_clock::now();
    const auto filled = matcher->fill_mask(mask);
    (ids.empty() ? times.first_mask : times.mask).push_back(microseconds_since(asked));
    const text::TokenId token = filled ? model.draw(mask) : -1;
    if (token < 0) {
      out = {{"status", "failed"}, {"message", filled ? "no token" : filled.error().message}};
      break;
    }
    if (const auto wrong = contradicted(*matcher, mask, model); wrong >= 0) {
      out = {{"status", "failed"}, {"message", "asked about token " + std::to_string(wrong)}};
      break;
    }
    if (token == setup.end) {
      out["status"] = "ended";
      break;
    }
    ids.push_back(token);
    const auto told = std::chrono::steady_clock::now();
    if (const auto accepted = matcher->accept(token); !accepted) {
      out = {{"status", "failed"}, {"message", accepted.error().message}};
      break;
    }
    times.accept.push_back(microseconds_since(told));
  }
  out["tokens"] = ids.size();
  if (auto text = setup.tokenizer.decode(ids, true)) out["text"] = *text;
  return out;
}

base::Result<text::Tokenizer> load(const std::filesystem::path& path) {
  if (path.extension() == ".json") {
    const std::string source =
        VSURGE_TRY(base::read_text_file(path, base::TokenizerLimits{}.file_bytes_max));
    return text::Tokenizer::from_json(source);
  }
  const auto vocabulary = VSURGE_TRY(vsurge::facade::read_gguf_vocabulary(path));
  auto assets = VSURGE_TRY(text::make_text_assets(vocabulary));
  return assets.tokenizer;
}

Kind kind_of(std::string_view name) {
  static const std::map<std::string_view, Kind> kinds = {{"json_schema", Kind::kJsonSchema},
                                                         {"json_object", Kind::kJsonObject},
                                                         {"regex", Kind::kRegex},
                                                         {"lark", Kind::kLark},
                                                         {"gbnf", Kind::kGbnf},
                                                         {"choice", Kind::kChoice}};
  return kinds.at(name);
}

int run(const std::string& path, std::size_t tokens_max, std::uint64_t seed) {
  auto tokenizer = load(path);
  if (!tokenizer) {
    std::cerr << tokenizer.error().message << "\n";
    return 1;
  }
  auto end = tokenizer->id_of("<|im_end|>");
  if (!end) end = tokenizer->id_of("<|endoftext|>");
  if (!end) {
    std::cerr << "no token that ends an answer is known\n";
    return 1;
  }
  const text::TokenId ends[] = {*end};
  auto factory = text::GrammarFactory::make(*tokenizer, tokenizer->vocabulary(), ends);
  if (!factory) {
    std::cerr << factory.error().message << "\n";
    return 1;
  }
  const Setup setup{*tokenizer, *factory, *end, tokens_max};
  Times times;
  std::string line;
  while (std::getline(std::cin, line)) {
    const json::object given = json::parse(line).as_object();
    const auto text_of = [&](const char* name) {
      const json::value* value = given.if_contains(name);
      return value == nullptr ? std::string() : std::string(value->as_string());
    };
    const text::GrammarSource source{kind_of(text_of("kind")), text_of("text"),
                                     text_of("whitespace")};
    std::cout << json::serialize(sample(setup, source, seed++, times)) << "\n";
  }
  const json::object all{{"compile", summary(times.compile)},
                         {"copy", summary(times.copy)},
                         {"first_mask", summary(times.first_mask)},
                         {"mask", summary(times.mask)},
                         {"accept", summary(times.accept)}};
  std::cout << json::serialize(all) << "\n";
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) {
    std::cerr << "structured_sample MODEL.gguf|tokenizer.json TOKENS_MAX SEED\n";
    return 2;
  }
  try {
    return run(arguments[1], std::stoul(arguments[2]), std::stoull(arguments[3]));
  } catch (const std::exception& error) {  // of the lines of input
    std::cerr << error.what() << "\n";
    return 1;
  }
}
