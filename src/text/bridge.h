// What the sources of this folder share around the C header of the Rust archive.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text_bridge.h"

namespace vsurge::text {

inline const std::uint8_t* bridge_data(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

// Bytes that the bridge filled; releases them.
class BridgeBytes {
 public:
  BridgeBytes() = default;
  BridgeBytes(const BridgeBytes&) = delete;
  BridgeBytes& operator=(const BridgeBytes&) = delete;
  ~BridgeBytes() {
    if (bytes_.data != nullptr) tb_bytes_free(&bytes_);
  }

  tb_bytes* out() { return &bytes_; }
  std::string_view view() const {
    return {reinterpret_cast<const char*>(bytes_.data), bytes_.size};
  }
  std::string text() const { return std::string(view()); }

 private:
  tb_bytes bytes_{};
};

// The error of a bridge call that did not return TB_OK: `code`, or kInternal after a panic.
base::Error bridge_error(int status, const BridgeBytes& text, base::ErrorCode code,
                         std::string_view what);

}  // namespace vsurge::text
