vsurge_fuzz(trace SOURCES trace_fuzz.cc LIBS vsurge_capacity)
