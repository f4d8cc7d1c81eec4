#include "api/model_choice.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <utility>

#include "api/limits.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using base::ErrorCode;
using boost::system::error_code;

// Reads no further than the member `model` of the object that a body is.
class ModelFinder {
 public:
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);

  NamedModel take() { return std::move(found_); }
  bool stopped() const { return stopped_; }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code& ec) { return open(ec); }
  bool on_array_begin(error_code& ec) { return open(ec); }
  bool on_object_end(std::size_t, error_code&) { return close(); }
  bool on_array_end(std::size_t, error_code&) { return close(); }
  bool on_key_part(json::string_view s, std::size_t, error_code&) { return part(s); }
  bool on_key(json::string_view s, std::size_t, error_code&) {
    part(s);
    wanted_ = depth_ == 1 && text_ == "model";
    text_.clear();
    return true;
  }
  bool on_string_part(json::string_view s, std::size_t, error_code&) { return part(s); }
  bool on_string(json::string_view s, std::size_t, error_code& ec) {
    part(s);
    if (wanted_) {
      found_ = {text_.empty() ? NamedModel::Kind::kNone : NamedModel::Kind::kName, text_};
      return stop(ec);
    }
    text_.clear();
    return true;
  }
  bool on_number_part(json::string_view, error_code&) { return true; }
  bool on_int64(std::int64_t, json::string_view, error_code& ec) { return other(ec); }
  bool on_uint64(std::uint64_t, json::string_view, error_code& ec) { return other(ec); }
  bool on_double(double, json::string_view, error_code& ec) { return other(ec); }
  bool on_bool(bool, error_code& ec) { return other(ec); }
  bool on_null(error_code& ec) {
    if (!wanted_) return true;
    found_.kind = NamedModel::Kind::kNone;
    return stop(ec);
  }
  bool on_comment_part(json::string_view, error_code&) { return true; }
  bool on_comment(json::string_view, error_code&) { return true; }

 private:
  // No more of a text than a name may have; what is longer is nobody's name.
  bool part(json::string_view s) {
    constexpr std::size_t kMost = kIdBytesMax + 1;
    text_.append(s.data(), std::min(s.size(), kMost - std::min(kMost, text_.size())));
    return true;
  }
  bool open(error_code& ec) {
    if (wanted_) return stop(ec);
    ++depth_;
    return true;
  }
  bool close() {
    --depth_;
    return true;
  }
  bool other(error_code& ec) { return wanted_ ? stop(ec) : true; }
  bool stop(error_code& ec) {
    stopped_ = true;
    ec = json::error::incomplete;
    return false;
  }

  NamedModel found_;
  std::string text_;
  std::size_t depth_ = 0;
  bool wanted_ = false;
  bool stopped_ = false;
};

std::unexpected<ApiError> error_of_model(ErrorCode code, std::string message) {
  return std::unexpected(from_base({code, std::move(message), "model"}));
}

// A model whose reading of a body tells what is wrong with it.
std::shared_ptr<ServiceCore> any_ready(const ModelSet::List& models) {
  for (const ModelEntry& entry : models) {
    if (entry.state == ModelState::kReady) return entry.core;
  }
  return nullptr;
}

ApiResult<std::shared_ptr<ServiceCore>> take(const ModelEntry& entry) {
  const std::string name = in_quotes(entry.names.front());
  switch (entry.state) {
    case ModelState::kLoading:
      return error_of_model(ErrorCode::kLoading,
                            fmt::format("The model {} is being loaded; try again soon.", name));
    case ModelState::kUnloading:
      return error_of_model(ErrorCode::kShuttingDown,
                            fmt::format("The model {} is being unloaded.", name));
    case ModelState::kReady:
      break;
  }
  if (!entry.core->draining.load(std::memory_order_relaxed)) return entry.core;
  return error_of_model(ErrorCode::kShuttingDown,
                        fmt::format("The model {} is drained; it takes no new work.", name));
}

}  // namespace

NamedModel find_named_model(std::string_view body) {
  json::parse_options options;
  options.max_depth = base::JsonLimits{}.depth_max;
  json::basic_parser<ModelFinder> parser(options);
  error_code error;
  parser.write_some(false, body.data(), body.size(), error);
  const bool whole = !error && parser.done();
  const bool stopped = parser.handler().stopped();
  NamedModel found = parser.handler().take();
  if (whole && !stopped) found.kind = NamedModel::Kind::kNone;
  return found;
}

std::string names_in_quotes(const ModelSet::List& models) {
  std::string out;
  for (const ModelEntry& entry : models) {
    if (!out.empty()) out += ", ";
    out += fmt::format("'{}'", entry.names.front());
  }
  return out.empty() ? "no models" : out;
}

bool may_use(const access::ApiKey* key, const ModelEntry& model) {
  return key == nullptr || key->models.empty() ||
         std::ranges::any_of(key->models, [&](const auto& name) { return model.has(name); });
}

ApiResult<ModelEntry> find_model(const ServiceHub& hub, std::string_view name,
                                 const access::ApiKey* key) {
  const auto models = hub.models.list();
  for (const ModelEntry& entry : *models) {
    if (entry.has(name) && may_use(key, entry)) return entry;
  }
  return error_of_model(ErrorCode::kModelNotFound,
                        fmt::format("The model {} does not exist.", in_quotes(name)));
}

ApiResult<std::shared_ptr<ServiceCore>> choose_model(const ServiceHub& hub, std::string_view body,
                                                     const access::ApiKey* key) {
  const auto models = hub.models.list();
  if (models->size() == 1) return take(models->front());
  NamedModel named = find_named_model(body);
  if (named.kind == NamedModel::Kind::kUnknown) {
    if (auto core = any_ready(*models)) return core;
    named.kind = NamedModel::Kind::kNone;
  }
  if (models->empty()) {
    return error_of_model(ErrorCode::kModelNotFound, "This server has no model at present.");
  }
  if (named.kind == NamedModel::Kind::kNone) {
    return bad_value("model", fmt::format("This server has several models; 'model' must be one of "
                                          "{}.",
                                          names_in_quotes(*models)));
  }
  for (const ModelEntry& entry : *models) {
    if (!entry.has(named.name)) continue;
    if (may_use(key, entry)) return take(entry);
    return std::unexpected(ApiError{
        403, "permission_error", "model_not_found",
        fmt::format("This key may not use the model {}.", in_quotes(named.name)), "model"});
  }
  return error_of_model(ErrorCode::kModelNotFound,
                        fmt::format("The model {} does not exist; this server has {}.",
                                    in_quotes(named.name), names_in_quotes(*models)));
}

}  // namespace vsurge::api
