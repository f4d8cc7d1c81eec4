vsurge_fuzz(pooled_request SOURCES pooled_request_fuzz.cc LIBS vsurge_api Boost::json)
