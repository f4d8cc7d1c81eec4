// Where tests find what is not in the repository: data made by others, and the default model.
// For tests alone (needs VSURGE_SOURCE_DIR, which vsurge_test gives); nothing else includes it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace vsurge::base {

// The folder of data made by others: VSURGE_TEST_DATA, else ../shared beside the repository.
inline std::filesystem::path test_data_root() {
  const char* set = std::getenv("VSURGE_TEST_DATA");
  if (set != nullptr && *set != '\0') return set;
  return std::filesystem::path(VSURGE_SOURCE_DIR).parent_path() / "shared";
}

// A file or folder in there by its relative path ("tokenizers/gpt2"), or nothing when it is not
// there.
inline std::optional<std::filesystem::path> test_data_path(std::string_view relative) {
  std::error_code ignored;
  auto path = test_data_root() / relative;
  if (!std::filesystem::exists(path, ignored)) return std::nullopt;
  return path;
}

// The line for GTEST_SKIP() when test_data_path() gave nothing.
inline std::string test_data_missing(std::string_view relative) {
  return "needs " + (test_data_root() / relative).string() +
         " (data made by others, not in the repository; set VSURGE_TEST_DATA to its folder)";
}

// The GGUF that `./dev setup` fetches: VSURGE_TEST_MODEL, else models/ in VSURGE_CACHE, else in
// ~/.cache/vsurge. Nothing when it is not there.
inline std::optional<std::filesystem::path> default_model_path() {
  std::filesystem::path path;
  const auto set = [](const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string_view{} : std::string_view{value};
  };
  if (!set("VSURGE_TEST_MODEL").empty()) {
    path = set("VSURGE_TEST_MODEL");
  } else {
    path = !set("VSURGE_CACHE").empty() ? std::filesystem::path(set("VSURGE_CACHE"))
                                        : std::filesystem::path(set("HOME")) / ".cache/vsurge";
    path = path / "models" / "smollm2-135m-instruct-q4_1.gguf";
  }
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::nullopt;
  return path;
}

// The line for GTEST_SKIP() when default_model_path() gave nothing.
inline std::string default_model_missing() {
  return "needs the default model (./dev setup fetches it; or set VSURGE_TEST_MODEL to a .gguf)";
}

}  // namespace vsurge::base
