// vsurge quantize: packs a checkpoint's weights once, into a folder that starts by mapping a file.

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "base/log.h"
#include "commands.h"
#include "model_options.h"

namespace vsurge::apps {
namespace {

struct QuantizeOptions {
  ModelOptions model;
  std::string out;
};

int run_quantize(const QuantizeOptions& options, const Environment& environment) {
  require(base::init_logging(options.model.log_level, base::LogFormat::kText));
  const PretrainedOptions pretrained = pretrained_options(options.model);
  const std::string path = model_path(options.model.model, environment);
  quantize_checkpoint(path, options.out, pretrained);
  std::fputs(inspect_checkpoint(options.out).c_str(), stdout);
  return 0;
}

}  // namespace

Run add_quantize(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "quantize", "pack a model's weights into a folder that starts at once");
  const auto options = std::make_shared<QuantizeOptions>();
  ModelOptions& model = options->model;
  command->add_option("model", model.model,
                      "Hugging Face folder or .gguf file; nothing = the default model");
  command->add_option("-o,--output", options->out, "the folder to write")->required();
  command
      ->add_option("--format,--quantization-method,--quantization", model.quantization_method,
                   "of the layers: none (as the checkpoint has them), 8bit, int4 or nf4")
      ->capture_default_str();
  command->add_option("--head-quantization", model.head_quantization, kHeadHelp);
  command->add_option("--dtype", model.dtype, "without a format: auto, bfloat16 or float32")
      ->capture_default_str();
  command->add_option("--threads", model.threads, "compute threads; 0 = every CPU that is allowed")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command->add_option("--log-level", model.log_level)->capture_default_str();
  return [options](const Environment& environment) { return run_quantize(*options, environment); };
}

}  // namespace vsurge::apps
