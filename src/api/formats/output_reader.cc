#include "api/formats/output_reader.h"

#include <algorithm>
#include <utility>

#include "api/formats/harmony.h"

namespace vsurge::api {

using Kind = OutputEvent::Kind;

OutputReader::OutputReader(const text::Tokenizer& tokenizer, ReaderOptions options)
    : options_(std::move(options)),
      sink_({.ids = options_.tools == nullptr ? CallIds::kOurs : options_.tools->ids,
             .parallel = options_.parallel,
             .new_id = options_.new_id}) {
  if (is_harmony(options_.tools, options_.reasoning)) {
    harmony_ =
        std::make_unique<HarmonyReader>(options_.tools != nullptr, options_.reasoning != nullptr);
  }
  add_markers(tokenizer);
  const bool reasons = options_.reasoning != nullptr && options_.reasoning_open;
  trimmed_ = reasons;
  set_state(reasons ? State::kReasoning : State::kContent);
}

OutputReader::~OutputReader() = default;
OutputReader::OutputReader(OutputReader&&) noexcept = default;

void OutputReader::add_markers(const text::Tokenizer& tokenizer) {
  const auto add = [&](const TextList& texts) {
    for (const std::string_view text : texts) {
      const auto id = tokenizer.id_of(text);
      if (!id || std::ranges::find(tokens_, *id) != tokens_.end()) continue;
      tokens_.push_back(*id);
      token_texts_.emplace_back(text);
      token_special_.push_back(tokenizer.is_special(*id) ? 1 : 0);
    }
  };
  if (harmony_ != nullptr) add(HarmonyReader::markers());
  if (options_.tools != nullptr) {
    add(options_.tools->opens);
    add(options_.tools->tags);
  }
  if (options_.reasoning != nullptr) {
    add(options_.reasoning->opens);
    add(options_.reasoning->closes);
    add(options_.reasoning->wrappers);
  }
}

// Looks for the markers that count there and are not known by their id.
void OutputReader::set_state(State state) {
  state_ = state;
  std::vector<std::string_view> markers, tokens;
  const auto add = [&](const TextList& texts) {
    for (const std::string_view text : texts) {
      const bool is_token = std::ranges::find(token_texts_, text) != token_texts_.end();
      (is_token ? tokens : markers).push_back(text);
    }
  };
  if (options_.reasoning != nullptr && state != State::kCall) {
    add(options_.reasoning->closes);
    if (state == State::kContent) {
      add(options_.reasoning->opens);
      add(options_.reasoning->wrappers);
    }
  }
  if (options_.tools != nullptr && state == State::kContent) add(options_.tools->opens);
  // A token that is a part of a longer marker comes as text: see push_marker.
  const std::size_t texts = markers.size();
  for (const std::string_view token : tokens) {
    const auto within = [&](std::string_view marker) { return marker.contains(token); };
    const auto begin = markers.begin(), end = begin + static_cast<std::ptrdiff_t>(texts);
    if (std::any_of(begin, end, within)) markers.push_back(token);
  }
  scanner_.look_for(std::move(markers));
}

bool OutputReader::in_reasoning() const {
  return harmony_ != nullptr ? harmony_->in_reasoning() : state_ == State::kReasoning;
}

bool OutputReader::in_content() const {
  return harmony_ != nullptr ? harmony_->in_content() : state_ == State::kContent;
}

// Where events go from now on; what stands before all of them goes first.
void OutputReader::set_out(std::vector<OutputEvent>& out) {
  out_ = &out;
  sink_.set_out(&out);
  if (std::exchange(prefixed_, true) || options_.reasoning == nullptr) return;
  if (options_.reasoning->prefix.empty()) return;
  append_output(
      out, {.kind = Kind::kContent, .text = std::string(options_.reasoning->prefix), .id = {}});
}

void OutputReader::push_text(std::string_view text, std::vector<OutputEvent>& out) {
  if (text.empty()) return;
  set_out(out);
  if (harmony_ != nullptr) return harmony_->push(text, sink_, out);
  scan(text);
}

void OutputReader::scan(std::string_view text) {
  scanner_.push(text, scan_sink());
}

MarkerScanner::Sink OutputReader::scan_sink() {
  return {[this](std::string_view piece) { on_text(piece); },
          [this](std::string_view marker) { on_marker(marker); }};
}

void OutputReader::push_marker(text::TokenId token, std::vector<OutputEvent>& out) {
  set_out(out);
  const auto place = std::ranges::find(tokens_, token) - tokens_.begin();
  const auto index = static_cast<std::size_t>(place);
  if (index >= tokens_.size()) return;
  const std::string& text = token_texts_[index];
  if (harmony_ != nullptr) return harmony_->push(text, sink_, out);
  // A marker of several tokens, or of tokens and text, is found as text.
  if (state_ != State::kCall && scanner_.is_part(text)) return scan(text);
  // No other marker of text goes on behind a token.
  scanner_.flush(scan_sink());
  if (state_ == State::kCall) {
    on_call_text(text);
    return scan({});
  }
  const auto in = [&](const TextList& texts) { return texts.contains(text); };
  const bool content = state_ == State::kContent;
  const bool means =
      (content && options_.tools != nullptr && in(options_.tools->opens)) ||
      (options_.reasoning != nullptr &&
       (in(options_.reasoning->closes) ||
        (content && (in(options_.reasoning->opens) || in(options_.reasoning->wrappers)))));
  if (means) return on_marker(text);
  if (token_special_[index] == 0) on_text(text);
  scan({});
}

void OutputReader::finish(std::vector<OutputEvent>& out) {
  out_ = &out;
  sink_.set_out(&out);
  if (harmony_ != nullptr) return harmony_->finish(sink_, out);
  scanner_.flush(scan_sink());
  if (state_ == State::kCall) {
    const auto status = machine_->finish(sink_);
    told_call_ = told_call_ || sink_.told();
    state_ = State::kContent;
    if (status == CallMachine::Status::kBroken && !told_call_) {
      tell(Kind::kContent, open_);
      tell(Kind::kContent, raw_);
    } else {
      drop_space();
      at_start_ = trimmed_ = true;
    }
  }
  // White space at the end is the answer's own, unless it stands behind a call or reasoning.
  if (state_ == State::kContent && !space_.empty() && !(at_start_ && trimmed_)) {
    append_output(*out_, {.kind = Kind::kContent, .text = std::exchange(space_, {}), .id = {}});
  }
}

void OutputReader::on_text(std::string_view text) {
  switch (state_) {
    case State::kReasoning:
      return tell(Kind::kReasoning, text);
    case State::kContent:
      return on_content(text);
    case State::kCall:
      return on_call_text(text);
  }
}

// Holds back white space until something of the same kind follows.
void OutputReader::tell(Kind kind, std::string_view text) {
  const bool reasoning = kind == Kind::kReasoning;
  if (at_start_) {
    const std::string_view rest = trim_start(text);
    if (!(trimmed_ || reasoning)) space_ += text.substr(0, text.size() - rest.size());
    text = rest;
    if (text.empty()) return;
    at_start_ = false;
  }
  std::size_t end = text.size();
  while (end > 0 && is_space(text[end - 1])) --end;
  if (end > 0) {
    std::string told = std::exchange(space_, {});
    told += text.substr(0, end);
    append_output(*out_, {.kind = kind, .text = std::move(told), .id = {}});
  }
  space_ += text.substr(end);
}

void OutputReader::on_content(std::string_view text) {
  if (at_start_ && options_.tools != nullptr && !options_.tools->first_characters.empty()) {
    const std::string_view rest = trim_start(text);
    if (!rest.empty() && options_.tools->first_characters.contains(rest.front())) {
      if (!trimmed_) space_ += text.substr(0, text.size() - rest.size());
      begin_call({});
      return on_call_text(rest);
    }
  }
  tell(Kind::kContent, text);
}

void OutputReader::on_marker(std::string_view marker) {
  const auto in = [&](const TextList& texts) { return texts.contains(marker); };
  if (options_.reasoning != nullptr) {
    if (in(options_.reasoning->closes)) {
      drop_space();
      at_start_ = trimmed_ = true;
      return set_state(State::kContent);
    }
    if (state_ == State::kContent && in(options_.reasoning->opens)) {
      drop_space();
      at_start_ = trimmed_ = true;
      return set_state(State::kReasoning);
    }
    if (in(options_.reasoning->wrappers)) {
      drop_space();
      at_start_ = trimmed_ = true;
      return;
    }
  }
  begin_call(marker);
}

void OutputReader::begin_call(std::string_view open) {
  open_ = open;
  raw_.clear();
  told_call_ = false;
  machine_ = options_.tools->make(open, *options_.schemas);
  sink_.reset_told();
  set_state(State::kCall);
}

void OutputReader::on_call_text(std::string_view text) {
  std::size_t used = 0;
  const CallMachine::Status status = machine_->push(text, used, sink_);
  told_call_ = told_call_ || sink_.told();
  if (!told_call_) raw_ += text.substr(0, used);
  if (status != CallMachine::Status::kMore) end_call(status, text.substr(used));
}

// `rest` and what was no call are looked at as content.
void OutputReader::end_call(CallMachine::Status status, std::string_view rest) {
  const std::string unread = machine_->unread();
  machine_.reset();
  set_state(State::kContent);
  if (status == CallMachine::Status::kDone || told_call_) {
    drop_space();
    at_start_ = trimmed_ = true;
    scanner_.put_back(unread);
  } else if (!open_.empty()) {
    tell(Kind::kContent, open_);
    scanner_.put_back(raw_);
  } else {
    // The first character began it: now it does not.
    const std::string raw = std::exchange(raw_, {});
    tell(Kind::kContent, std::string_view(raw).substr(0, 1));
    scanner_.put_back(std::string_view(raw).substr(std::min<std::size_t>(1, raw.size())));
  }
  scanner_.put_back(rest);
}

}  // namespace vsurge::api
