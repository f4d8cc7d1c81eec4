vsurge_fuzz(connection SOURCES connection_fuzz.cc connection_rig.cc LIBS vsurge_server)
