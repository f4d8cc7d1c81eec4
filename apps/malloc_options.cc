// How jemalloc, the programs' malloc (docs/ARCHITECTURE.md), treats memory. It looks for this name;
// MALLOC_CONF in the environment wins.

// A thread of its own gives freed pages back after ten seconds. Without it they wait for the next
// free of their arena, which an idle server may never come to. One is enough for all arenas.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "background_thread:true,max_background_threads:1";
}
