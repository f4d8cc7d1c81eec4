#include "bench_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "json_text.h"

namespace vsurge::apps {
namespace {

constexpr BenchKind kKinds[] = {BenchKind::kDecode, BenchKind::kContext, BenchKind::kPrefill};

std::string_view name_of(BenchKind kind) {
  switch (kind) {
    case BenchKind::kDecode:
      return "decode";
    case BenchKind::kContext:
      return "context";
    case BenchKind::kPrefill:
      break;
  }
  return "prefill";
}

std::string_view title_of(BenchKind kind) {
  switch (kind) {
    case BenchKind::kDecode:
      return "decode: tokens/s by streams";
    case BenchKind::kContext:
      return "decode of one stream: tokens/s by tokens of context";
    case BenchKind::kPrefill:
      break;
  }
  return "prefill: tokens/s by tokens of the prompt";
}

std::string roofs_text(const Roofs& roofs) {
  std::string out;
  const auto add = [&](const char* name, double value) {
    if (value > 0) out += fmt::format("{}{} {:.0f}", out.empty() ? "" : ", ", name, value);
  };
  add("fp32 FMA", roofs.fma_f32);
  add("vdpbf16ps", roofs.vdpbf16ps);
  add("vpdpbusd", roofs.vpdpbusd);
  add("AMX bf16", roofs.amx_bf16);
  add("AMX int8", roofs.amx_int8);
  return "peaks, 1e9 operations/s: " + (out.empty() ? "none at this level" : out);
}

std::vector<BenchRow> rows_of(const BenchReport& report, BenchKind kind) {
  std::vector<BenchRow> out;
  std::copy_if(report.rows.begin(), report.rows.end(), std::back_inserter(out),
               [kind](const BenchRow& row) { return row.kind == kind; });
  return out;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

// Both axes of a panel are powers of two: so a line of slope one is "twice as many, twice as fast".
struct Panel {
  double left, top, x_least, x_most, y_least, y_most;
  static constexpr double kWidth = 320, kHeight = 220;

  double x(double value) const {
    const double span = std::max(std::log2(x_most / x_least), 1.0);
    return left + kWidth * std::log2(value / x_least) / span;
  }
  double y(double value) const {
    return top + kHeight * (1 - std::log2(value / y_least) / std::log2(y_most / y_least));
  }
};

std::string line_of(const Panel& panel, const std::vector<BenchRow>& rows, bool limit) {
  std::string points;
  for (const BenchRow& row : rows) {
    const double value = limit ? row.limit : row.median;
    const int at = row.kind == BenchKind::kDecode ? row.streams : row.tokens;
    if (value > 0) points += fmt::format("{:.1f},{:.1f} ", panel.x(at), panel.y(value));
  }
  if (points.empty()) return "";
  return fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"2\"{} points=\"{}\"/>\n",
                     limit ? "#888" : "#0a58a8", limit ? " stroke-dasharray=\"6 4\"" : "", points);
}

std::string panel_of(const std::vector<BenchRow>& rows, double left) {
  const auto at = [](const BenchRow& row) {
    return row.kind == BenchKind::kDecode ? row.streams : row.tokens;
  };
  Panel panel{left, 60, 1e9, 1, 1e9, 1};
  for (const BenchRow& row : rows) {
    panel.x_least = std::min<double>(panel.x_least, at(row));
    panel.x_most = std::max<double>(panel.x_most, at(row));
    for (const double value : {row.median, row.limit}) {
      if (!(value > 0)) continue;
      panel.y_least = std::min(panel.y_least, value);
      panel.y_most = std::max(panel.y_most, value);
    }
  }
  panel.y_least = std::exp2(std::floor(std::log2(panel.y_least)));
  panel.y_most = std::max(std::exp2(std::ceil(std::log2(panel.y_most))), 2 * panel.y_least);
  std::string out =
      fmt::format("<text x=\"{}\" y=\"50\">{}</text>\n", left, title_of(rows.front().kind));
  for (double value = panel.y_least; value <= panel.y_most; value *= 2) {
    out += fmt::format(
        "<path d=\"M{} {:.1f}h{}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1f}\" "
        "text-anchor=\"end\">{:g}</text>\n",
        left, panel.y(value), Panel::kWidth, left - 6, panel.y(value) + 4, value);
  }
  for (const BenchRow& row : rows) {
    out += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                       panel.x(at(row)), panel.top + Panel::kHeight + 18, at(row));
  }
  return out + line_of(panel, rows, true) + line_of(panel, rows, false);
}

}  // namespace

