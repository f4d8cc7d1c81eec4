// The HTTP server over TLS, with a certificate made here.
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/http_support.h"

namespace vsurge::test {
namespace {

using namespace std::chrono_literals;

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

std::function<void(server::ServerOptions&)> with(const Certificate& certificate) {
  return [&](auto& options) {
    options.tls.key = certificate.key_file();
    options.tls.certificate = certificate.certificate_file();
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
  EXPECT_FALSE(TlsClient(server.port(), {.version_max = TLS1_1_VERSION}).connected());
  EXPECT_TRUE(TlsClient(server.port(), {.version_max = TLS1_2_VERSION}).connected());
  Client plain(server.port());
  plain.send(get_request("/echo"));
  EXPECT_EQ(plain.read_to_end(5000).find("HTTP"), std::string::npos);
}

TEST(HttpsServer, RefusesOldCiphers) {
  const Certificate certificate;
  TestServer server(with(certificate));
  const auto connects = [&](const char* ciphers) {
    return TlsClient(server.port(), {.version_max = TLS1_2_VERSION, .ciphers = ciphers})
        .connected();
  };
  EXPECT_TRUE(connects("ECDHE-ECDSA-AES128-GCM-SHA256"));
  EXPECT_TRUE(connects("ECDHE-ECDSA-CHACHA20-POLY1305"));
  EXPECT_FALSE(connects("ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"));
  EXPECT_FALSE(connects("ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0"));
}

TEST(HttpsServer, AsksClientsForCertificates) {
  const Certificate certificate;
  const Certificate known;
  const Certificate unknown;
  for (const bool required : {true, false}) {
    TestServer server([&](auto& options) {
      with(certificate)(options);
      options.tls.client_authorities = known.certificate_file();
      options.tls.client_required = required;
    });
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      const auto is_answered = [&](const Certificate* own) {
        return TlsClient(server.port(), {.version_max = version, .own = own}).is_answered();
      };
      EXPECT_TRUE(is_answered(&known));
      EXPECT_FALSE(is_answered(&unknown));
      EXPECT_EQ(is_answered(nullptr), !required);
    }
  }
}

TEST(HttpsServer, SaysWhatItsFilesLack) {
  const Certificate certificate;
  const Certificate other;
  const Certificate encrypted(1, "secret");
  SteeredHandler handler;
  const auto error_of = [&](const server::TlsFiles& files) {
    server::ServerOptions options;
    options.port = 0;
    options.tls = files;
    const auto made = server::HttpServer::listen(options, handler);
    return made ? std::string() : made.error().message;
  };
  const auto key = certificate.key_file();
  const auto chain = certificate.certificate_file();
  EXPECT_EQ(error_of({.key = key, .certificate = chain, .client_authorities = {}}), "");
  EXPECT_NE(error_of({.key = key, .certificate = {}, .client_authorities = {}}).find("both"),
            std::string::npos);
  const std::vector<std::pair<server::TlsFiles, std::string>> cases = {
      {{.key = key, .certificate = "/nowhere", .client_authorities = {}},
       "TLS certificate '/nowhere'"},
      {{.key = other.key_file(), .certificate = chain, .client_authorities = {}},
       "key values mismatch"},
      {{.key = encrypted.key_file(),
        .certificate = encrypted.certificate_file(),
        .client_authorities = {}},
       "without a passphrase"},
      {{.key = key, .certificate = chain, .client_authorities = key}, "TLS client authorities"},
  };
  for (const auto& [files, part] : cases) {
    EXPECT_NE(error_of(files).find(part), std::string::npos) << error_of(files);
  }
}

TEST(HttpsServer, ReloadsItsFilesUnderLoad) {
  const Certificate certificate(1);
  TestServer server(with(certificate));
  TlsClient open(server.port());
  open.send(get_request("/hold"));
  auto held = server.handler.take();
  held.responder->begin_stream(200, {});
  std::atomic<bool> done = false;
  std::atomic<int> answered = 0;
  std::atomic<int> failed = 0;
  std::vector<std::jthread> others;
  for (int i = 0; i < 2; ++i) {
    others.emplace_back([&] {
      while (!done) ++(TlsClient(server.port()).is_answered() ? answered : failed);
    });
  }
  for (long serial = 2; serial < 8; ++serial) {
    certificate.take_files(Certificate(serial));
    ASSERT_TRUE(server.http->reload_tls());
    EXPECT_EQ(TlsClient(server.port()).peer_serial(), serial);
    const int before = answered;
    EXPECT_TRUE(eventually([&] { return answered > before + 2; }, 10'000));
  }
  std::filesystem::resize_file(certificate.certificate_file(), 100);
  EXPECT_FALSE(server.http->reload_tls());
  EXPECT_EQ(TlsClient(server.port()).peer_serial(), 7) << "bad files change nothing";
  done = true;
  others.clear();
  EXPECT_EQ(failed, 0);
  held.responder->write("still here");
  held.responder->end();
  EXPECT_NE(open.read_until("0\r\n\r\n").find("still here"), std::string::npos);
  EXPECT_EQ(server.handler.gone(), 0);
}

}  // namespace
}  // namespace vsurge::test
