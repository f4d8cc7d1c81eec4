// TextList: a few texts that are known when the program is built.
#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <string_view>

namespace vsurge::api {

class TextList {
 public:
  constexpr TextList() = default;
  constexpr TextList(std::initializer_list<std::string_view> texts) {
    for (const std::string_view text : texts) texts_.at(size_++) = text;
  }
  constexpr const std::string_view* begin() const { return texts_.data(); }
  constexpr const std::string_view* end() const { return texts_.data() + size_; }
  constexpr bool contains(std::string_view text) const {
    for (const std::string_view each : *this) {
      if (each == text) return true;
    }
    return false;
  }

 private:
  std::array<std::string_view, 10> texts_{};
  std::size_t size_ = 0;
};

}  // namespace vsurge::api
