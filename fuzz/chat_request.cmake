vsurge_fuzz(chat_request SOURCES chat_request_fuzz.cc LIBS vsurge_api)
