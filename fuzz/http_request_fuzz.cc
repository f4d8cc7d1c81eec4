// Bytes of a connection through the reader the server uses, with small limits. Finds crashes, and
// checks that what is read does not depend on how the bytes are cut, and that every request keeps
// the promises the handler relies on.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/escape.h"
#include "server/request_reader.h"
#include "server/response_head.h"

namespace {

using vsurge::server::RequestReader;
using State = RequestReader::State;

struct Session {
  std::vector<vsurge::api::HttpRequest> requests;
  State state = State::kIdle;
  int status = 0;
};

vsurge::base::HttpLimits small_limits() {
  vsurge::base::HttpLimits limits;
  limits.request_target_bytes_max = 64;
  limits.header_bytes_max = 512;
  limits.header_fields_max = 8;
  limits.body_bytes_max = 256;
  return limits;
}

Session read_session(std::string_view bytes, std::size_t piece) {
  RequestReader reader(small_limits());
  Session session;
  while (!bytes.empty() && session.state != State::kRejected) {
    const auto room = reader.prepare();
    CHECK(!room.empty());
    const std::size_t count = std::min({piece, room.size(), bytes.size()});
    std::copy_n(bytes.begin(), count, room.begin());
    bytes.remove_prefix(count);
    session.state = reader.commit(count);
    while (session.state == State::kComplete) {
      session.requests.push_back(reader.take_request());
      session.state = reader.next();
    }
  }
  if (session.state == State::kRejected) session.status = reader.rejection().status;
  return session;
}

void check_request(const vsurge::api::HttpRequest& request) {
  CHECK(!request.method.empty() && request.method.size() <= 32);
  CHECK(request.path.starts_with('/') || request.path == "*");
  CHECK(request.body.size() <= 256);
  CHECK(request.headers.size() <= 8);
  std::string_view path = request.path;
  while (!path.empty()) {
    const auto length = vsurge::base::utf8_length(path);
    CHECK(length > 0 && static_cast<unsigned char>(path.front()) >= 0x20);
    path.remove_prefix(length);
  }
  // What came as fields may go out again as fields without breaking the framing.
  const auto head = vsurge::server::response_head({}, request.headers);
  CHECK(head.find("\r\n\r\n") == head.size() - 4);
}

void check_same(const Session& a, const Session& b) {
  CHECK(a.state == b.state && a.status == b.status && a.requests.size() == b.requests.size());
  for (std::size_t i = 0; i < a.requests.size(); ++i) {
    CHECK(a.requests[i].method == b.requests[i].method);
    CHECK(a.requests[i].path == b.requests[i].path && a.requests[i].query == b.requests[i].query);
    CHECK(a.requests[i].headers == b.requests[i].headers);
    CHECK(a.requests[i].body == b.requests[i].body);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = 1 + data[0] % 61;  // how the second reading is cut
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Session whole = read_session(bytes, bytes.size());
  for (const auto& request : whole.requests) check_request(request);
  check_same(whole, read_session(bytes, piece));
  return 0;
}
