#include "text/detokenizer.h"

#include <utility>

#include "text/bridge.h"

namespace vsurge::text {
namespace {

std::unexpected<base::Error> failed(int status, const BridgeBytes& error) {
  return std::unexpected(bridge_error(status, error, base::ErrorCode::kInternal, "detokenizer"));
}

}  // namespace

Detokenizer::Detokenizer(const Tokenizer& tokenizer, bool skip_special) {
  CHECK(tokenizer.handle() != nullptr, "a tokenizer that was not loaded");
  BridgeBytes error;
  const int status = tb_stream_new(tokenizer.handle(), skip_special, &stream_, error.out());
  CHECK(status == TB_OK, "tb_stream_new: {}", error.view());
}

Detokenizer::~Detokenizer() {
  tb_stream_free(stream_);
}

Detokenizer::Detokenizer(Detokenizer&& other) noexcept
    : stream_(std::exchange(other.stream_, nullptr)) {}

Detokenizer& Detokenizer::operator=(Detokenizer&& other) noexcept {
  std::swap(stream_, other.stream_);
  return *this;
}

base::Result<std::string_view> Detokenizer::push(TokenId id) {
  tb_view text{};
  BridgeBytes error;
  const int status = tb_stream_push(stream_, static_cast<std::uint32_t>(id), &text, error.out());
  if (status != TB_OK) return failed(status, error);
  return std::string_view(reinterpret_cast<const char*>(text.data), text.size);
}

base::Result<std::string> Detokenizer::finish() {
  BridgeBytes text;
  BridgeBytes error;
  const int status = tb_stream_finish(stream_, text.out(), error.out());
  if (status != TB_OK) return failed(status, error);
  return text.text();
}

}  // namespace vsurge::text
