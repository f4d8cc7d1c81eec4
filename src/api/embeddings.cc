#include "api/embeddings.h"

#include <array>
#include <bit>
#include <boost/json/array.hpp>
#include <charconv>
#include <cmath>
#include <cstring>
#include <utility>
#include <variant>

#include "api/json.h"
#include "api/limits.h"
#include "api/pooled_texts.h"
#include "api/reader.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

constexpr double kIntMax = std::numeric_limits<int>::max();

constexpr auto kFields = std::to_array<PlainField>({
    {"model", {}, shape::name(kIdBytesMax)},
    {"input"},
    {"encoding_format", {}, shape::word("float|base64", R"("float")")},
    {"dimensions", {}, shape::integer(1, kIntMax)},
    {"user", {}, shape::name(kIdBytesMax)},
    {"truncate_prompt_tokens", {}, shape::integer(-1, kIntMax)},
    {"add_special_tokens", {}, shape::flag("true")},
    {"normalize", {}, shape::flag("")},
    {"priority", {}, kPriorityShape},
    {"timeout", {}, kTimeoutShape},
    {"truncation_side", R"(["right"])"},
    {"embd_normalize", "[2]"},
    {"request_id", "[]"},
});

constexpr std::string_view kExpected =
    "a string, an array of strings, an array of token ids, or an array of such arrays";

struct Input {
  std::variant<std::string_view, std::vector<engine::TokenId>> value;
  std::string path;  // "input" or "input[3]"
};

struct Shape {
  bool base64 = false;
  bool normalize = false;
  std::size_t dimensions = 0;  // 0 = all
};

class Answer final : public PooledAnswer {
 public:
  Answer(const Shape& shape, std::size_t count) : shape_(shape), texts_(count) {}

  base::Status take(std::size_t i, const std::vector<float>& vector) override {
    const auto shaped = shape_embedding(vector, shape_.dimensions, shape_.normalize);
    std::string& out = texts_[i];
    if (shape_.base64) {
      out += '"';
      append_base64(out, shaped);
      out += '"';
      return {};
    }
    char separator = '[';
    for (const float number : shaped) {
      out += separator;
      separator = ',';
      append_float(out, number);
    }
    out += ']';
    return {};
  }

  std::string json(const ServiceCore& core, std::int64_t prompt_tokens) override {
    std::string out = R"({"object":"list","data":[)";
    for (std::size_t i = 0; i < texts_.size(); ++i) {
      if (i > 0) out += ',';
      out += fmt::format(R"({{"object":"embedding","index":{},"embedding":)", i);
      out += texts_[i];
      out += '}';
    }
    out += R"(],"model":)";
    append_json_string(out, core.options.model_names.front());
    out += fmt::format(R"(,"usage":{{"prompt_tokens":{0},"total_tokens":{0}}}}})", prompt_tokens);
    return out;
  }

 private:
  const Shape shape_;
  std::vector<std::string> texts_;  // of each vector
};

ApiResult<Input> read_one(const json::value& value, std::string path, int vocabulary) {
  if (value.is_string()) return Input{std::string_view(value.get_string()), std::move(path)};
  if (!value.is_array()) return wrong_type(std::move(path), kExpected, type_name(value));
  auto ids = VSURGE_TRY(read_token_ids(value.get_array(), path, vocabulary));
  if (ids.empty()) return bad_value(path, fmt::format("'{}' must not be empty.", path));
  return Input{std::move(ids), std::move(path)};
}

ApiResult<std::vector<Input>> read_inputs(const json::object& object, int vocabulary) {
  const json::value* input = ObjectReader(object, "").find("input");
  if (input == nullptr) return missing("input");
  std::vector<Input> out;
  if (!input->is_array()) {
    out.push_back(VSURGE_TRY(read_one(*input, "input", vocabulary)));
    return out;
  }
  const json::array& array = input->get_array();
  if (array.empty()) return bad_value("input", "'input' must not be empty.");
  if (array[0].is_number()) {
    out.push_back(VSURGE_TRY(read_one(*input, "input", vocabulary)));
    return out;
  }
  if (array.size() > kEmbeddingInputsMax) {
    return bad_value("input", fmt::format("'input' must have at most {} texts; found {}.",
                                          kEmbeddingInputsMax, array.size()));
  }
  for (std::size_t i = 0; i < array.size(); ++i) {
    out.push_back(VSURGE_TRY(read_one(array[i], fmt::format("input[{}]", i), vocabulary)));
  }
  return out;
}

ApiResult<Shape> read_shape(const ServiceCore& core, const json::object& object) {
  const ObjectReader body(object, "");
  const PooledOptions& pooled = core.options.pooled;
  Shape out;
  const auto format = VSURGE_TRY(body.text("encoding_format")).value_or("float");
  if (format != "float" && format != "base64") {
    return bad_value("encoding_format", fmt::format("'encoding_format' must be 'float' or "
                                                    "'base64'; found {}.",
                                                    in_quotes(format)));
  }
  out.base64 = format == "base64";
  out.normalize = VSURGE_TRY(body.boolean("normalize", pooled.normalize));
  out.dimensions = static_cast<std::size_t>(
      VSURGE_TRY(body.integer("dimensions", 1, pooled.hidden)).value_or(0));
  return out;
}

