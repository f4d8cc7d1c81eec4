#include "api/formats/json_machine.h"

#include <boost/json/parse.hpp>

#include <algorithm>
#include <utility>

namespace vsurge::api {

using Status = CallMachine::Status;

JsonValueScanner::Step JsonValueScanner::step(char c) {
  if (in_string_) {
    if (escaped_) {
      escaped_ = false;
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == '"') {
      in_string_ = false;
      if (open_.empty()) return Step::kLast;
    }
    return Step::kMore;
  }
  if (bare_ && open_.empty() && (is_space(c) || c == ',' || c == '}' || c == ']')) {
    return Step::kAfter;
  }
  if (c == '"') {
    if (bare_ && open_.empty()) return Step::kBad;
    in_string_ = begun_ = true;
  } else if (c == '{' || c == '[') {
    if (bare_ && open_.empty()) return Step::kBad;
    open_.push_back(c == '{' ? '}' : ']');
    begun_ = true;
  } else if (c == '}' || c == ']') {
    if (open_.empty() || open_.back() != c) return Step::kBad;
    open_.pop_back();
    if (open_.empty()) return Step::kLast;
  } else if (open_.empty() && !is_space(c)) {
    const bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' ||
                      c == '.' || c == 'E';
    if (!word) return Step::kBad;
    begun_ = bare_ = true;
  }
  return Step::kMore;
}

Status JsonMachine::push(std::string_view text, std::size_t& used, CallSink& sink) {
  for (used = 0; used < text.size(); ++used) {
    const Status status = step(text[used], sink);
    if (status == Status::kMore) continue;
    // The byte that ends a group is part of it, but where it only shows that nothing more comes.
    if (status == Status::kDone && state_ == State::kClose) ++used;
    flush(sink);
    return status;
  }
  flush(sink);
  const std::size_t held = text_.size() + early_.size() + name_.size() + id_.size();
  return held > kCallBytesMax ? Status::kBroken : Status::kMore;
}

Status JsonMachine::finish(CallSink& sink) {
  flush(sink);
  if (begun_ || objects_ > 0) return Status::kDone;
  return Status::kBroken;
}

Status JsonMachine::step(char c, CallSink& sink) {
  switch (state_) {
    case State::kBetween:
      return between(c);
    case State::kKey:
      return key(c, sink);
    case State::kInKey:
      return in_string(c, sink);
    case State::kColon:
      if (is_space(c)) return Status::kMore;
      state_ = State::kValue;
      return c == ':' ? Status::kMore : Status::kBroken;
    case State::kValue:
      return value(c, sink);
    case State::kInString:
      return in_string(c, sink);
    case State::kArguments:
      return arguments(c);
    case State::kTextual:
      return textual(c);
    case State::kSkipped:
      return skipped(c, sink);
    case State::kClose:
      return close(c);
    case State::kEnded:
      break;
  }
  return Status::kDone;
}

Status JsonMachine::between(char c) {
  if (is_space(c)) return Status::kMore;
  if (c == '{') {
    state_ = State::kKey;
    begun_ = has_arguments_ = nested_ = false;
    name_.clear();
    id_.clear();
    early_.clear();
    return Status::kMore;
  }
  if (c == '[' && !array_ && objects_ == 0) {
    array_ = true;
    return Status::kMore;
  }
  if (c == ']' && array_) {
    array_ = false;
    // Without a closing text an array is the whole group.
    if (options_.closes.empty() && !options_.fenced) state_ = State::kEnded;
    return Status::kMore;
  }
  if ((c == ',' || c == ';') && objects_ > 0) return Status::kMore;
  if (!options_.closes.empty() || options_.fenced) {
    text_.clear();
    state_ = State::kClose;
    return close(c);
  }
  state_ = State::kEnded;
  return objects_ > 0 ? Status::kDone : Status::kBroken;
}

// Within a closing text, or the fence before or behind the calls.
Status JsonMachine::close(char c) {
  text_ += c;
  const std::string_view text = text_;
  if (options_.fenced && text.starts_with('`')) {
    if (text.size() < 3) return c == '`' ? Status::kMore : Status::kBroken;
    if (objects_ > 0) return c == '`' ? Status::kDone : Status::kBroken;
    if (text.size() == 3) return c == '`' ? Status::kMore : Status::kBroken;
    if (c == '\n') state_ = State::kBetween;
    const bool word = (c >= 'a' && c <= 'z') || c == '_';
    if (c == '[' || c == '{') {
      state_ = State::kBetween;
      return between(c);
    }
    return word || is_space(c) ? Status::kMore : Status::kBroken;
  }
  bool more = false;
  for (const std::string_view close : options_.closes) {
    if (close == text) return objects_ > 0 ? Status::kDone : Status::kBroken;
    more = more || close.starts_with(text);
  }
  if (more) return Status::kMore;
  state_ = State::kEnded;  // the group ends before this text
  return Status::kBroken;
}

Status JsonMachine::key(char c, CallSink& sink) {
  if (is_space(c) || c == ',') return Status::kMore;
  if (c == '}') {
    if (nested_) {
      nested_ = false;
      return Status::kMore;
    }
    return end_object(sink);
  }
  if (c != '"') return Status::kBroken;
  text_.clear();
  state_ = State::kInKey;
  return Status::kMore;
}

Status JsonMachine::end_object(CallSink& sink) {
  if (!begun_ && !begin(sink)) return Status::kBroken;
  if (!has_arguments_) put("{}");
  flush(sink);
  begun_ = false;
  ++objects_;
  state_ = State::kBetween;
  return Status::kMore;
}

bool JsonMachine::is_offered(std::string_view name) const {
  return options_.offered == nullptr ||
         std::ranges::find(*options_.offered, name, &ToolSpec::name) != options_.offered->end();
}

bool JsonMachine::begin(CallSink& sink) {
  if (name_.empty() || !is_offered(name_)) return false;
  begun_ = true;
  sink.begin(name_, id_);
  put(early_);
  early_.clear();
  return true;
}

Status JsonMachine::in_string(char c, CallSink& sink) {
  if (escaped_) {
    escaped_ = false;
  } else if (c == '\\') {
    escaped_ = true;
  } else if (c == '"') {
    boost::system::error_code error;
    const auto parsed = boost::json::parse('"' + text_ + '"', error);
    if (error) return Status::kBroken;
    const std::string decoded(std::string_view(parsed.get_string()));
    if (state_ == State::kInKey) {
      text_ = decoded;
      state_ = State::kColon;
      return Status::kMore;
    }
    state_ = State::kKey;
    if (role_ == Role::kId) {
      id_ = decoded;
      return Status::kMore;
    }
    name_ = decoded;
    return begin(sink) ? Status::kMore : Status::kBroken;
  }
  text_ += c;
  return Status::kMore;
}

// The first byte of what `text_` is the key of.
Status JsonMachine::value(char c, CallSink& sink) {
  if (is_space(c)) return Status::kMore;
  const std::string_view key = text_;
  role_ = Role::kOther;
  if (options_.key_is_name) {
    if (begun_ || c != '{') return Status::kBroken;
    name_ = text_;
    if (!begin(sink)) return Status::kBroken;
    role_ = Role::kArguments;
  } else if (key == "name" || key == "tool_name") {
    role_ = Role::kName;
  } else if (key == "arguments" || key == "parameters") {
    role_ = Role::kArguments;
  } else if (key == "id" || key == "tool_call_id") {
    role_ = Role::kId;
  } else if (key == "function") {
    role_ = c == '{' ? Role::kFunction : Role::kName;
  }
  if (role_ == Role::kFunction && !nested_) {
    nested_ = true;
    state_ = State::kKey;
    return Status::kMore;
  }
  if (role_ == Role::kName && (c != '"' || begun_)) return Status::kBroken;
  if (role_ == Role::kName || (role_ == Role::kId && c == '"')) {
    text_.clear();
    state_ = State::kInString;
    return Status::kMore;
  }
  scanner_ = {};
  if (role_ == Role::kArguments && !has_arguments_ && (c == '{' || c == '"')) {
    has_arguments_ = true;
    if (c == '"') {
      text_.clear();
      state_ = State::kTextual;
      return Status::kMore;
    }
    state_ = State::kArguments;
    return arguments(c);
  }
  state_ = State::kSkipped;
  return skipped(c, sink);
}

Status JsonMachine::arguments(char c) {
  const auto step = scanner_.step(c);
  if (step == JsonValueScanner::Step::kBad) return Status::kBroken;
  put({&c, 1});
  if (step == JsonValueScanner::Step::kLast) state_ = State::kKey;
  return Status::kMore;
}

// Told when the string is complete: an escape may be cut anywhere.
Status JsonMachine::textual(char c) {
  if (c != '"' || escaped_) {
    escaped_ = c == '\\' && !escaped_;
    text_ += c;
    return Status::kMore;
  }
  boost::system::error_code error;
  const auto parsed = boost::json::parse('"' + text_ + '"', error);
  if (error) return Status::kBroken;
  put(parsed.get_string());
  state_ = State::kKey;
  return Status::kMore;
}

Status JsonMachine::skipped(char c, CallSink& sink) {
  switch (scanner_.step(c)) {
    case JsonValueScanner::Step::kMore:
      return Status::kMore;
    case JsonValueScanner::Step::kLast:
      state_ = State::kKey;
      return Status::kMore;
    case JsonValueScanner::Step::kAfter:
      state_ = State::kKey;
      return key(c, sink);
    case JsonValueScanner::Step::kBad:
      break;
  }
  return Status::kBroken;
}

// Bytes of arguments: told with the piece, or kept until there is a name.
void JsonMachine::put(std::string_view bytes) {
  (begun_ ? fresh_ : early_) += bytes;
}

void JsonMachine::flush(CallSink& sink) {
  if (fresh_.empty()) return;
  sink.arguments(fresh_);
  fresh_.clear();
}

}  // namespace vsurge::api
