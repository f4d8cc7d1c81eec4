#include "api/formats/call_machine.h"

#include <fmt/format.h>

#include <algorithm>

namespace vsurge::api {

std::string_view trim_start(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  return text;
}

std::string_view trim(std::string_view text) {
  text = trim_start(text);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::string CallSink::make_id(std::string_view name, int index) const {
  std::string id = options_.new_id ? options_.new_id() : fmt::format("call_{}", index);
  switch (options_.ids) {
    case CallIds::kOurs:
      break;
    case CallIds::kNine:
      std::erase_if(id, [](char c) { return c == '_'; });
      id = id.size() > 9 ? id.substr(id.size() - 9) : fmt::format("{:0>9}", id);
      break;
    case CallIds::kIndex:
      return fmt::format("functions.{}:{}", name, index);
  }
  return id;
}

void CallSink::begin(std::string_view name, std::string_view id) {
  told_ = true;
  muted_ = !options_.parallel && calls_ > 0;
  if (muted_) return;
  // Models may give two calls one id; results could not be told apart.
  const bool taken = id.empty() || std::ranges::find(ids_, id) != ids_.end();
  ids_.push_back(taken ? make_id(name, calls_) : std::string(id));
  OutputEvent event{.kind = OutputEvent::Kind::kCallBegin,
                    .text = std::string(name),
                    .call = calls_,
                    .id = ids_.back()};
  ++calls_;
  append_output(*out_, std::move(event));
}

void CallSink::arguments(std::string_view json) {
  if (muted_ || json.empty()) return;
  append_output(*out_, {.kind = OutputEvent::Kind::kCallArguments,
                        .text = std::string(json),
                        .call = calls_ - 1,
                        .id = {}});
}

CallMachine::Status ElementMachine::push(std::string_view text, std::size_t& used, CallSink& sink) {
  held_ += text;
  used = text.size();
  std::size_t at = 0;
  for (;;) {
    std::size_t taken = 0;
    const Status status = element(std::string_view(held_).substr(at), taken, sink);
    at += taken;
    if (status == Status::kMore && taken > 0) continue;
    held_.erase(0, at);
    if (status == Status::kMore && held_.size() > kCallBytesMax) return Status::kBroken;
    return status;
  }
}

CallMachine::Status ElementMachine::finish(CallSink& sink) {
  const std::string rest = std::exchange(held_, {});
  return end(rest, sink);
}

}  // namespace vsurge::api
