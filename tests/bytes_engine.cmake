# The same bytes alone and in company: the real scheduler on real models. Large: ./dev bytes
vsurge_test(bytes_engine SOURCES bytes_test.cc bytes_support.cc
            LIBS vsurge_engine vsurge_model LABELS golden)
