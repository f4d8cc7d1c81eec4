# The one Rust archive, built by plain cargo.
find_program(CARGO cargo REQUIRED)
set(VSURGE_CARGO_DIR ${PROJECT_SOURCE_DIR}/build/cargo CACHE PATH
    "cargo's target folder, shared by all presets")
set(text_bridge_dir ${PROJECT_SOURCE_DIR}/rust/text_bridge)
set(text_bridge_archive ${VSURGE_CARGO_DIR}/release/libtext_bridge.a)
file(GLOB text_bridge_sources CONFIGURE_DEPENDS ${text_bridge_dir}/src/*.rs)
add_custom_command(
  OUTPUT ${text_bridge_archive}
  COMMAND ${CARGO} build --release --locked --target-dir ${VSURGE_CARGO_DIR}
  # cargo leaves an unchanged archive's time alone; without the touch ninja would run it every time
  COMMAND ${CMAKE_COMMAND} -E touch ${text_bridge_archive}
  DEPENDS ${text_bridge_sources} ${text_bridge_dir}/Cargo.toml ${text_bridge_dir}/Cargo.lock
  WORKING_DIRECTORY ${text_bridge_dir}
  COMMENT "cargo build text_bridge" USES_TERMINAL VERBATIM)
add_custom_target(text_bridge_build DEPENDS ${text_bridge_archive})
add_library(text_bridge STATIC IMPORTED GLOBAL)
set_target_properties(text_bridge PROPERTIES IMPORTED_LOCATION ${text_bridge_archive})
target_include_directories(text_bridge INTERFACE ${text_bridge_dir}/include)
target_link_libraries(text_bridge INTERFACE gcc_s util rt pthread m dl c)
add_dependencies(text_bridge text_bridge_build)
