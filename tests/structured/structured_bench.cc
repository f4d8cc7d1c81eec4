// structured_bench MODEL.gguf: what a JSON schema costs eight streams, in tokens a second. Free and
// constrained runs take turns; all answers have the same length.
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <type_traits>

#include "model_fixture.h"

namespace {

using namespace vsurge;  // NOLINT(google-build-using-namespace): all of this file

constexpr int kStreams = 8;
constexpr int kTokens = 128;
constexpr int kTurns = 8;
// Both go on for longer than the answers do. Near the end of a bounded string most tokens are too
// long, and each of them has to be looked at.
struct Row {
  const char* name;
  const char* schema;
};
constexpr Row kRows[] = {
    {"a schema", R"({"type":"array","minItems":1000,"items":{"type":"object","properties":{
        "name":{"type":"string"},"age":{"type":"integer"},
        "tags":{"type":"array","items":{"type":"string"}},
        "kind":{"enum":["person","place","thing"]}},"required":["name","age","tags","kind"],
        "additionalProperties":false}})"},
    {"bounded strings", R"({"type":"array","minItems":1000,"items":{"type":"object","properties":{
        "name":{"type":"string","maxLength":40},"age":{"type":"integer","minimum":0,"maximum":120},
        "tags":{"type":"array","items":{"type":"string","maxLength":20}}},
        "required":["name","age","tags"],"additionalProperties":false}})"},
};

// How long the engine's calls take.
struct Spent {
  std::atomic<double> fill_us = 0, ask_us = 0, accept_us = 0;  // several threads at once
  std::size_t tokens = 0;
};

class Timed final : public engine::TokenConstraint {
 public:
  Timed(std::unique_ptr<engine::TokenConstraint> inner, Spent& spent)
      : inner_(std::move(inner)), spent_(spent) {}
  base::Status fill_mask(std::span<std::uint32_t> words) override {
    return timed(spent_.fill_us, [&] { return inner_->fill_mask(words); });
  }
  base::Result<bool> allows(engine::TokenId token) override {
    return timed(spent_.ask_us, [&] { return inner_->allows(token); });
  }
  base::Status accept(engine::TokenId token) override {
    ++spent_.tokens;
    return timed(spent_.accept_us, [&] { return inner_->accept(token); });
  }

 private:
  template <class Call>
  static std::invoke_result_t<Call> timed(std::atomic<double>& sum, Call call) {
    const auto begun = std::chrono::steady_clock::now();
    auto told = call();
    sum +=
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begun).count();
    return told;
  }

  std::unique_ptr<engine::TokenConstraint> inner_;
  Spent& spent_;
};

double tokens_per_second(structured::Bed& bed, const text::Grammar* grammar, float temperature,
                         int turn, Spent& spent) {
  engine::SamplingParams sampling;
  sampling.temperature = temperature;
  sampling.max_tokens = kTokens;
  sampling.ignore_eos = true;
  std::vector<engine::Request> requests;
  for (int i = 0; i < kStreams; ++i) {
    sampling.seed = static_cast<std::uint64_t>(turn * kStreams + i);
    requests.push_back(bed.request("A list of people in JSON: ", sampling, grammar));
    for (auto& each : requests.back().constraints) {
      each = std::make_unique<Timed>(std::move(each), spent);
    }
  }
  const auto begun = std::chrono::steady_clock::now();
  std::size_t tokens = 0;
  for (const auto& [choice, told] : bed.run(std::move(requests))) {
    if (!told.error.empty()) fmt::print("{}\n", told.error);
    tokens += told.tokens.size();
  }
  return static_cast<double>(tokens) /
         std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

bool measure(structured::Bed& bed, const Row& row, float temperature) {
  const auto grammar =
      bed.factory().compile({text::GrammarSource::Kind::kJsonSchema, std::string(row.schema), ""});
  if (!grammar) {
    fmt::print("{}\n", grammar.error().message);
    return false;
  }
  double sums[2] = {0, 0};
  Spent spent;
  for (int turn = -1; turn < kTurns; ++turn) {
    const double free = tokens_per_second(bed, nullptr, temperature, turn + 1, spent);
    const double bound = tokens_per_second(bed, &*grammar, temperature, turn + 1, spent);
    if (turn < 0) continue;  // warm now
    sums[0] += free;
    sums[1] += bound;
  }
  const auto tokens = static_cast<double>(spent.tokens);
  fmt::print(
      "{}, temperature {}: free {:.0f}, constrained {:.0f} tokens/s: {:.3f}\n"
      "  a token: mask {:.1f} us, asking {:.1f} us, accept {:.1f} us\n",
      row.name, temperature, sums[0] / kTurns, sums[1] / kTurns, sums[1] / sums[0],
      spent.fill_us / tokens, spent.ask_us / tokens, spent.accept_us / tokens);
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return 2;
  auto bed = structured::Bed::load(arguments[1], 1024, kStreams);
  if (!bed) {
    fmt::print("{}\n", bed.error().message);
    return 1;
  }
  for (const Row& row : kRows) {
    for (const float temperature : {0.0F, 0.8F}) {
      if (!measure(**bed, row, temperature)) return 1;
    }
  }
  return 0;
}
