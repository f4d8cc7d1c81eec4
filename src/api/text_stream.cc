#include "api/text_stream.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace vsurge::api {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

}  // namespace

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; }));
}

TextStream::TextStream(const text::Tokenizer& tokenizer, TextOptions options)
    : tokenizer_(tokenizer),
      detokenizer_(tokenizer, options.skip_special),
      scanner_(std::move(options.stops), options.include_stop, std::move(options.stop_regex)),
      min_tokens_(options.min_tokens) {}

void TextStream::add(std::string_view piece, std::string& out, bool armed) {
  end_.byte += piece.size();
  end_.character += count_characters(piece);
  const std::size_t before = out.size();
  scanner_.push(piece, out, armed && tokens_ > min_tokens_);
  shown_ += out.size() - before;
}

base::Status TextStream::push(text::TokenId token, std::string& out, bool armed) {
  if (scanner_.found()) return {};
  ++tokens_;
  const std::string_view piece = VSURGE_TRY(detokenizer_.push(token));
  Place begin = end_;
  // Replacement characters stand for bytes of the tokens before, which this one did not complete.
  std::size_t old = 0;
  while (held_ && piece.substr(old).starts_with(kReplacement)) {
    old += kReplacement.size();
    ++begin.character;
  }
  begin.byte += old;
  held_ = old == piece.size() && (held_ || old == 0);
  pending_.push_back(begin);
  add(piece, out, armed);
  return {};
}

base::Status TextStream::push_marker(text::TokenId token, std::string& out) {
  if (scanner_.found()) return {};
  ++tokens_;
  std::string_view piece = VSURGE_TRY(detokenizer_.push(token));
  const auto own = tokenizer_.token_of(token);
  if (own && piece.ends_with(*own)) piece.remove_suffix(own->size());
  add(piece, out, false);
  pending_.push_back(end_);
  held_ = false;
  // No stop string goes on behind it.
  const std::size_t before = out.size();
  scanner_.flush(out);
  shown_ += out.size() - before;
  return {};
}

base::Status TextStream::finish(std::string& out) {
  if (scanner_.found()) return {};
  add(VSURGE_TRY(detokenizer_.finish()), out, true);
  if (scanner_.found()) return {};
  const std::size_t before = out.size();
  scanner_.flush(out);
  shown_ += out.size() - before;
  complete_ = true;
  return {};
}

void TextStream::take_shown(std::vector<std::size_t>& offsets) {
  while (!pending_.empty() && (complete_ || pending_.front().byte < shown_)) {
    offsets.push_back(pending_.front().character);
    pending_.pop_front();
  }
}

}  // namespace vsurge::api
