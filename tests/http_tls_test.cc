// The HTTP server over TLS, with a certificate made here.
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "tests/http_support.h"

namespace vsurge::test {
namespace {

using namespace std::chrono_literals;

// A self-signed certificate for localhost in a folder of its own, gone at the end.
class Certificate {
 public:
  Certificate() {
    std::string name = std::filesystem::temp_directory_path() / "vsurge_tls_XXXXXX";
    folder_ = mkdtemp(name.data());
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
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
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
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

 private:
  std::filesystem::path folder_;
};

class TlsClient {
 public:
  explicit TlsClient(std::uint16_t port, int version_max = TLS1_3_VERSION) : socket_(port) {
    context_ = SSL_CTX_new(TLS_client_method());
    // Also the old versions must be possible here, to see that the server refuses them.
    SSL_CTX_set_cipher_list(context_, "ALL:@SECLEVEL=0");
    SSL_CTX_set_max_proto_version(context_, version_max);
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
  Client& socket() { return socket_; }

 private:
  Client socket_;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  bool connected_ = false;
};

std::function<void(server::ServerOptions&)> with(const Certificate& certificate) {
  return [&](auto& options) {
    options.ssl_keyfile = certificate.key_file();
    options.ssl_certfile = certificate.certificate_file();
    options.limits.header_timeout_ms = 1000;
  };
}

TEST(HttpsServer, AnswersStreamsAndKeepsTheConnection) {
  const Certificate certificate;
  TestServer server(with(certificate));
  TlsClient client(server.port());
  ASSERT_TRUE(client.connected());
  client.send(get_request("/echo?1") + get_request("/stream?3"));
  const auto both = client.read_until("0\r\n\r\n");
  EXPECT_NE(both.find("GET /echo?1"), std::string::npos);
  EXPECT_NE(both.find("data: 2\n\n\r\n0\r\n\r\n"), std::string::npos);
  client.send(post_request("/echo", std::string(1'000'000, 'x')));
  EXPECT_GT(client.read_until(std::string(1'000'000, 'x')).size(), 1'000'000u);
}

TEST(HttpsServer, NoticesAClientThatLeaves) {
  const Certificate certificate;
  TestServer server(with(certificate));
  for (int i = 0; i < 4; ++i) {
    TlsClient client(server.port());
    client.send(get_request("/hold"));
    auto held = server.handler.take();
    if (i % 2 == 0) held.responder->begin_stream(200, {});
    std::this_thread::sleep_for(20ms);
    EXPECT_EQ(server.handler.gone(), i);
    i < 2 ? client.socket().close() : client.socket().reset();
    EXPECT_TRUE(server.handler.wait_gone(i + 1, 5000));
  }
}

TEST(HttpsServer, TimesOutSlowSenders) {
  const Certificate certificate;
  TestServer server(with(certificate));
  TlsClient client(server.port());
  client.send("GET /echo HT");
  EXPECT_NE(client.read_until("}").find("HTTP/1.1 408"), std::string::npos);
  Client silent(server.port());  // never shakes hands
  EXPECT_TRUE(silent.wait_closed(5000));
}

TEST(HttpsServer, RefusesOldVersionsAndPlainHttp) {
  const Certificate certificate;
  TestServer server(with(certificate));
  EXPECT_FALSE(TlsClient(server.port(), TLS1_1_VERSION).connected());
  EXPECT_TRUE(TlsClient(server.port(), TLS1_2_VERSION).connected());
  Client plain(server.port());
  plain.send(get_request("/echo"));
  EXPECT_EQ(plain.read_to_end(5000).find("HTTP"), std::string::npos);
}

}  // namespace
}  // namespace vsurge::test
