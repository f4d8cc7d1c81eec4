// How this test was built. For tests alone.
#pragma once

// 1 under the address or the thread sanitizer, which own the allocator and take their time.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define VSURGE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define VSURGE_SANITIZED 1
#endif
#endif
#ifndef VSURGE_SANITIZED
#define VSURGE_SANITIZED 0
#endif
