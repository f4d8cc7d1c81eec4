# The one Rust archive, built by plain cargo: target text_bridge.
set(VSURGE_RUST_MIN 1.87) # the newest that a crate asks for (llguidance)
find_program(CARGO cargo HINTS $ENV{HOME}/.cargo/bin REQUIRED)
execute_process(COMMAND ${CARGO} --version OUTPUT_VARIABLE cargo_version
                OUTPUT_STRIP_TRAILING_WHITESPACE)
string(REGEX MATCH "[0-9]+\\.[0-9]+" cargo_version "${cargo_version}")
if(cargo_version VERSION_LESS VSURGE_RUST_MIN)
  message(FATAL_ERROR "${CARGO}: expected Rust >= ${VSURGE_RUST_MIN}, found '${cargo_version}'. "
                      "Debian 12 has rustc-web and cargo-web; or give another with -DCARGO=PATH.")
endif()
get_filename_component(cargo_folder ${CARGO} DIRECTORY)

set(VSURGE_CARGO_DIR ${PROJECT_SOURCE_DIR}/build/cargo CACHE PATH
    "cargo's target folder, shared by all presets")
set(text_bridge_dir ${PROJECT_SOURCE_DIR}/rust/text_bridge)
set(text_bridge_archive ${VSURGE_CARGO_DIR}/release/libtext_bridge.a)
file(GLOB_RECURSE text_bridge_sources CONFIGURE_DEPENDS ${text_bridge_dir}/src/*.rs)
add_custom_command(
  OUTPUT ${text_bridge_archive}
  # cargo finds the rustc beside it, whatever else is on the path
  COMMAND ${CMAKE_COMMAND} -E env --modify PATH=path_list_prepend:${cargo_folder}
          ${CARGO} build --release --locked --target-dir ${VSURGE_CARGO_DIR}
  # cargo leaves an unchanged archive's time alone; without the touch ninja would run it every time
  COMMAND ${CMAKE_COMMAND} -E touch ${text_bridge_archive}
  DEPENDS ${text_bridge_sources} ${text_bridge_dir}/Cargo.toml ${text_bridge_dir}/Cargo.lock
  WORKING_DIRECTORY ${text_bridge_dir}
  COMMENT "cargo build text_bridge" USES_TERMINAL VERBATIM)
add_custom_target(text_bridge_build DEPENDS ${text_bridge_archive})
add_library(text_bridge STATIC IMPORTED GLOBAL)
set_target_properties(text_bridge PROPERTIES IMPORTED_LOCATION ${text_bridge_archive})
target_include_directories(text_bridge INTERFACE ${text_bridge_dir}/include)
# what `cargo rustc -- --print native-static-libs` names
set(text_bridge_system_libraries gcc_s util rt pthread m dl c)
target_link_libraries(text_bridge INTERFACE ${text_bridge_system_libraries})
add_dependencies(text_bridge text_bridge_build)
