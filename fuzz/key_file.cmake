vsurge_fuzz(key_file SOURCES key_file_fuzz.cc LIBS vsurge_access)
