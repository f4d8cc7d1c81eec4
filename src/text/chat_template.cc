#include "text/chat_template.h"

#include <fmt/format.h>

#include <array>
#include <atomic>

#include "text/bridge.h"

namespace vsurge::text {
namespace {

constexpr std::string_view kTrialArgument = "zqvx";
// From what the API gives to what is changed most.
constexpr std::array<CallForm, 4> kCallForms = {{{.null_content = true, .text_arguments = false},
                                                 {.null_content = false, .text_arguments = false},
                                                 {.null_content = true, .text_arguments = true},
                                                 {.null_content = false, .text_arguments = true}}};

// A conversation with one call.
std::string trial_context(const CallForm& form) {
  constexpr std::string_view kTool =
      R"({"type":"function","function":{"name":"look_up","description":"Looks up a word.",)"
      R"("parameters":{"type":"object","properties":{"word":{"type":"string",)"
      R"("description":"The word."}},"required":["word"]}}})";
  return fmt::format(
      R"({{"messages":[{{"role":"user","content":"a"}},{{"role":"assistant","content":{},)"
      R"("tool_calls":[{{"id":"a1b2c3d4e","type":"function","function":{{"name":"look_up",)"
      R"("arguments":{}}}}}]}},{{"role":"tool","tool_call_id":"a1b2c3d4e",)"
      R"("content":"b"}}],"tools":[{}],"add_generation_prompt":true,)"
      R"("bos_token":"","eos_token":""}})",
      form.null_content ? "null" : R"("")",
      form.text_arguments ? R"("{\"word\":\"zqvx\"}")" : R"({"word":"zqvx"})", kTool);
}

std::size_t count(std::string_view text, std::string_view word) {
  std::size_t found = 0;
  for (std::size_t at = text.find(word); at != std::string_view::npos;
       at = text.find(word, at + word.size())) {
    ++found;
  }
  return found;
}

// How often a rendered trial says that there is nothing. A template's own words may too.
std::size_t words_for_nothing(std::string_view text) {
  return count(text, "None") + count(text, "null");
}

}  // namespace

struct ChatTemplate::State {
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { tb_template_free(compiled); }

  std::string source;
  tb_template* compiled = nullptr;
  mutable std::atomic<const CallForm*> call_form = nullptr;  // of kCallForms, once found
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

CallForm ChatTemplate::call_form() const {
  CHECK(state_ != nullptr, "a chat template that was not compiled");
  if (const CallForm* known = state_->call_form.load()) return *known;
  const CallForm* best = &kCallForms.front();
  std::size_t fewest = std::string::npos;
  for (const CallForm& form : kCallForms) {
    const auto text = render(trial_context(form), 0);
    if (!text || !text->contains(kTrialArgument)) continue;
    const std::size_t words = words_for_nothing(*text);
    if (words >= fewest) continue;
    fewest = words;
    best = &form;
  }
  state_->call_form.store(best);
  return *best;
}

std::string_view ChatTemplate::source() const {
  return state_ == nullptr ? std::string_view{} : std::string_view{state_->source};
}

}  // namespace vsurge::text
