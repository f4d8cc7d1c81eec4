#include "api/rerank_prompt.h"

#include <fmt/format.h>

#include <string>

#include "api/chat.h"
#include "api/json.h"

namespace vsurge::api {
namespace {

// Qwen3-Reranker's model card: what comes before, between and after, and the usual instruction.
constexpr std::string_view kQwen3Before =
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and "
    "the Instruct provided. Note that the answer can only be \"yes\" or \"no\".<|im_end|>\n"
    "<|im_start|>user\n";
constexpr std::string_view kQwen3After =
    "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n";
constexpr std::string_view kQwen3Instruction =
    "Given a web search query, retrieve relevant passages that answer the query";

// The template looks for messages of a role by this name.
bool knows_role(std::string_view source, std::string_view role) {
  return source.find(fmt::format("\"{}\"", role)) != std::string_view::npos ||
         source.find(fmt::format("'{}'", role)) != std::string_view::npos;
}

std::string message(std::string_view role, std::string_view content) {
  std::string out = fmt::format(R"({{"role":"{}","content":)", role);
  append_json_string(out, content);
  return out + "}";
}

}  // namespace

ApiResult<RerankPrompts> RerankPrompts::make(const ServiceCore& core,
                                             std::string_view instruction) {
  RerankPrompts out(core, instruction);
  const auto& chat_template = core.assets.chat_template;
  if (chat_template && knows_role(chat_template->source(), "query") &&
      knows_role(chat_template->source(), "document")) {
    out.layout_ = Layout::kTemplate;
  } else if (core.options.pooled.kind == PooledKind::kTokenLogits &&
             core.assets.tokenizer.id_of("<|im_start|>")) {
    out.layout_ = Layout::kQwen3;
  } else {
    out.frame_ = VSURGE_TRY(token_frame(core.assets.tokenizer));
  }
  return out;
}

ApiResult<std::string> RerankPrompts::text_of(std::string_view query, std::string_view document,
                                              const std::string& param) const {
  if (layout_ == Layout::kQwen3) {
    return fmt::format("{}<Instruct>: {}\n<Query>: {}\n<Document>: {}{}", kQwen3Before,
                       instruction_.empty() ? kQwen3Instruction : instruction_, query, document,
                       kQwen3After);
  }
  std::string context = R"({"messages":[)";
  if (!instruction_.empty()) context += message("system", instruction_) + ",";
  context += message("query", query) + "," + message("document", document);
  context += R"(],"tools":null,"documents":null,"add_generation_prompt":true)";
  for (const auto& [name, token] : core_->assets.special_tokens) {
    context += ',';
    append_json_string(context, name);
    context += ':';
    append_json_string(context, token);
  }
  auto text = core_->assets.chat_template->render(context + "}", local_seconds());
  if (text) return std::move(*text);
  ApiError error = from_base(text.error());
  error.param = param;
  return std::unexpected(std::move(error));
}

ApiResult<std::vector<engine::TokenId>> RerankPrompts::of(std::string_view query,
                                                          std::string_view document,
                                                          const std::string& param) const {
  std::vector<engine::TokenId> ids;
  if (layout_ == Layout::kPair) {
    const auto first = VSURGE_TRY(pooled_ids(*core_, query, "query"));
    const auto second = VSURGE_TRY(pooled_ids(*core_, document, param));
    ids = frame_.before;
    ids.insert(ids.end(), first.begin(), first.end());
    ids.insert(ids.end(), second.begin(), second.end());
    ids.insert(ids.end(), frame_.after.begin(), frame_.after.end());
  } else {
    const std::string text = VSURGE_TRY(text_of(query, document, param));
    ids = VSURGE_TRY(pooled_ids(*core_, text, param));
  }
  VSURGE_TRY(check_pooled_length(*core_, ids.size(), param));
  return ids;
}

}  // namespace vsurge::api
