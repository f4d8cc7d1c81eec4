# The default model against transformers.
add_executable(vsurge_logits quality_logits.cc)
target_link_libraries(vsurge_logits PRIVATE golden_runner vsurge_model vsurge_warnings)
vsurge_test(quality SOURCES quality_test.cc LIBS golden_runner vsurge_model LABELS model)
