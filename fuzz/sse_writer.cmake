vsurge_fuzz(sse_writer SOURCES sse_writer_fuzz.cc LIBS vsurge_api Boost::json)
