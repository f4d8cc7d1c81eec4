#include "text/stop_regex.h"

#include "base/limits.h"
#include "text/bridge.h"

namespace vsurge::text {

using base::ErrorCode;

base::Result<StopRegex> StopRegex::compile(std::span<const std::string> patterns) {
  std::vector<tb_pattern> texts;
  for (const std::string& each : patterns) texts.push_back({bridge_data(each), each.size()});
  tb_stop_regex* made = nullptr;
  BridgeBytes error;
  const int status = tb_stop_regex_new(texts.data(), texts.size(),
                                       base::TextLimits{}.stop_regex_bytes_max, &made, error.out());
  if (status != TB_OK) {
    return std::unexpected(bridge_error(status, error, ErrorCode::kInvalidRequest,
                                        status == TB_PANIC ? "stop_regex" : ""));
  }
  StopRegex out;
  out.handle_ = {made, [](const tb_stop_regex* regex) {
                   tb_stop_regex_free(const_cast<tb_stop_regex*>(regex));
                 }};
  out.patterns_ =
      std::make_shared<const std::vector<std::string>>(patterns.begin(), patterns.end());
  return out;
}

void StopSearch::Free::operator()(tb_stop_search* search) const {
  tb_stop_search_free(search);
}

StopSearch::StopSearch(const StopRegex& regex) {
  tb_stop_search* made = nullptr;
  BridgeBytes error;
  const int status = tb_stop_search_new(regex.handle_.get(), &made, error.out());
  CHECK(status == TB_OK, "{}", error.view());
  handle_.reset(made);
}

StopSearch::Found StopSearch::push(std::string_view text, bool armed) {
  tb_stop_found found{};
  BridgeBytes error;
  const int status = tb_stop_search_push(handle_.get(), bridge_data(text), text.size(), armed,
                                         &found, error.out());
  CHECK(status == TB_OK, "{}", error.view());
  return {.found = found.found,
          .pattern = found.pattern,
          .begin = found.begin,
          .end = found.end,
          .open = found.open};
}

void StopSearch::cut() {
  tb_stop_search_cut(handle_.get());
}

}  // namespace vsurge::text
