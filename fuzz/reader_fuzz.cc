// Any tool format with any reasoning format, over any output: the same events however it is cut,
// and calls that are well formed as far as they go.
//
// Four bytes choose: the tool format, the reasoning format, flags, how the text is cut. The rest is
// the output; a byte 0xFF in it and the one behind it stand for one of the formats' markers.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/formats/detect.h"
#include "api/formats/output_reader.h"
#include "api/json.h"
#include "base/error.h"
#include "base/log.h"

namespace vsurge::api {
namespace {

constexpr std::size_t kOutputBytesMax = 8192;

// Text, or a marker that may be one token.
struct Piece {
  std::string text;
  bool marker = false;
};

std::vector<std::string_view> markers_of(const ReaderOptions& options) {
  std::vector<std::string_view> out;
  const auto add = [&](const TextList& texts) {
    out.insert(out.end(), texts.begin(), texts.end());
  };
  if (options.tools != nullptr) add(options.tools->opens);
  if (options.tools != nullptr) add(options.tools->tags);
  if (options.reasoning != nullptr) {
    add(options.reasoning->opens);
    add(options.reasoning->closes);
    add(options.reasoning->wrappers);
  }
  for (const std::string_view text : {"<|channel|>", "<|message|>", "<|start|>", "<|end|>"}) {
    out.push_back(text);
  }
  return out;
}

std::vector<Piece> pieces_of(std::string_view data, const std::vector<std::string_view>& markers) {
  std::vector<Piece> out(1);
  for (std::size_t i = 0; i < data.size(); ++i) {
    if (data[i] != '\xff' || i + 1 >= data.size()) {
      out.back().text += data[i];
      continue;
    }
    const auto index = static_cast<unsigned char>(data[++i]);
    out.push_back({std::string(markers.at(index % markers.size())), true});
    out.emplace_back();
  }
  return out;
}

text::Tokenizer tokenizer_with(const std::vector<std::string_view>& marks) {
  boost::json::array added;
  std::vector<std::string_view> seen;
  for (const std::string_view mark : marks) {
    if (std::ranges::find(seen, mark) != seen.end()) continue;
    seen.push_back(mark);
    added.push_back({{"id", added.size() + 1},
                     {"content", mark},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const boost::json::object all = {
      {"version", "1.0"},
      {"added_tokens", std::move(added)},
      {"model", {{"type", "BPE"}, {"vocab", {{"a", 0}}}, {"merges", boost::json::array()}}}};
  auto made = text::Tokenizer::from_json(boost::json::serialize(all));
  CHECK(made.has_value());
  return std::move(*made);
}

std::vector<OutputEvent> read(const text::Tokenizer& tokenizer, const ReaderOptions& options,
                              const std::vector<Piece>& pieces, std::size_t size) {
  OutputReader reader(tokenizer, options);
  std::vector<OutputEvent> out;
  for (const Piece& piece : pieces) {
    const auto token = piece.marker ? tokenizer.id_of(piece.text) : std::nullopt;
    if (token && std::ranges::find(reader.markers(), *token) != reader.markers().end()) {
      reader.push_marker(*token, out);
      continue;
    }
    for (std::size_t at = 0; at < piece.text.size(); at += size) {
      reader.push_text(std::string_view(piece.text).substr(at, size), out);
    }
  }
  reader.finish(out);
  return out;
}

void check_events(const std::vector<OutputEvent>& events, const ReaderOptions& options,
                  bool is_utf8) {
  using Kind = OutputEvent::Kind;
  int calls = 0;
  std::string arguments;
  for (const OutputEvent& event : events) {
    CHECK(!event.text.empty());
    if (is_utf8) CHECK(find_invalid_utf8(event.text) == std::string_view::npos);
    if (event.kind == Kind::kCallBegin) {
      CHECK(event.call == calls++ && !event.id.empty());
      CHECK(options.tools != nullptr && (options.parallel || calls == 1));
    } else if (event.kind == Kind::kCallArguments) {
      CHECK(calls > 0 && event.call == calls - 1);
    }
  }
}

// Events of one kind and call that follow each other are one.
std::string joined(const std::vector<OutputEvent>& events) {
  std::string out;
  for (const OutputEvent& event : events) {
    out += static_cast<char>('0' + static_cast<int>(event.kind));
    out += std::to_string(event.call) + ' ' + event.id + '\0' + event.text + '\0';
  }
  return out;
}

ReaderOptions options_of(const std::uint8_t* data) {
  static const auto tools = std::make_shared<ToolSpecs>(
      ToolSpecs{{.name = "f",
                 .parameters = boost::json::parse(R"({"properties": {"a": {"type": "integer"},
           "b": {"type": ["string", "null"]}, "c": {"type": "array"}}})")
                                   .get_object()},
                {.name = "get_weather"}});
  ReaderOptions options;
  // One more than there are: none.
  const std::size_t tool = data[0] % (tool_formats().size() + 1);
  const std::size_t reasoning = data[1] % (reasoning_formats().size() + 1);
  if (tool < tool_formats().size()) options.tools = tool_formats()[tool];
  if (reasoning < reasoning_formats().size()) options.reasoning = reasoning_formats()[reasoning];
  options.reasoning_open = (data[2] & 1U) != 0;
  options.parallel = (data[2] & 2U) == 0;
  options.schemas = tools;
  return options;
}

void run(const std::uint8_t* data, std::size_t size) {
  const ReaderOptions options = options_of(data);
  const auto markers = markers_of(options);
  const std::string_view output(reinterpret_cast<const char*>(data) + 4,
                                std::min(size - 4, kOutputBytesMax));
  const auto pieces = pieces_of(output, markers);
  const bool tokens = (data[2] & 4U) != 0;
  const auto tokenizer = tokenizer_with(tokens ? markers : std::vector<std::string_view>{});
  std::string text;
  for (const Piece& piece : pieces) text += piece.text;

  const auto whole = read(tokenizer, options, pieces, text.size() + 1);
  // By ids a text may be cut within a character.
  check_events(whole, options, find_invalid_utf8(text) == std::string_view::npos && !tokens);
  const std::string expected = joined(whole);
  for (const std::size_t cut : {1, 2 + data[3] % 13}) {
    const std::string got = joined(read(tokenizer, options, pieces, cut));
    if (got != expected) base::log_error("whole {}\ncut {}", expected, got);
    CHECK(got == expected);
  }
  if (options.tools == nullptr && options.reasoning == nullptr) {
    CHECK(text.empty() ? whole.empty() : whole.size() == 1 && whole[0].text == text);
  }
}

}  // namespace
}  // namespace vsurge::api

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size >= 4) vsurge::api::run(data, size);
  return 0;
}
