// From errors as values to the exception of the public API.
#pragma once

#include <utility>

#include "base/error.h"
#include "vsurge/error.h"

namespace vsurge::facade {

[[noreturn]] void throw_error(const base::Error& error);

// The value, or vsurge::Error.
template <class T>
T unwrap(base::Result<T> result) {
  if (!result) throw_error(result.error());
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

}  // namespace vsurge::facade
