// What diagnose() thinks of each thing that it finds.
#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/types.h"
#include "vsurge/doctor.h"

namespace vsurge::facade {

Finding judge_cpu(kernels::IsaLevel best);
// allowed: by affinity and quota; online: of the machine.
Finding judge_cores(int allowed, int online);
// Bytes that the process may have in all, and that it can still have.
Finding judge_memory(std::int64_t allowed, std::int64_t available);
// The content of /sys/kernel/mm/transparent_hugepage/enabled; empty where there is none.
Finding judge_huge_pages(std::string_view enabled);
// Open files: what the process may have now, and what it may raise that to.
Finding judge_files(std::uint64_t soft, std::uint64_t hard);
// The content of .../clocksource0/current_clocksource; empty where there is none.
Finding judge_clock(std::string_view source);
// Days until a certificate expires, below 0 afterwards.
Finding judge_certificate(int days);

}  // namespace vsurge::facade
