// For tests of the HTTP server over TLS: certificates made on the spot, and a client.
#pragma once

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include "tests/http_support.h"

namespace vsurge::test {

// A self-signed certificate for localhost in a folder of its own, gone at the end.
class Certificate {
 public:
  // serial: tells it from others; passphrase: of the key file, empty = none.
  explicit Certificate(long serial = 1, std::string passphrase = "") : serial_(serial) {
    std::string name = std::filesystem::temp_directory_path() / "vsurge_tls_XXXXXX";
    folder_ = mkdtemp(name.data());
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial_);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME* subject = X509_get_subject_name(certificate);
    const unsigned char common_name[] = "localhost";
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, common_name, -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    X509_sign(certificate, key, EVP_sha256());
    std::FILE* file = std::fopen(key_file().c_str(), "w");
    if (file == nullptr) std::abort();
    PEM_write_PrivateKey(file, key, passphrase.empty() ? nullptr : EVP_aes_128_cbc(), nullptr, 0,
                         nullptr, passphrase.empty() ? nullptr : passphrase.data());
    std::fclose(file);
    file = std::fopen(certificate_file().c_str(), "w");
    if (file == nullptr) std::abort();
    PEM_write_X509(file, certificate);
    std::fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  ~Certificate() { std::filesystem::remove_all(folder_); }
  std::string key_file() const { return folder_ / "key.pem"; }
  std::string certificate_file() const { return folder_ / "certificate.pem"; }
  long serial() const { return serial_; }
  // Its files become those of `other`.
  void take_files(const Certificate& other) const {
    constexpr auto kOver = std::filesystem::copy_options::overwrite_existing;
    std::filesystem::copy_file(other.key_file(), key_file(), kOver);
    std::filesystem::copy_file(other.certificate_file(), certificate_file(), kOver);
  }

 private:
  long serial_;
  std::filesystem::path folder_;
};

struct TlsOptions {
  int version_max = TLS1_3_VERSION;
  // Also the old versions must be possible here, to see that the server refuses them.
  const char* ciphers = "ALL:@SECLEVEL=0";
  const Certificate* own = nullptr;
};

class TlsClient {
 public:
  explicit TlsClient(std::uint16_t port, const TlsOptions& options = {}) : socket_(port) {
    context_ = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_cipher_list(context_, options.ciphers);
    SSL_CTX_set_max_proto_version(context_, options.version_max);
    if (options.own != nullptr) {
      SSL_CTX_use_certificate_chain_file(context_, options.own->certificate_file().c_str());
      SSL_CTX_use_PrivateKey_file(context_, options.own->key_file().c_str(), SSL_FILETYPE_PEM);
    }
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, socket_.fd());
    connected_ = SSL_connect(ssl_) == 1;
  }
  ~TlsClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  bool connected() const { return connected_; }
  void send(const std::string& bytes) {
    SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()));
  }
  // Until `text` has come, or the end.
  std::string read_until(const std::string& text) {
    std::string got;
    std::string room(65536, '\0');
    while (got.find(text) == std::string::npos) {
      const int count = SSL_read(ssl_, room.data(), static_cast<int>(room.size()));
      if (count <= 0) break;
      got.append(room, 0, static_cast<std::size_t>(count));
    }
    return got;
  }
  // A request and its answer; with TLS 1.3 a client learns only here that it is turned away.
  bool is_answered() {
    if (!connected_) return false;
    send(get_request("/echo"));
    return read_until("GET /echo").starts_with("HTTP/1.1 200");
  }
  long peer_serial() const {
    X509* certificate = SSL_get1_peer_certificate(ssl_);
    const long serial =
        certificate == nullptr ? 0 : ASN1_INTEGER_get(X509_get0_serialNumber(certificate));
    X509_free(certificate);
    return serial;
  }
  Client& socket() { return socket_; }

 private:
  Client socket_;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  bool connected_ = false;
};

inline std::function<void(server::ServerOptions&)> with(const Certificate& certificate) {
  return [&](auto& options) {
    options.tls.key = certificate.key_file();
    options.tls.certificate = certificate.certificate_file();
    options.limits.header_timeout_ms = 1000;
  };
}

}  // namespace vsurge::test
