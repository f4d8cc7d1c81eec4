// Messages with tools, for chat templates that do not know them as the API gives them.
#pragma once

#include <string>
#include <string_view>

#include "api/chat_request.h"
#include "text/chat_template.h"

namespace vsurge::api {

// Whether a template does something with the variable `tools`.
bool template_takes_tools(std::string_view source);

// Puts the request's tools into its first system message, in the words of the hermes format, and
// writes calls and their results in `messages_json` as text. The request has no tools for the
// template then.
void tell_tools_in_words(ChatRequest& request);

// Writes calls in `messages_json` as the template wants them.
void fit_calls(const text::ChatTemplate& chat_template, ChatRequest& request);

}  // namespace vsurge::api