// Cut at its end where that was asked for; what the tokenizer adds stays.
ApiResult<std::vector<engine::TokenId>> ids_of(const ServiceCore& core, Input& input,
                                               const TokenFrame& frame,
                                               std::optional<std::size_t> most) {
  std::vector<engine::TokenId> ids;
  if (auto* given = std::get_if<std::vector<engine::TokenId>>(&input.value)) {
    ids = std::move(*given);
    if (most && ids.size() > *most) ids.resize(*most);
  } else {
    auto inside = VSURGE_TRY(pooled_ids(core, std::get<std::string_view>(input.value), input.path));
    if (most && inside.size() + frame.size() > *most) {
      inside.resize(*most > frame.size() ? *most - frame.size() : 0);
    }
    ids = frame.before;
    ids.insert(ids.end(), inside.begin(), inside.end());
    ids.insert(ids.end(), frame.after.begin(), frame.after.end());
  }
  VSURGE_TRY(check_pooled_length(core, ids.size(), input.path));
  return ids;
}

// -1 is the longest that fits.
ApiResult<std::optional<std::size_t>> read_truncation(const ServiceCore& core,
                                                      const json::object& object) {
  const int most = pooled_tokens_max(core);
  const auto given =
      VSURGE_TRY(ObjectReader(object, "").integer("truncate_prompt_tokens", -1, most));
  if (!given) return std::nullopt;
  if (*given == 0) {
    return bad_value("truncate_prompt_tokens",
                     "'truncate_prompt_tokens' must be at least 1, or -1 for the longest.");
  }
  return static_cast<std::size_t>(*given < 0 ? most : *given);
}

ApiResult<void> check_made_for_it(const PooledOptions& pooled) {
  if (pooled.kind == PooledKind::kEmbedding) return {};
  return unsupported("model",
                     pooled.refused.empty()
                         ? "This checkpoint is not made for embeddings: it has neither the "
                           "modules.json of sentence-transformers nor a pooling_type."
                         : fmt::format("This checkpoint's embeddings cannot be made here: {}.",
                                       printable_name(pooled.refused)));
}

}  // namespace

std::span<const PlainField> embeddings_fields() {
  return kFields;
}

std::vector<float> shape_embedding(const std::vector<float>& vector, std::size_t dimensions,
                                   bool normalize) {
  std::vector<float> out = vector;
  if (dimensions > 0 && dimensions < out.size()) out.resize(dimensions);
  if (!normalize) return out;
  double squares = 0;
  for (const float x : out) squares += double{x} * x;
  if (!(squares > 0)) return out;
  const double scale = 1 / std::sqrt(squares);
  for (float& x : out) x = static_cast<float>(x * scale);
  return out;
}

void append_float(std::string& out, float number) {
  std::array<char, 32> text;
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), number);
  CHECK(error == std::errc());
  const std::string_view written(text.data(), static_cast<std::size_t>(end - text.data()));
  out += written;
  if (written.find_first_of(".e") == std::string_view::npos) out += ".0";
}

void append_base64(std::string& out, std::span<const float> numbers) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  static_assert(std::endian::native == std::endian::little);
  const auto bytes = std::as_bytes(numbers);
  out.reserve(out.size() + (bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group <<= 8U;
      if (i + k < bytes.size()) group |= static_cast<std::uint32_t>(bytes[i + k]);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += i + k <= bytes.size() ? kDigits[(group >> (18 - 6 * k)) & 63U] : '=';
    }
  }
}

ApiResult<PooledRequest> prepare_embeddings(const ServiceCore& core, std::string_view body,
                                            const std::atomic<bool>& gone) {
  const json::value value = VSURGE_TRY(parse_object(core.hub, body));
  const json::object& object = value.get_object();
  if (ObjectReader(object, "").find("model") == nullptr) return missing("model");
  VSURGE_TRY(check_plain_fields(object, kFields));
  VSURGE_TRY(check_named_model(core, object));
  VSURGE_TRY(check_made_for_it(core.options.pooled));
  std::vector<Input> inputs = VSURGE_TRY(read_inputs(object, core.options.vocabulary));
  const Shape shape = VSURGE_TRY(read_shape(core, object));
  const std::size_t width = shape.dimensions > 0
                                ? shape.dimensions
                                : static_cast<std::size_t>(core.options.pooled.hidden);
  if (inputs.size() * width > kEmbeddingNumbersMax) {
    return bad_value("input", fmt::format("{} vectors of {} numbers are more than one answer has "
                                          "room for; send them in parts.",
                                          inputs.size(), width));
  }
  const auto most = VSURGE_TRY(read_truncation(core, object));
  const bool add_special = VSURGE_TRY(ObjectReader(object, "").boolean("add_special_tokens", true));
  TokenFrame frame;
  if (add_special) frame = VSURGE_TRY(token_frame(core.assets.tokenizer));
  PooledRequest out;
  VSURGE_TRY(read_pooled_scheduling(object, out.user, out.priority, out.timeout_seconds));
  for (Input& input : inputs) {
    if (gone.load(std::memory_order_relaxed)) return pooled_client_gone();
    out.prompts.push_back(VSURGE_TRY(ids_of(core, input, frame, most)));
  }
  out.pooling.states = core.options.pooled.states;
  out.answer = std::make_unique<Answer>(shape, out.prompts.size());
  return out;
}

}  // namespace vsurge::api
