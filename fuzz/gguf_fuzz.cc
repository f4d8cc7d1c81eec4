// A GGUF file from its first byte to packed weights.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "model/weights.h"

namespace {

// A file in memory, with a path to open.
class MemoryFile {
 public:
  MemoryFile(const std::uint8_t* data, std::size_t size) : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {
    CHECK(fd_ >= 0 && write(fd_, data, size) == static_cast<ssize_t>(size));
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(fd_); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

// Reading must not fail, whatever comes of it.
template <class Value>
void use(const vsurge::base::Result<Value>& value) {
  if (!value) CHECK(!value.error().message.empty());
}

vsurge::tensor::Backend& backend() {
  static auto made = vsurge::tensor::make_cpu_backend({.threads = 1, .isa = "scalar"});
  CHECK(made.has_value());
  return **made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace model = vsurge::model;
  [[maybe_unused]] static const auto quiet =
      vsurge::base::init_logging("off", vsurge::base::LogFormat::kText);
  const MemoryFile file(data, size);
  const auto checkpoint = model::open_checkpoint(file.path());
  if (!checkpoint) return 0;
  const auto& gguf = *(*checkpoint)->gguf();
  for (const char* key : {"tokenizer.ggml.tokens", "tokenizer.ggml.scores", "general.name",
                          "tokenizer.ggml.token_type", "tokenizer.ggml.add_bos_token"}) {
    use(gguf.text(key));
    use(gguf.texts(key));
    use(gguf.numbers(key));
    use(gguf.integers(key, {}));
    use(gguf.number(key, {}));
    use(gguf.boolean(key));
  }
  const auto spec = model::read_spec(**checkpoint);
  if (!spec) return 0;
  const model::Rope rope(spec->rope);
  const auto weights = model::load_weights(**checkpoint, *spec, backend(), {});
  if (weights) CHECK(weights->embedding.rows == spec->vocabulary);
  return 0;
}
