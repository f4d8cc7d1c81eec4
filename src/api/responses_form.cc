#include "api/responses_form.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "api/answer_writer.h"
#include "api/json.h"
#include "base/log.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using Kind = OutputEvent::Kind;

// logprobs: elements of a list.
std::string text_part(std::string_view type, std::string_view text,
                      std::string_view logprobs = {}) {
  std::string out = fmt::format(R"({{"type":"{}","text":)", type);
  append_json_string(out, text);
  if (type != "output_text") return out + '}';
  return out + fmt::format(R"(,"annotations":[],"logprobs":[{}]}})", logprobs);
}

std::string_view part_type(Kind kind) {
  return kind == Kind::kReasoning ? "reasoning_text" : "output_text";
}

std::string usage_json(const AnswerUsage& usage) {
  return fmt::format(
      R"({{"input_tokens":{},"input_tokens_details":{{"cached_tokens":{}}},"output_tokens":{},)"
      R"("output_tokens_details":{{"reasoning_tokens":{}}},"total_tokens":{}}})",
      usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens, usage.reasoning_tokens,
      usage.prompt_tokens + usage.completion_tokens);
}

// OpenAI's codes for a response that failed; the message says what it was.
std::string_view failure_code(const ApiError& error) {
  if (error.status == 429) return "rate_limit_exceeded";
  return error.status >= 500 || error.status == 408 ? "server_error" : "invalid_prompt";
}

}  // namespace

ResponsesForm::ResponsesForm(ServiceCore& core, ResponseFacts facts)
    : core_(core),
      facts_(std::move(facts)),
      id_(facts_.id),
      logprobs_(core.assets.tokenizer, false) {}

void ResponsesForm::event(std::string& out, std::string_view type, std::string_view members) {
  const std::size_t begin = out.size();
  out += "event: ";
  out += type;
  out += "\ndata: {\"type\":\"";
  out += type;
  out += R"(","sequence_number":)";
  append_integer(out, sequence_++);
  out += members;
  if (obfuscation_ && type.ends_with(".delta")) append_obfuscation(out, begin);
  out += "}\n\n";
}

std::string ResponsesForm::item_json(const Item& item, bool cut) {
  const std::string_view status = !item.done ? "in_progress" : cut ? "incomplete" : "completed";
  std::string out;
  if (item.kind == Kind::kCallBegin) {
    out = fmt::format(R"({{"type":"function_call","id":"{}","status":"{}","call_id":)", item.id,
                      status);
    append_json_string(out, item.call_id);
    out += R"(,"name":)";
    append_json_string(out, item.name);
    out += R"(,"arguments":)";
    append_json_string(out, item.text);
    return out + '}';
  }
  const std::string parts =
      item.text.empty() ? "[]"
                        : '[' + text_part(part_type(item.kind), item.text, item.logprobs) + ']';
  if (item.kind == Kind::kReasoning) {
    return fmt::format(
        R"({{"type":"reasoning","id":"{}","status":"{}","summary":[],"content":{}}})", item.id,
        status, parts);
  }
  return fmt::format(
      R"({{"type":"message","id":"{}","status":"{}","role":"assistant","content":{}}})", item.id,
      status, parts);
}

// Where an event belongs.
std::string ResponsesForm::place(bool with_content) const {
  std::string out =
      fmt::format(R"(,"item_id":"{}","output_index":{})", items_.back().id, items_.size() - 1);
  if (with_content) out += R"(,"content_index":0)";
  return out;
}

void ResponsesForm::open_item(const OutputEvent& from, std::string* out) {
  Item item{.kind = from.kind, .id = {}, .text = {}, .name = {}, .call_id = {}, .logprobs = {}};
  if (from.kind == Kind::kCallBegin) {
    item.id = core_.new_id("fc_");
    item.name = from.text;
    item.call_id = from.id;
  } else {
    item.id = core_.new_id(from.kind == Kind::kReasoning ? "rs_" : "msg_");
  }
  items_.push_back(std::move(item));
  if (out == nullptr) return;
  event(*out, "response.output_item.added",
        fmt::format(R"(,"output_index":{},"item":{})", items_.size() - 1,
                    item_json(items_.back(), false)));
  if (from.kind == Kind::kCallBegin) return;
  event(*out, "response.content_part.added",
        place(true) + R"(,"part":)" + text_part(part_type(from.kind), ""));
}

