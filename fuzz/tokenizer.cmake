vsurge_fuzz(tokenizer SOURCES tokenizer_fuzz.cc LIBS vsurge_text)
vsurge_fuzz(tokenizer_gguf SOURCES tokenizer_gguf_fuzz.cc LIBS vsurge_text)
