vsurge_fuzz(safetensors SOURCES safetensors_fuzz.cc LIBS vsurge_model)
vsurge_fuzz(gguf SOURCES gguf_fuzz.cc LIBS vsurge_model)
vsurge_fuzz(config SOURCES config_fuzz.cc LIBS vsurge_model)
vsurge_fuzz(packed SOURCES packed_fuzz.cc LIBS vsurge_model)
