// The one exception of the public API.
#pragma once

#include <stdexcept>
#include <string>

namespace vsurge {

// What kind of thing went wrong; also the exit status of the program.
enum class ErrorKind {
  kInternal = 1,     // a fault of this library
  kUsage = 2,        // a wrong argument
  kBadModel = 3,     // a checkpoint, tokenizer or chat template that cannot be served
  kEnvironment = 4,  // memory, files, ports
};

// Thrown by every function of this API that can fail. The message is one line that names what,
// where, what was expected and what was found.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, std::string code, const std::string& message)
      : std::runtime_error(message), kind_(kind), code_(std::move(code)) {}
  ErrorKind kind() const { return kind_; }
  // As the HTTP API writes it: "context_length_exceeded", "bad_model", ...
  const std::string& code() const { return code_; }

 private:
  ErrorKind kind_;
  std::string code_;
};

}  // namespace vsurge
