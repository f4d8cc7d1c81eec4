vsurge_fuzz(reader SOURCES reader_fuzz.cc LIBS vsurge_api)