void ResponsesForm::close_item(bool cut, std::string* out) {
  if (items_.empty() || std::exchange(items_.back().done, true) || out == nullptr) return;
  const Item& item = items_.back();
  std::string text;
  append_json_string(text, item.text);
  if (item.kind == Kind::kCallBegin) {
    std::string name;
    append_json_string(name, item.name);
    event(*out, "response.function_call_arguments.done",
          fmt::format(R"({},"name":{},"arguments":{})", place(false), name, text));
  } else {
    const bool reasoning = item.kind == Kind::kReasoning;
    const std::string logprobs =
        reasoning ? std::string() : fmt::format(R"(,"logprobs":[{}])", item.logprobs);
    event(*out, reasoning ? "response.reasoning_text.done" : "response.output_text.done",
          fmt::format(R"({},"text":{}{})", place(true), text, logprobs));
    event(*out, "response.content_part.done",
          place(true) + R"(,"part":)" + text_part(part_type(item.kind), item.text, item.logprobs));
  }
  event(*out, "response.output_item.done",
        fmt::format(R"(,"output_index":{},"item":{})", items_.size() - 1, item_json(item, cut)));
}

// out: nullptr where nothing is streamed.
void ResponsesForm::take(const OutputEvent& from, std::string* out, std::string_view logprobs) {
  const bool argument = from.kind == Kind::kCallArguments;
  const bool fits =
      !items_.empty() && !items_.back().done &&
      (argument || (items_.back().kind == from.kind && from.kind != Kind::kCallBegin));
  if (!fits) {
    close_item(false, out);
    open_item(from, out);
  }
  if (from.kind == Kind::kCallBegin) return;
  items_.back().text += from.text;
  if (logprobs.size() > 2) {
    std::string& all = items_.back().logprobs;
    if (!all.empty()) all += ',';
    all += logprobs.substr(1, logprobs.size() - 2);
  }
  if (out == nullptr) return;
  std::string delta;
  append_json_string(delta, from.text);
  if (argument) {
    event(*out, "response.function_call_arguments.delta", place(false) + R"(,"delta":)" + delta);
  } else if (from.kind == Kind::kReasoning) {
    event(*out, "response.reasoning_text.delta", place(true) + R"(,"delta":)" + delta);
  } else {
    event(*out, "response.output_text.delta",
          fmt::format(R"({},"delta":{},"logprobs":{})", place(true), delta, logprobs));
  }
}

// Logprobs are of the text alone, and go with the last of its pieces.
void ResponsesForm::take_part(Answer& answer, std::size_t prompt, std::size_t choice,
                              std::string* out) {
  ChoicePart part = answer.prompts[prompt].choices[choice].take_part();
  if (!part.text.empty()) {
    part.output.insert(part.output.begin(),
                       {.kind = Kind::kContent, .text = std::move(part.text), .id = {}});
  }
  std::string logprobs = "[]";
  if (const auto& top = answer.generation.logprobs) {
    std::erase_if(part.scored, [](const ScoredToken& token) { return !token.content; });
    logprobs.clear();
    logprobs_.append_list(logprobs, part.scored, *top);
  }
  std::size_t last = part.output.size();
  for (std::size_t i = 0; i < part.output.size(); ++i) {
    if (part.output[i].kind == Kind::kContent) last = i;
  }
  for (std::size_t i = 0; i < part.output.size(); ++i) {
    take(part.output[i], out, i == last ? std::string_view(logprobs) : "[]");
  }
}

std::string_view ResponsesForm::end_status(const Answer& answer) const {
  const std::string_view reason = answer.prompts.front().choices.front().finish();
  return reason == "length" ? "incomplete" : "completed";
}

std::string ResponsesForm::response_json(const Answer& answer, std::string_view status,
                                         const ApiError* error) const {
  std::string out = R"({"id":)";
  append_json_string(out, id_);
  fmt::format_to(std::back_inserter(out), R"(,"object":"response","created_at":{},"status":"{}")",
                 answer.created, status);
  fmt::format_to(std::back_inserter(out), R"(,"completed_at":{},"error":)",
                 status == "completed" ? std::to_string(base::unix_seconds()) : "null");
  if (error == nullptr) {
    out += "null";
  } else {
    out += R"({"code":)";
    append_json_string(out, failure_code(*error));
    out += R"(,"message":)";
    append_json_string(out, error->message);
    out += '}';
  }
  out += R"(,"incomplete_details":)";
  out += status == "incomplete" ? R"({"reason":"max_output_tokens"})" : "null";
  out += R"(,"model":)";
  append_json_string(out, core_.options.model_names.front());
  out += R"(,"output":[)";
  for (std::size_t i = 0; i < items_.size(); ++i) {
    if (i > 0) out += ',';
    out += item_json(items_[i], status != "completed" && i + 1 == items_.size());
  }
  out += R"(],"usage":)";
  out += status == "in_progress" || status == "queued" ? "null" : usage_json(answer.usage());
  for (const auto& [name, value] : facts_.echo) {
    out += ',';
    append_json_string(out, name);
    out += ':';
    append_json(out, value);
  }
  out += '}';
  return out;
}

