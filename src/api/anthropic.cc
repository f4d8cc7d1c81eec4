#include "api/anthropic.h"

#include <atomic>
#include <memory>
#include <utility>

#include "api/anthropic_form.h"
#include "api/anthropic_request.h"
#include "api/chat.h"
#include "api/json.h"

namespace vsurge::api {
namespace {

ApiResult<PreparedRequest> prepare(const PrepareCall& call, bool count_only) {
  const boost::json::value body = VSURGE_TRY(parse_json(call.body, call.core.hub.options.json));
  std::vector<std::string> ignored;
  ChatRequest request =
      VSURGE_TRY(read_anthropic_request(body, request_context(call.core, ignored), count_only));
  request.tools.id_prefix = "toolu_";
  PreparedRequest out = VSURGE_TRY(prepare_chat_request(call, std::move(request), "messages"));
  out.ignored = std::move(ignored);
  return out;
}

ApiResult<PreparedRequest> prepare_message(const PrepareCall& call) {
  PreparedRequest out = VSURGE_TRY(prepare(call, false));
  out.form = std::make_unique<AnthropicForm>(call.core);
  return out;
}

}  // namespace

const GenerationEndpoint kAnthropicEndpoint = {"messages", "messages", prepare_message,
                                               anthropic_error_json};
ApiResult<std::string> count_anthropic_tokens(const PrepareCall& call) {
  const PreparedRequest prepared = VSURGE_TRY(prepare(call, true));
  return fmt::format(R"({{"input_tokens":{}}})", prepared.prompts.front().ids.size());
}

}  // namespace vsurge::api
