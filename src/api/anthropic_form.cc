#include "api/anthropic_form.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <utility>

#include "api/json.h"

namespace vsurge::api {
namespace {

using Kind = OutputEvent::Kind;

std::string_view stop_reason(const Choice& choice) {
  const std::string_view reason = choice.finish();
  if (reason == "length") return "max_tokens";
  if (reason == "tool_calls") return "tool_use";
  return choice.stop_string().empty() ? "end_turn" : "stop_sequence";
}

// "stop_reason":...,"stop_sequence":...
std::string stop_members(const Choice& choice) {
  std::string out = fmt::format(R"("stop_reason":"{}","stop_sequence":)", stop_reason(choice));
  if (choice.stop_string().empty()) {
    out += "null";
  } else {
    append_json_string(out, choice.stop_string());
  }
  return out;
}

// Tokens from the cache are not counted as input, as Anthropic does.
std::string usage_json(const AnswerUsage& usage) {
  return fmt::format(
      R"({{"input_tokens":{},"cache_creation_input_tokens":0,"cache_read_input_tokens":{},)"
      R"("output_tokens":{}}})",
      usage.prompt_tokens - usage.cached_tokens, usage.cached_tokens, usage.completion_tokens);
}

// {"id":...,"content":
std::string message_head(const ServiceCore& core, const std::string& id) {
  std::string out = R"({"id":)";
  append_json_string(out, id);
  out += R"(,"type":"message","role":"assistant","model":)";
  append_json_string(out, core.options.model_names.front());
  out += R"(,"content":)";
  return out;
}

void append_event(std::string& out, std::string_view name, std::string_view members) {
  out += "event: ";
  out += name;
  out += R"(
data: {"type":")";
  out += name;
  out += '"';
  out += members;
  out += "}\n\n";
}

void append_call_head(std::string& out, const OutputEvent& call) {
  out += R"({"type":"tool_use","id":)";
  append_json_string(out, call.id);
  out += R"(,"name":)";
  append_json_string(out, call.text);
  out += R"(,"input":)";
}

// Arguments are an object for the client: what is not one, of a call that was cut short, is {}.
std::string_view arguments_or_empty(const std::string& arguments) {
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(arguments, error);
  return !error && value.is_object() ? std::string_view(arguments) : std::string_view("{}");
}

std::string content_json(const std::vector<OutputEvent>& events) {
  std::string out = "[";
  const auto next = [&out] {
    if (out.size() > 1) out += ',';
  };
  for (std::size_t i = 0; i < events.size(); ++i) {
    const OutputEvent& event = events[i];
    if (event.kind == Kind::kCallArguments) continue;  // told with its call
    next();
    if (event.kind == Kind::kCallBegin) {
      std::string arguments;
      for (const OutputEvent& each : events) {
        if (each.kind == Kind::kCallArguments && each.call == event.call) arguments += each.text;
      }
      append_call_head(out, event);
      out += arguments_or_empty(arguments);
      out += '}';
    } else if (event.kind == Kind::kReasoning) {
      out += R"({"type":"thinking","thinking":)";
      append_json_string(out, event.text);
      out += R"(,"signature":""})";
    } else {
      out += R"({"type":"text","text":)";
      append_json_string(out, event.text);
      out += '}';
    }
  }
  out += ']';
  return out;
}

// Without a reader all is content.
std::vector<OutputEvent> events_of(ChoicePart part) {
  if (!part.text.empty()) {
    append_output(part.output, {.kind = Kind::kContent, .text = std::move(part.text), .id = {}});
  }
  return std::move(part.output);
}

std::string_view error_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
    case 529:
      return "overloaded_error";
    default:
      return status < 500 ? "invalid_request_error" : "api_error";
  }
}

}  // namespace

std::string anthropic_error_json(const ApiError& error) {
  std::string out =
      fmt::format(R"({{"type":"error","error":{{"type":"{}","message":)", error_type(error.status));
  append_json_string(out, error.message);
  if (!error.param.empty()) {
    out += R"(,"param":)";
    append_json_string(out, error.param);
  }
  out += "}}";
  return out;
}

void AnthropicForm::stream_begin(Answer& answer, std::string& out) {
  const std::string head = message_head(core_, core_.new_id("msg_"));
  AnswerUsage usage = answer.usage();
  usage.completion_tokens = 0;
  append_event(
      out, "message_start",
      fmt::format(R"(,"message":{}[],"stop_reason":null,"stop_sequence":null,"usage":{}}})", head,
                  usage_json(usage)));
  append_event(out, "ping", "");
}

void AnthropicForm::stream_choice(Answer& answer, std::size_t prompt, std::size_t choice,
                                  std::string& out) {
  for (const OutputEvent& event : events_of(answer.prompts[prompt].choices[choice].take_part())) {
    stream_event(event, out);
  }
}

void AnthropicForm::stream_event(const OutputEvent& event, std::string& out) {
  const bool argument = event.kind == Kind::kCallArguments;
  if (!argument && (!open_ || event.kind != open_kind_ || event.kind == Kind::kCallBegin)) {
    close_block(out);
    std::string block;
    if (event.kind == Kind::kCallBegin) {
      append_call_head(block, event);
      block += "{}}";
    } else {
      block = event.kind == Kind::kReasoning ? R"({"type":"thinking","thinking":"","signature":""})"
                                             : R"({"type":"text","text":""})";
    }
    append_event(out, "content_block_start",
                 fmt::format(R"(,"index":{},"content_block":{})", block_, block));
    open_ = true;
    open_kind_ = event.kind;
  }
  if (event.kind == Kind::kCallBegin) return;
  std::string delta = fmt::format(R"(,"index":{},"delta":)", block_);
  if (argument) {
    delta += R"({"type":"input_json_delta","partial_json":)";
  } else if (event.kind == Kind::kReasoning) {
    delta += R"({"type":"thinking_delta","thinking":)";
  } else {
    delta += R"({"type":"text_delta","text":)";
  }
  append_json_string(delta, event.text);
  delta += '}';
  append_event(out, "content_block_delta", delta);
}

void AnthropicForm::close_block(std::string& out) {
  if (!std::exchange(open_, false)) return;
  if (open_kind_ == Kind::kReasoning) {
    append_event(
        out, "content_block_delta",
        fmt::format(R"(,"index":{},"delta":{{"type":"signature_delta","signature":""}})", block_));
  }
  append_event(out, "content_block_stop", fmt::format(R"(,"index":{})", block_));
  ++block_;
}

void AnthropicForm::stream_end(Answer& answer, std::string& out) {
  close_block(out);
  append_event(out, "message_delta",
               fmt::format(R"(,"delta":{{{}}},"usage":{})",
                           stop_members(answer.prompts.front().choices.front()),
                           usage_json(answer.usage())));
  append_event(out, "message_stop", "");
}

void AnthropicForm::stream_error(Answer& /*answer*/, const ApiError& error, std::string& out) {
  out += "event: error\ndata: ";
  out += anthropic_error_json(error);
  out += "\n\n";
}

std::string AnthropicForm::whole(Answer& answer) {
  Choice& choice = answer.prompts.front().choices.front();
  std::string out = message_head(core_, core_.new_id("msg_"));
  out += content_json(events_of(choice.take_part()));
  out += fmt::format(R"(,{},"usage":{}}})", stop_members(choice), usage_json(answer.usage()));
  return out;
}

}  // namespace vsurge::api
