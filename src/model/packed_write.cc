// Writing weights.vsurge.
#include <boost/json.hpp>
#include <cstring>
#include <span>
#include <vector>

#include "base/atomic_file.h"
#include "model/packed_folder.h"
#include "model/packed_parts.h"

namespace vsurge::model {
namespace {

namespace json = boost::json;

std::size_t up(std::size_t n, std::size_t unit) {
  return (n + unit - 1) / unit * unit;
}

// Gives sections their places, one after another.
class Layout {
 public:
  std::size_t add(std::span<const std::byte> bytes) {
    const std::size_t at = end_;
    sections_.push_back(bytes);
    end_ = up(at + bytes.size(), kPackedSectionUnit);
    return at;
  }
  std::size_t add(const tensor::Buffer& buffer) {
    return add(std::span(buffer.data(), buffer.size()));
  }
  std::size_t end() const { return end_; }
  const std::vector<std::span<const std::byte>>& sections() const { return sections_; }

 private:
  std::vector<std::span<const std::byte>> sections_;
  std::size_t end_ = 0;
};

json::object matrix_of(const tensor::Weight& weight, Layout& layout) {
  json::object part{{"kind", kind_name(weight.format.kind)},
                    {"group", weight.format.group},
                    {"rotated", weight.format.rotated},
                    {"one_plane", weight.one_plane},
                    {"rows", weight.rows},
                    {"cols", weight.cols},
                    {"values", layout.add(weight.values)}};
  if (weight.scales.size() > 0) part["scales"] = layout.add(weight.scales);
  if (weight.minima.size() > 0) part["minima"] = layout.add(weight.minima);
  return part;
}

json::object header_of(const DecoderWeights& weights, const PackedInfo& info, Layout& layout) {
  json::object matrices, vectors;
  for_each_part(
      weights,
      [&](const std::string& name, const tensor::Weight& weight) {
        if (weight.rows > 0) matrices[name] = matrix_of(weight, layout);
      },
      [&](const std::string& name, const std::vector<float>& values) {
        if (values.empty()) return;
        vectors[name] = {{"size", values.size()},
                         {"values", layout.add(std::as_bytes(std::span(values)))}};
      });
  json::object files;
  for (const auto& [name, stamp] : info.source.stamps) files[name] = stamp;
  json::object header{{"format", 1},
                      {"layout", info.layout},
                      {"weights", choice_name(info.weights)},
                      {"parameters", weights.parameters},
                      {"weight_format", weights.format},
                      {"checkpoint", info.source.hash},
                      {"source", {{"path", info.source.path}, {"files", std::move(files)}}},
                      {"matrices", std::move(matrices)},
                      {"vectors", std::move(vectors)}};
  if (info.head) header["head"] = choice_name(*info.head);
  return header;
}

}  // namespace

base::Status write_packed_file(const std::filesystem::path& path, const DecoderWeights& weights,
                               PackedInfo info) {
  Layout layout;
  json::object header = header_of(weights, info, layout);
  // The length of the header says where the data begins, and `bytes` is in it.
  constexpr std::size_t kPrefix = 16;
  constexpr std::size_t kDigitsMax = 32;
  const std::size_t begin =
      up(kPrefix + json::serialize(header).size() + kDigitsMax, kPackedDataUnit);
  header["bytes"] = begin + layout.end() + kPackedTail;
  std::string text = json::serialize(header);
  const std::size_t least = begin - kPackedDataUnit + 1 - kPrefix;
  if (begin > kPackedDataUnit && text.size() < least) text.resize(least, ' ');
  base::AtomicFile file = VSURGE_TRY(base::AtomicFile::create(path));
  VSURGE_TRY(file.write(std::as_bytes(std::span(kPackedMagic))));
  const std::uint64_t length = text.size();
  VSURGE_TRY(file.write(std::as_bytes(std::span(&length, 1))));
  VSURGE_TRY(file.write(std::as_bytes(std::span(text))));
  std::size_t at = begin;
  for (const auto section : layout.sections()) {
    VSURGE_TRY(file.fill(at));
    VSURGE_TRY(file.write(section));
    at = up(at + section.size(), kPackedSectionUnit);
  }
  VSURGE_TRY(file.fill(begin + layout.end() + kPackedTail));
  return file.commit();
}

}  // namespace vsurge::model
