#include "server/chunked.h"

#include <gtest/gtest.h>

namespace vsurge::server {
namespace {

struct Decoded {
  std::string body;
  std::size_t used = 0;
  int status = 0;  // of the rejection
  bool done = false;
};

Decoded decode(std::string_view bytes, std::size_t piece, std::size_t body_max = 1000) {
  base::HttpLimits limits;
  limits.body_bytes_max = body_max;
  ChunkedDecoder decoder(limits);
  Decoded out;
  while (out.used < bytes.size() && !decoder.done() && !decoder.rejected()) {
    out.used += decoder.feed(bytes.substr(out.used, piece), out.body);
  }
  out.done = decoder.done();
  if (decoder.rejected()) out.status = decoder.rejection().status;
  return out;
}

TEST(ChunkedDecoder, JoinsChunksHoweverTheyAreCut) {
  const std::string coded = "3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n00\r\nName: v\r\n\r\nNEXT";
  for (std::size_t piece = 1; piece <= coded.size(); ++piece) {
    const auto out = decode(coded, piece);
    EXPECT_TRUE(out.done);
    EXPECT_EQ(out.body, "abc0123456789");
    EXPECT_EQ(out.used, coded.size() - 4) << "bytes of the next request are left";
  }
}

TEST(ChunkedDecoder, RefusesBadFraming) {
  for (const std::string_view bad :
       {"\r\n", "g\r\n", " 3\r\nabc\r\n", "3 \r\nabc\r\n", "3\nabc", "3\rabc", "3\r\nabcd\r\n",
        "3\r\nabc\n", "3\r\nabc\rx", "3;\x01\r\n", "0\r\nA\nB", "0\r\n\rx", "0\r\nA\rB",
        "0\r\n\x02", "+3\r\nabc\r\n", ";\r\n"}) {
    EXPECT_EQ(decode(bad, bad.size()).status, 400) << bad;
    EXPECT_EQ(decode(bad, 1).status, 400) << bad;
  }
}

TEST(ChunkedDecoder, KeepsTheBodysLimit) {
  EXPECT_TRUE(decode("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 100, 5).done);
  EXPECT_EQ(decode("3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n", 100, 5).status, 413);
  EXPECT_EQ(decode("ffffffffffffffffffff\r\n", 100).status, 413);
  EXPECT_EQ(decode("000000000000000000001\r\n", 100).status, 413);
}

TEST(ChunkedDecoder, BoundsFramingAndTrailers) {
  std::string tiny;
  for (int i = 0; i < 50'000; ++i) tiny += "1\r\nx\r\n";
  EXPECT_EQ(decode(tiny, 4096, 1'000'000).status, 400);
  EXPECT_EQ(decode("1;" + std::string(200'000, 'e') + "\r\nx\r\n", 4096).status, 400);
  EXPECT_EQ(decode("0\r\n" + std::string(9'000, 't') + "\r\n\r\n", 4096).status, 431);
}

TEST(AppendChunk, IsReadBack) {
  std::string coded;
  append_chunk(coded, "hello");
  append_chunk(coded, std::string(300, 'z'));
  coded += kLastChunk;
  EXPECT_TRUE(coded.starts_with("5\r\nhello\r\n12c\r\n"));
  const auto out = decode(coded, coded.size());
  EXPECT_TRUE(out.done);
  EXPECT_EQ(out.body, "hello" + std::string(300, 'z'));
}

}  // namespace
}  // namespace vsurge::server