std::string table_of(const BenchReport& report) {
  std::string out =
      fmt::format("{}: {}, {}, {} threads, {:.0f} MiB of weights\n{}\n", report.model,
                  report.weights, report.isa, report.threads,
                  static_cast<double>(report.weight_bytes) / (1 << 20), roofs_text(report.roofs));
  out += fmt::format("{:8} {:>7} {:>7} {:>10} {:>19} {:>10} {:>9} {:>9} {:>6}\n", "", "streams",
                     "tokens", "tokens/s", "least - most", "ms", "GB/s read", "limit", "share");
  for (const BenchRow& row : report.rows) {
    out += fmt::format("{:8} {:7} {:7} {:10.1f} {:>19} {:10.2f} {:9.1f}", name_of(row.kind),
                       row.streams, row.tokens, row.median,
                       fmt::format("{:.1f} - {:.1f}", row.least, row.most), row.milliseconds(),
                       row.read_gb_s);
    out += row.limit > 0 ? fmt::format(" {:9.1f} {:6.2f}\n", row.limit, row.median / row.limit)
                         : fmt::format(" {:>9} {:>6}\n", "-", "-");
  }
  return out + "ms: of a step, or to the first token of a prompt\n";
}

std::string json_of(const BenchReport& report) {
  const Roofs& roofs = report.roofs;
  std::string out = fmt::format(
      "{{\"model\":{},\"weights\":{},\"isa\":{},\"threads\":{},\"weight_bytes\":{},\n"
      "\"peaks_1e9\":{{\"fma_f32\":{:.1f},\"vdpbf16ps\":{:.1f},\"vpdpbusd\":{:.1f},"
      "\"amx_bf16\":{:.1f},\"amx_int8\":{:.1f}}},\n\"rows\":[",
      json_text(report.model), json_text(report.weights), json_text(report.isa), report.threads,
      report.weight_bytes, roofs.fma_f32, roofs.vdpbf16ps, roofs.vpdpbusd, roofs.amx_bf16,
      roofs.amx_int8);
  for (const BenchRow& row : report.rows) {
    out += &row == &report.rows.front() ? "\n" : ",\n";
    out += fmt::format(
        "{{\"kind\":\"{}\",\"streams\":{},\"tokens\":{},\"tokens_per_second\":{:.3f},"
        "\"least\":{:.3f},\"most\":{:.3f},\"ms\":{:.3f},\"read_gb_s\":{:.2f},\"limit\":{}}}",
        name_of(row.kind), row.streams, row.tokens, row.median, row.least, row.most,
        row.milliseconds(), row.read_gb_s,
        row.limit > 0 ? fmt::format("{:.3f}", row.limit) : "null");
  }
  return out + "]}\n";
}

std::string svg_of(const BenchReport& report) {
  constexpr double kStride = Panel::kWidth + 90;
  std::string body;
  double left = 60;
  for (const BenchKind kind : kKinds) {
    const std::vector<BenchRow> rows = rows_of(report, kind);
    if (rows.empty()) continue;
    body += panel_of(rows, left);
    left += kStride;
  }
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"330\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"{0}\" height=\"330\" fill=\"#fff\"/>\n"
      "<text x=\"60\" y=\"24\" font-size=\"14\">{1}: {2}, {3}, {4} threads. Dashed: the limit of "
      "this machine</text>\n{5}</svg>\n",
      std::max(left - 20, kStride), escaped(report.model), escaped(report.weights),
      escaped(report.isa), report.threads, body);
}

}  // namespace vsurge::apps
