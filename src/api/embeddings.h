// POST /v1/embeddings: one vector of each text, as the checkpoint pools.
#pragma once

#include <atomic>
#include <span>
#include <string>
#include <string_view>

#include "api/pooled_call.h"

namespace vsurge::api {

inline constexpr std::size_t kEmbeddingInputsMax = 2048;  // OpenAI's

ApiResult<PooledRequest> prepare_embeddings(const ServiceCore& core, std::string_view body,
                                            const std::atomic<bool>& gone);
std::span<const PlainField> embeddings_fields();

// The first `dimensions` numbers of a vector (0 = all), made to length 1 if `normalize`. A vector
// of length 0 stays as it is. Sums are made in double, from the first to the last.
std::vector<float> shape_embedding(const std::vector<float>& vector, std::size_t dimensions,
                                   bool normalize);
// Shortest text that gives the same float again, with a point or an exponent: never an integer.
void append_float(std::string& out, float number);
// RFC 4648, of the numbers as little-endian float32.
void append_base64(std::string& out, std::span<const float> numbers);

}  // namespace vsurge::api
