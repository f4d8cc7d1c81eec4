#include "text/chat_template.h"

#include "text/bridge.h"

namespace vsurge::text {

struct ChatTemplate::State {
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { tb_template_free(compiled); }

  std::string source;
  tb_template* compiled = nullptr;
};

base::Result<ChatTemplate> ChatTemplate::compile(std::string_view source,
                                                 const base::TemplateLimits& limits) {
  if (source.size() > limits.source_bytes_max) {
    return base::fail(base::ErrorCode::kTemplateError, "chat template: {} bytes, the limit is {}",
                      source.size(), limits.source_bytes_max);
  }
  auto state = std::make_shared<State>();
  state->source = source;
  tb_template_limits bounds{};
  bounds.fuel = limits.fuel;
  bounds.output_bytes_max = limits.output_bytes_max;
  // Room for the context, the output while it grows, and what a template keeps aside.
  bounds.memory_bytes_max = 4 * limits.output_bytes_max + 32 * base::kMiB;
  bounds.time_ms_max = static_cast<std::uint64_t>(limits.render_time_ms_max);
  BridgeBytes error;
  const int status =
      tb_template_new(bridge_data(source), source.size(), &bounds, &state->compiled, error.out());
  if (status != TB_OK) {
    return std::unexpected(
        bridge_error(status, error, base::ErrorCode::kTemplateError, "chat template"));
  }
  ChatTemplate made;
  made.state_ = std::move(state);
  return made;
}

base::Result<std::string> ChatTemplate::render(std::string_view context_json,
                                               std::int64_t now_local) const {
  CHECK(state_ != nullptr, "a chat template that was not compiled");
  BridgeBytes text;
  BridgeBytes error;
  const int status = tb_template_render(state_->compiled, bridge_data(context_json),
                                        context_json.size(), now_local, text.out(), error.out());
  if (status == TB_OK) return text.text();
  // What the template itself raises is meant for the client and stands alone.
  return std::unexpected(bridge_error(status, error, base::ErrorCode::kTemplateError,
                                      status == TB_RAISED ? "" : "chat template"));
}

std::string_view ChatTemplate::source() const {
  return state_ == nullptr ? std::string_view{} : std::string_view{state_->source};
}

}  // namespace vsurge::text
