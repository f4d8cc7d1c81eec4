// The HTTP server over TLS, with certificates made here.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/http_support.h"
#include "tests/tls_support.h"

namespace vsurge::test {
namespace {

using namespace std::chrono_literals;

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
