#include "facade/doctor.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace vsurge::facade {
namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

// Whatever is not well comes with an advice, and nothing else does.
void expect(const Finding& finding, Verdict verdict) {
  EXPECT_EQ(finding.verdict, verdict) << finding.subject << ": " << finding.found;
  EXPECT_FALSE(finding.found.empty()) << finding.subject;
  EXPECT_EQ(finding.advice.empty(), verdict == Verdict::kGood) << finding.subject;
}

TEST(Doctor, Machines) {
  expect(judge_cpu(kernels::IsaLevel::kScalar), Verdict::kPoor);
  expect(judge_cpu(kernels::IsaLevel::kAvx2), Verdict::kPoor);
  expect(judge_cpu(kernels::IsaLevel::kAvxVnni), Verdict::kGood);
  expect(judge_cpu(kernels::IsaLevel::kAmx), Verdict::kGood);
  expect(judge_cores(8, 8), Verdict::kGood);
  expect(judge_cores(2, 8), Verdict::kPoor);
  expect(judge_memory(8 * kGiB, 7 * kGiB), Verdict::kGood);
  expect(judge_memory(8 * kGiB, 3 * kGiB), Verdict::kPoor);
  expect(judge_memory(8 * kGiB, kGiB / 2), Verdict::kBad);
  EXPECT_EQ(judge_memory(8 * kGiB, 3 * kGiB).found, "3.0 of 8.0 GiB available");
}

TEST(Doctor, Systems) {
  expect(judge_huge_pages("always [madvise] never"), Verdict::kGood);
  expect(judge_huge_pages("[always] madvise never"), Verdict::kGood);
  expect(judge_huge_pages("always madvise [never]"), Verdict::kPoor);
  expect(judge_huge_pages(""), Verdict::kPoor);
  expect(judge_files(1024, 1 << 20), Verdict::kGood);
  expect(judge_files(1024, 4096), Verdict::kPoor);
  expect(judge_clock("tsc\n"), Verdict::kGood);
  expect(judge_clock("kvm-clock"), Verdict::kGood);
  expect(judge_clock("hpet"), Verdict::kPoor);
  expect(judge_clock(""), Verdict::kGood);
  expect(judge_certificate(90), Verdict::kGood);
  expect(judge_certificate(3), Verdict::kPoor);
  expect(judge_certificate(-1), Verdict::kBad);
}

TEST(Doctor, FilesThatAreNotThere) {
  const auto findings = diagnose({.model = "/no/such/model",
                                  .ssl_keyfile = "/no/such/key",
                                  .ssl_certfile = "/no/such/certificate",
                                  .api_key_file = "/no/such/keys"});
  for (const char* subject : {"TLS", "API keys", "model"}) {
    const auto found = std::ranges::find(findings, subject, &Finding::subject);
    ASSERT_NE(found, findings.end());
    expect(*found, Verdict::kBad);
    EXPECT_NE(found->found.find("/no/such/"), std::string::npos) << found->found;
  }
  EXPECT_EQ(diagnose().size(), findings.size() - 3);
}

}  // namespace
}  // namespace vsurge::facade
