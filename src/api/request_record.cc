#include "api/request_record.h"

#include <algorithm>

#include "api/limits.h"

namespace vsurge::api {
namespace {

constexpr std::size_t kTraceparentBytes = 55;

bool is_request_id(std::string_view id) {
  return !id.empty() && id.size() <= kRequestIdBytesMax && std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == ':';
  });
}

bool is_lower_hex(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// W3C Trace Context, level 1: version-trace-parent-flags, 2, 32, 16 and 2 lower-case hex digits;
// neither id all zero. Later versions may have more behind another '-'; ff is none.
bool is_traceparent(std::string_view text) {
  if (text.size() < kTraceparentBytes || text.size() > kTraceparentBytesMax) return false;
  const std::string_view version = text.substr(0, 2);
  const std::string_view trace = text.substr(3, 32);
  const std::string_view parent = text.substr(36, 16);
  const std::string_view flags = text.substr(53, 2);
  const bool dashes = text[2] == '-' && text[35] == '-' && text[52] == '-';
  const bool hex =
      is_lower_hex(version) && is_lower_hex(trace) && is_lower_hex(parent) && is_lower_hex(flags);
  if (!dashes || !hex || version == "ff") return false;
  if (text.size() > kTraceparentBytes && (version == "00" || text[kTraceparentBytes] != '-'))
    return false;
  return trace.find_first_not_of('0') != std::string_view::npos &&
         parent.find_first_not_of('0') != std::string_view::npos;
}

}  // namespace

RequestRecord record_of(const HttpRequest& request) {
  RequestRecord record;
  const std::string_view id = request.header("x-request-id");
  if (is_request_id(id)) record.id = id;
  const std::string_view traceparent = request.header("traceparent");
  if (is_traceparent(traceparent)) record.traceparent = traceparent.substr(0, kTraceparentBytes);
  record.method = request.method;
  record.peer = request.peer;
  record.request_bytes = request.body.size();
  return record;
}

}  // namespace vsurge::api
