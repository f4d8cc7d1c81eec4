# Beam search through the real scheduler, against transformers'.
vsurge_test(beams SOURCES beam_golden_test.cc LIBS vsurge_engine Boost::json LABELS golden)
