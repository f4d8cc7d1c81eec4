vsurge_fuzz(http_request SOURCES http_request_fuzz.cc LIBS vsurge_server)
