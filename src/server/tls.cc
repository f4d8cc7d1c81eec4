#include "server/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/log.h"

namespace vsurge::server {
namespace {

namespace ssl = boost::asio::ssl;
using base::ErrorCode;
using base::fail;

// Of TLS 1.2; all ciphers of 1.3 are good.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";

// In place of OpenSSL's, which would ask at the terminal.
int refuse_passphrase(char* /*room*/, int /*size*/, int /*writing*/, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

base::Status read_failed(const char* what, const std::string& file) {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return fail(ErrorCode::kEnvironment, "TLS {} '{}': {}", what, file,
              reason == nullptr ? "it cannot be read" : reason);
}

base::Status use_key(SSL_CTX* tls, const std::string& file) {
  bool encrypted = false;
  SSL_CTX_set_default_passwd_cb(tls, refuse_passphrase);
  SSL_CTX_set_default_passwd_cb_userdata(tls, &encrypted);
  const bool good = SSL_CTX_use_PrivateKey_file(tls, file.c_str(), SSL_FILETYPE_PEM) == 1;
  SSL_CTX_set_default_passwd_cb_userdata(tls, nullptr);
  SSL_CTX_set_default_passwd_cb(tls, nullptr);
  if (good) return {};
  if (!encrypted) return read_failed("key", file);
  ERR_clear_error();
  return fail(ErrorCode::kEnvironment,
              "TLS key '{}': expected a key without a passphrase, found an encrypted one; "
              "'openssl pkey' writes it plain",
              file);
}

base::Status use_client_authorities(SSL_CTX* tls, const TlsFiles& files) {
  const char* file = files.client_authorities.c_str();
  STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(file);
  if (names == nullptr || SSL_CTX_load_verify_file(tls, file) != 1) {
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    return read_failed("client authorities", files.client_authorities);
  }
  SSL_CTX_set_client_CA_list(tls, names);  // takes them over
  SSL_CTX_set_verify(
      tls, SSL_VERIFY_PEER | (files.client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
      nullptr);
  // Sessions with a client's certificate can only be resumed under a name.
  const unsigned char name[] = "vsurge";
  SSL_CTX_set_session_id_context(tls, name, sizeof name - 1);
  return {};
}

void warn_of_dates(SSL_CTX* tls, const std::string& file) {
  const X509* certificate = SSL_CTX_get0_certificate(tls);
  if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) {
    base::log_warning("TLS certificate '{}' has expired", file);
  } else if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0) {
    base::log_warning("TLS certificate '{}' is not valid yet", file);
  }
}

}  // namespace

base::Result<std::shared_ptr<ssl::context>> make_tls(const TlsFiles& files) {
  if (files.certificate.empty() || files.key.empty()) {
    return fail(ErrorCode::kUsage,
                "TLS needs both a key file and a certificate file; only one is given");
  }
  const auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX* tls = context->native_handle();
  ERR_clear_error();
  SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
  SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
  CHECK(SSL_CTX_set_cipher_list(tls, kCiphers) == 1);
  if (SSL_CTX_use_certificate_chain_file(tls, files.certificate.c_str()) != 1) {
    VSURGE_TRY(read_failed("certificate", files.certificate));
  }
  VSURGE_TRY(use_key(tls, files.key));  // refuses one that does not fit the certificate
  if (!files.client_authorities.empty()) VSURGE_TRY(use_client_authorities(tls, files));
  warn_of_dates(tls, files.certificate);
  return context;
}

base::Result<int> check_tls(const TlsFiles& files) {
  const auto context = VSURGE_TRY(make_tls(files));
  const X509* certificate = SSL_CTX_get0_certificate(context->native_handle());
  int days = 0;
  int seconds = 0;
  if (ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(certificate)) != 1) {
    return fail(ErrorCode::kEnvironment, "TLS certificate '{}': its dates cannot be read",
                files.certificate);
  }
  return seconds < 0 ? days - 1 : days;
}

}  // namespace vsurge::server
