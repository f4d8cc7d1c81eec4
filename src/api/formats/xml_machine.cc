#include "api/formats/xml_machine.h"

#include "api/formats/typed_value.h"

namespace vsurge::api {
namespace {

// NAME or "NAME"
std::string_view bare_name(std::string_view text) {
  text = trim(text);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text.remove_prefix(1);
    text.remove_suffix(1);
  }
  return text;
}

// One line's end on each side is the format's, the rest the value's.
std::string_view without_frame(std::string_view value) {
  if (value.starts_with('\n')) value.remove_prefix(1);
  if (value.ends_with('\n')) value.remove_suffix(1);
  return value;
}

}  // namespace

XmlMachine::XmlMachine(const XmlMachineOptions& options, const ToolSpecs& tools)
    : options_(options),
      tools_(tools),
      state_(options.in_function ? State::kName : State::kBetween) {}

CallMachine::Status XmlMachine::element(std::string_view text, std::size_t& used, CallSink& sink) {
  switch (state_) {
    case State::kBetween:
      return between(text, used);
    case State::kName:
      return function_name(text, used, sink);
    case State::kFunction:
      return in_function(text, used, sink);
    case State::kText:
      return text_value(text, used, sink);
  }
  return Status::kBroken;
}

CallMachine::Status XmlMachine::between(std::string_view text, std::size_t& used) {
  const std::string_view rest = trim_start(text);
  const std::size_t space = text.size() - rest.size();
  if (rest.empty()) {
    used = space;
    return Status::kMore;
  }
  if (!options_.group_end.empty() && rest.starts_with(options_.group_end)) {
    used = space + options_.group_end.size();
    return told_ ? Status::kDone : Status::kBroken;
  }
  if (rest.starts_with(options_.function_begin)) {
    used = space + options_.function_begin.size();
    state_ = State::kName;
    return Status::kMore;
  }
  bool more = may_become(rest, options_.group_end) || may_become(rest, options_.function_begin);
  for (const std::string_view mark : options_.around) {
    if (rest.starts_with(mark)) {
      used = space + mark.size();
      return Status::kMore;
    }
    more = more || may_become(rest, mark);
  }
  if (more) return Status::kMore;
  return told_ ? Status::kDone : Status::kBroken;
}

CallMachine::Status XmlMachine::function_name(std::string_view text, std::size_t& used,
                                              CallSink& sink) {
  const std::size_t end = text.find(options_.function_name_end);
  if (end == std::string_view::npos) return text.size() > 4096 ? Status::kBroken : Status::kMore;
  const std::string_view name = bare_name(text.substr(0, end));
  if (name.empty() || name.size() > 256 || name.contains('<') || name.contains('\n')) {
    return Status::kBroken;
  }
  function_ = name;
  any_ = false;
  told_ = true;
  state_ = State::kFunction;
  sink.begin(name);
  used = end + options_.function_name_end.size();
  return Status::kMore;
}

CallMachine::Status XmlMachine::in_function(std::string_view text, std::size_t& used,
                                            CallSink& sink) {
  const std::string_view rest = trim_start(text);
  const std::size_t space = text.size() - rest.size();
  if (rest.empty()) {
    used = space;
    return Status::kMore;
  }
  if (rest.starts_with(options_.parameter_begin)) {
    std::size_t taken = 0;
    const Status status = parameter(rest, taken, sink);
    used = taken == 0 ? 0 : space + taken;
    return status;
  }
  if (rest.starts_with(options_.function_end)) {
    close(sink);
    used = space + options_.function_end.size();
    state_ = State::kBetween;
    const bool alone = options_.group_end.empty() && options_.around.empty();
    return alone ? Status::kDone : Status::kMore;
  }
  if (may_become(rest, options_.parameter_begin) || may_become(rest, options_.function_end)) {
    return Status::kMore;
  }
  // A call whose end is missing: what follows may be the group's.
  close(sink);
  state_ = State::kBetween;
  return between(text, used);
}

// Up to the end tag; where that is missing, up to what may only stand behind it.
CallMachine::Status XmlMachine::parameter(std::string_view text, std::size_t& used,
                                          CallSink& sink) {
  const std::size_t name_begin = options_.parameter_begin.size();
  const std::size_t name_end = text.find(options_.parameter_name_end, name_begin);
  if (name_end == std::string_view::npos) return Status::kMore;
  std::string_view name = text.substr(name_begin, name_end - name_begin);
  const std::size_t value_begin = name_end + options_.parameter_name_end.size();
  const bool is_json = options_.typed_parameters && name.contains("string=\"false\"");
  const bool is_text = options_.typed_parameters && name.contains("string=\"true\"");
  if (options_.typed_parameters) {
    const std::size_t quote = name.find('"', 1);  // of "NAME" string="true"
    name = name.substr(0, quote == std::string_view::npos ? quote : quote + 1);
  }
  const std::string_view key = bare_name(name);
  if (is_text || (!is_json && is_string_alone(tools_, function_, key))) {
    tell(key, "\"", sink);
    text_.emplace(
        std::vector{options_.parameter_end, options_.parameter_begin, options_.function_end}, true);
    state_ = State::kText;
    used = value_begin;
    return Status::kMore;
  }
  const std::size_t end = text.find(options_.parameter_end, value_begin);
  if (end == std::string_view::npos) return Status::kMore;
  // Of several beginnings before one end the first lacks its own.
  const std::size_t next = text.find(options_.parameter_begin, value_begin);
  const std::size_t stop = text.find(options_.function_end, value_begin);
  const std::size_t missing = std::min(next, stop);
  const std::size_t value_end = std::min(end, missing);
  const std::string_view value = without_frame(text.substr(value_begin, value_end - value_begin));
  used = value_end == end ? end + options_.parameter_end.size() : value_end;
  std::string json;
  if (is_json) json = trim(value);
  if (json.empty()) json = typed_value(value, tools_, function_, key);
  tell(key, json, sink);
  return Status::kMore;
}

// As it comes. Where its end tag is missing, what may only stand behind it ends it.
CallMachine::Status XmlMachine::text_value(std::string_view text, std::size_t& used,
                                           CallSink& sink) {
  if (!text_->push(text, used, sink)) return Status::kMore;
  sink.arguments("\"");
  state_ = State::kFunction;
  if (text.substr(used).starts_with(options_.parameter_end)) {
    used += options_.parameter_end.size();
    return Status::kMore;
  }
  std::size_t more = 0;
  const Status status = in_function(text.substr(used), more, sink);
  used += more;
  return status;
}

void XmlMachine::tell(std::string_view name, std::string_view json, CallSink& sink) {
  std::string out(any_ ? ", " : "{");
  out += json_string(name);
  out += ": ";
  out += json;
  sink.arguments(out);
  any_ = true;
}

void XmlMachine::close(CallSink& sink) {
  sink.arguments(any_ ? "}" : "{}");
}

CallMachine::Status XmlMachine::end(std::string_view rest, CallSink& /*sink*/) {
  (void)rest;  // a parameter that was cut short has no value
  return told_ ? Status::kDone : Status::kBroken;
}

}  // namespace vsurge::api
