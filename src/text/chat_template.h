// ChatTemplate: messages to a prompt, exactly as transformers renders the checkpoint's template.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/limits.h"

struct tb_template;

namespace vsurge::text {

// Immutable and cheap to copy; any thread. Templates are untrusted: instructions, output and time
// are limited.
class ChatTemplate {
 public:
  static base::Result<ChatTemplate> compile(std::string_view source,
                                            const base::TemplateLimits& limits = {});

  // context_json: one object with messages, tools, add_generation_prompt, bos_token, eos_token and
  // so on; key order is kept. now_local: wall clock in local time, seconds since 1970, for
  // strftime_now(). kTemplateError when the template raises or passes a limit.
  base::Result<std::string> render(std::string_view context_json, std::int64_t now_local) const;

  std::string_view source() const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace vsurge::text
