vsurge_fuzz(template SOURCES template_fuzz.cc LIBS vsurge_text)
