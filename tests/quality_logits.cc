// vsurge_logits: logits of given token ids, for measuring programs (tools/bench/quality.py).
//
// usage: vsurge_logits MODEL [--weights auto|f32|bf16|i8|i4|nf4] [--kv bf16|f32|i8] [--isa LEVEL]
//                            [--threads N] [--context N] [--chunk N] [--last N]
// First writes the vocabulary's size. Then reads texts until the input ends: their length, then
// their ids; and writes logits [length, vocabulary] of each, of the last N tokens if there are
// more. Numbers are little-endian int32 and float32.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "golden_runner.h"

namespace vsurge::testing {
namespace {

struct Options {
  const char* model = nullptr;
  int last = 0;  // 0: all
  RunnerOptions runner{.kv_dtype = tensor::DType::kBF16, .tokens_max = 256, .sequences_max = 1};
};

[[noreturn]] void fail_usage(std::string_view what) {
  fmt::print(stderr, "vsurge_logits: {}\n", what);
  std::exit(2);
}

model::WeightChoice weights_of(std::string_view name) {
  if (name == "auto") return model::WeightChoice::kAuto;
  if (name == "f32") return model::WeightChoice::kF32;
  if (name == "bf16") return model::WeightChoice::kBF16;
  if (name == "i8") return model::WeightChoice::kI8;
  if (name == "i4") return model::WeightChoice::kI4;
  if (name == "nf4") return model::WeightChoice::kNF4;
  fail_usage("unknown --weights");
}

tensor::DType kv_of(std::string_view name) {
  if (name == "bf16") return tensor::DType::kBF16;
  if (name == "f32") return tensor::DType::kF32;
  if (name == "i8") return tensor::DType::kI8;
  fail_usage("unknown --kv");
}

int number_of(const char* text) {
  const int value = std::atoi(text);
  if (value < 0) fail_usage("numbers are not negative");
  return value;
}

Options parse(int argc, char** argv) {
  Options options;
  options.runner.threads = 0;
  if (argc < 2 || argc % 2 != 0) fail_usage("expected MODEL and pairs of --option value");
  options.model = argv[1];
  for (int i = 2; i < argc; i += 2) {
    const std::string_view name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--weights") {
      options.runner.weights = weights_of(value);
    } else if (name == "--kv") {
      options.runner.kv_dtype = kv_of(value);
    } else if (name == "--isa") {
      options.runner.isa = value;
    } else if (name == "--threads") {
      options.runner.threads = number_of(value);
    } else if (name == "--context") {
      options.runner.context_max = number_of(value);
    } else if (name == "--chunk") {
      options.runner.tokens_max = number_of(value);
    } else if (name == "--last") {
      options.last = number_of(value);
    } else {
      fail_usage("unknown option");
    }
  }
  return options;
}

bool read_all(void* data, std::size_t count) {
  return std::fread(data, 4, count, stdin) == count;
}

bool write_all(const void* data, std::size_t count) {
  return std::fwrite(data, 4, count, stdout) == count;
}

int run(const Options& options) {
  auto runner = ModelRunner::open(options.model, options.runner);
  if (!runner) {
    fmt::print(stderr, "vsurge_logits: {}\n", runner.error().message);
    return 3;
  }
  const std::int32_t vocabulary = runner->info().vocabulary;
  bool good = write_all(&vocabulary, 1) && std::fflush(stdout) == 0;
  std::int32_t count = 0;
  while (good && read_all(&count, 1)) {
    if (count < 1 || count > options.runner.context_max) fail_usage("text longer than --context");
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
    if (!read_all(tokens.data(), tokens.size())) fail_usage("text ends early");
    for (const std::int32_t token : tokens) {
      if (token < 0 || token >= vocabulary) fail_usage("token id out of range");
    }
    const auto logits = runner->logits(tokens, options.runner.tokens_max);
    const std::int32_t kept = options.last == 0 ? count : std::min(options.last, count);
    const std::size_t size = static_cast<std::size_t>(kept) * static_cast<std::size_t>(vocabulary);
    good = write_all(logits.data() + (logits.size() - size), size) && std::fflush(stdout) == 0;
  }
  return good ? 0 : 4;
}

}  // namespace
}  // namespace vsurge::testing

int main(int argc, char** argv) {
  return vsurge::testing::run(vsurge::testing::parse(argc, argv));
}
