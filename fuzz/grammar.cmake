vsurge_fuzz(grammar SOURCES grammar_fuzz.cc LIBS vsurge_text Boost::json)
