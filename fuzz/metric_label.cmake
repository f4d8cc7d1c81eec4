vsurge_fuzz(metric_label SOURCES metric_label_fuzz.cc LIBS vsurge_api)
