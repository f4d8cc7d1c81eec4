find_package(ZLIB REQUIRED)

# Tests of the text half against data: tokenizers, templates, detokenizing, hostile input.
vsurge_test(text SOURCES text/tokenizer_golden_test.cc text/template_golden_test.cc
                         text/detokenizer_test.cc text/gguf_vocabulary_test.cc
                         text/auto_tokenizer_test.cc text/template_limits_test.cc
                         text/grammar_test.cc text/infill_test.cc text/encode_test.cc
                         text/test_support.cc
            LIBS vsurge_text text_bridge Boost::json OpenSSL::Crypto ZLIB::ZLIB TIMEOUT 300)
