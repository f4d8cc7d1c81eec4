// The body of POST /v1/chat/completions, checked.
#pragma once

#include <boost/json/object.hpp>
#include <map>
#include <string>

#include "api/generation.h"

namespace vsurge::api {

struct ChatRequest {
  GenerationFields generation;
  std::string messages_json;            // see read_messages
  boost::json::object template_kwargs;  // more variables for the template
  bool add_generation_prompt = true;    // template_kwargs may say false
};

// The model's name is read, not compared.
ApiResult<ChatRequest> read_chat_request(const boost::json::value& body,
                                         const RequestContext& context);

// The variables of a template, one JSON object: messages, tools and documents (none),
// add_generation_prompt, the special tokens by name, and template_kwargs, which win.
std::string template_context(const ChatRequest& request,
                             const std::map<std::string, std::string, std::less<>>& special_tokens);

}  // namespace vsurge::api
