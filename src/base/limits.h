// Every limit on what comes from outside, in one table; checked once, at the door.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vsurge::base {

inline constexpr std::size_t kKiB = 1024;
inline constexpr std::size_t kMiB = 1024 * kKiB;

// Of the file of API keys.
struct AccessLimits {
  std::size_t key_file_bytes_max = 8 * kMiB;
  std::size_t keys_max = 10'000;
};

// HTTP. Times in milliseconds.
struct HttpLimits {
  std::size_t request_target_bytes_max = 8 * kKiB;
  std::size_t header_bytes_max = 32 * kKiB;
  std::size_t header_fields_max = 128;
  std::size_t body_bytes_max = 10 * kMiB;     // the seed's max_request_size
  std::size_t bodies_bytes_max = 512 * kMiB;  // of all requests that are being read
  std::size_t connections_max = 4096;
  std::size_t connections_per_address_max = 1024;  // of one client; this machine is not limited
  std::size_t requests_per_connection_max = 10'000;
  std::size_t send_buffer_bytes = 128 * kKiB;      // of a socket (SO_SNDBUF)
  std::size_t stream_behind_bytes = 32 * kKiB;     // unsent ones at which a stream is suspended
  std::size_t stream_buffer_bytes_max = 1 * kMiB;  // at which it is cut off
  int header_timeout_ms = 10'000;  // from the first byte of a request to the end of its header
  int body_timeout_ms = 60'000;    // for the whole body
  int body_grace_ms = 5'000;       // after it a body must have come at least at this rate:
  int body_bytes_per_second_min = 512;
  int keep_alive_timeout_ms = 75'000;  // idle between requests
  int write_timeout_ms = 30'000;       // without progress of a slow reader
  int drain_timeout_ms = 30'000;       // after SIGTERM
};

// JSON of requests.
struct JsonLimits {
  std::size_t depth_max = 64;
  std::size_t values_max = 1'000'000;  // of one document: bounds the memory of {},{},{}, ...
  std::size_t messages_max = 2048;
  std::size_t content_parts_max = 1024;
  std::size_t prompts_max = 128;  // of one completions request
  std::size_t stop_strings_max = 4;
  std::size_t stop_string_bytes_max = 1024;
  std::size_t error_value_bytes_max = 200;  // of a client's value quoted back in an error
};

// Requests that wait for a text worker (template, tokenising).
struct TextLimits {
  std::size_t text_queue_requests_max = 4096;
  std::size_t text_queue_bytes_max = 256 * kMiB;  // of their bodies
  std::size_t stop_regex_bytes_max = 256 * kKiB;  // of a request's, compiled
};

// Chat templates come with checkpoints and are untrusted.
struct TemplateLimits {
  std::size_t source_bytes_max = 1 * kMiB;
  std::size_t output_bytes_max = 32 * kMiB;
  std::uint64_t fuel = 20'000'000;  // instructions of one render
  int render_time_ms_max = 5'000;
};

// Schemas, regexes and grammars of requests. What each of a compiler's steps costs stands in
// text_bridge.h.
struct GrammarLimits {
  std::size_t source_bytes_max = 256 * kKiB;
  std::size_t whitespace_bytes_max = 256;    // of a client's pattern
  std::size_t schema_depth_max = 64;         // steps of a path in it
  std::uint64_t schema_count_max = 100'000;  // minItems, maxLength and the like
  std::size_t choices_max = 4096;
  std::size_t grammar_symbols_max = 100'000;
  std::uint64_t compile_fuel = 1'000'000;
  std::size_t compiled_bytes_max = 64 * kMiB;
  int compile_ms_max = 5'000;
  int late_compiles_max = 2;
  std::uint32_t row_items_max = 10'000;
  std::uint64_t step_fuel = 200'000;
  std::uint64_t step_items_max = 50'000;
  std::uint64_t lexer_states_max = 50'000;  // of one answer
  std::size_t cache_bytes_max = 128 * kMiB;
};

struct TokenizerLimits {
  std::size_t file_bytes_max = 256 * kMiB;
  std::size_t vocabulary_max = 4'000'000;
  std::size_t text_bytes_max = 32 * kMiB;  // of one encode
};

struct CheckpointLimits {
  std::size_t config_bytes_max = 4 * kMiB;
  std::size_t config_depth_max = 32;
  std::size_t safetensors_header_bytes_max = 64 * kMiB;
  std::size_t packed_header_bytes_max = 4 * kMiB;
  std::size_t shards_max = 10'000;
  std::size_t tensors_max = 1'000'000;
  std::size_t tensor_name_bytes_max = 512;
  std::uint64_t gguf_metadata_entries_max = 65'536;
  std::uint64_t gguf_array_elements_max = 64'000'000;
  std::uint64_t gguf_string_bytes_max = 64 * kMiB;
  std::uint64_t dimension_max = 1ULL << 31;
  std::uint64_t layers_max = 1024;
};

// Requests inside the engine.
struct EngineLimits {
  std::size_t queue_requests_max = 4096;
  std::size_t queue_tokens_max = 16'000'000;
  std::size_t stop_token_ids_max = 64;
  std::size_t logit_bias_max = 1024;  // OpenAI has 300
  std::size_t bad_words_max = 1024;
  std::size_t bad_word_tokens_max = 64;      // of one
  std::size_t sequence_breakers_max = 1024;  // of DRY, in tokens
  int choices_max = 128;                     // n
  int speculative_tokens_max = 16;
};

}  // namespace vsurge::base
