#include "server/response_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "server/head_rules.h"

namespace vsurge::server {
namespace {

bool is_token(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool is_made_here(std::string_view name) {
  constexpr std::array<std::string_view, 4> kOwn = {"connection", "content-length",
                                                    "transfer-encoding", "date"};
  return std::ranges::any_of(kOwn, [&](auto own) { return equal_ignoring_case(own, name); });
}

bool is_clean_value(std::string_view value) {
  return std::ranges::none_of(value, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
  });
}

}  // namespace

std::string_view reason_phrase(int status) {
  struct Row {
    int status;
    std::string_view phrase;
  };
  constexpr std::array<Row, 24> kRows = {{
      {100, "Continue"},
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {304, "Not Modified"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {415, "Unsupported Media Type"},
      {417, "Expectation Failed"},
      {422, "Unprocessable Content"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {503, "Service Unavailable"},
      {505, "HTTP Version Not Supported"},
  }};
  const auto row = std::ranges::find(kRows, status, &Row::status);
  return row == kRows.end() ? std::string_view("Status") : row->phrase;
}

std::string http_date(std::int64_t unix_seconds) {
  // Not strftime: names of days must not depend on the locale.
  constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  using namespace std::chrono;
  const sys_seconds time{seconds{unix_seconds}};
  const sys_days day = floor<days>(time);
  const year_month_day date{day};
  const hh_mm_ss clock{time - day};
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[weekday{day}.c_encoding()],
                     static_cast<unsigned>(date.day()),
                     kMonths[static_cast<unsigned>(date.month()) - 1],
                     static_cast<int>(date.year()), clock.hours().count(), clock.minutes().count(),
                     clock.seconds().count());
}

std::string response_head(const ResponseHead& head, const api::Headers& headers) {
  // An HTTP/1.0 client is answered with 1.1 all the same (RFC 9110, 6.2), in a framing it knows.
  std::string out = fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\n", head.status,
                                reason_phrase(head.status), http_date(head.unix_seconds));
  for (const auto& [name, value] : headers) {
    if (!is_token(name) || !is_clean_value(value) || is_made_here(name)) continue;
    out.append(name).append(": ").append(value).append("\r\n");
  }
  const bool bodiless = head.status < 200 || head.status == 204 || head.status == 304;
  if (head.chunked) {
    out += "Transfer-Encoding: chunked\r\n";
  } else if (head.content_length && !bodiless) {
    out += fmt::format("Content-Length: {}\r\n", *head.content_length);
  }
  if (!head.keep_alive) {
    out += "Connection: close\r\n";
  } else if (!head.http_1_1) {
    out += "Connection: keep-alive\r\n";
  }
  out += "\r\n";
  return out;
}

}  // namespace vsurge::server