void ResponsesForm::set_object(std::string object, bool final) {
  if (facts_.run != nullptr) facts_.run->set_object(std::move(object), final);
}

void ResponsesForm::stream_begin(Answer& answer, std::string& out) {
  obfuscation_ = answer.generation.obfuscation;
  const std::string_view status = facts_.run == nullptr ? "in_progress" : "queued";
  std::string object = response_json(answer, status, nullptr);
  const std::string response = R"(,"response":)" + object;
  event(out, "response.created", response);
  event(out, facts_.run == nullptr ? "response.in_progress" : "response.queued", response);
  set_object(std::move(object), false);
}

// In the background a response waits for its turn first.
void ResponsesForm::tell_progress(const Answer& answer, std::string& out) {
  if (facts_.run == nullptr || std::exchange(in_progress_, true)) return;
  std::string object = response_json(answer, "in_progress", nullptr);
  event(out, "response.in_progress", R"(,"response":)" + object);
  set_object(std::move(object), false);
}

void ResponsesForm::stream_choice(Answer& answer, std::size_t prompt, std::size_t choice,
                                  std::string& out) {
  tell_progress(answer, out);
  take_part(answer, prompt, choice, &out);
}

void ResponsesForm::stream_end(Answer& answer, std::string& out) {
  const std::string_view status = end_status(answer);
  close_item(status == "incomplete", &out);
  std::string object = response_json(answer, status, nullptr);
  store(object);
  event(out, status == "completed" ? "response.completed" : "response.incomplete",
        R"(,"response":)" + object);
  set_object(std::move(object), true);
}

void ResponsesForm::stream_error(Answer& answer, const ApiError& error, std::string& out) {
  if (!items_.empty()) items_.back().done = true;  // and cut: nothing more comes
  std::string object = response_json(answer, "failed", &error);
  if (facts_.run != nullptr) store(object);
  event(out, "response.failed", R"(,"response":)" + object);
  set_object(std::move(object), true);
}

// Cancelled, where it was begun in the background.
void ResponsesForm::abandoned(Answer& answer) {
  if (facts_.run == nullptr || sequence_ == 0) return;
  if (!items_.empty()) items_.back().done = true;
  std::string object = response_json(answer, "cancelled", nullptr);
  store(object);
  set_object(std::move(object), true);
}

std::string ResponsesForm::whole(Answer& answer) {
  take_part(answer, 0, 0, nullptr);
  const std::string_view status = end_status(answer);
  close_item(status == "incomplete", nullptr);
  std::string object = response_json(answer, status, nullptr);
  store(object);
  return object;
}

// A store that fails loses the response, not the answer: the log says so.
void ResponsesForm::store(const std::string& object) {
  if (facts_.run != nullptr && facts_.run->is_erased()) return;
  json::array output;
  for (const Item& item : items_) output.push_back(json::parse(item_json(item, false)));
  json::array history = facts_.history;
  for (const json::value& each : facts_.input) history.push_back(each);
  if (!facts_.conversation_id.empty()) {
    auto found = core_.hub.store.conversation(facts_.conversation_id);
    if (found && *found) {
      json::value items = json::parse((*found)->items);
      for (const json::value& each : facts_.input) items.get_array().push_back(each);
      for (const json::value& each : output) items.get_array().push_back(each);
      (*found)->items = json::serialize(items);
      if (const auto status = core_.hub.store.put(std::move(**found)); !status) {
        base::log_error("{}", status.error().message);
      }
    }
  }
  if (!facts_.store) return;
  const auto status = core_.hub.store.put(StoredResponse{.id = id_,
                                                         .owner = facts_.owner,
                                                         .object = object,
                                                         .input = json::serialize(facts_.input),
                                                         .history = json::serialize(history),
                                                         .output = json::serialize(output)});
  if (!status) base::log_error("{}", status.error().message);
}

}  // namespace vsurge::api
