# `cmake --install`: the program, include/vsurge, one archive libvsurge.a that holds all floors and
# the Rust library, and a CMake package: find_package(vsurge) gives vsurge::vsurge.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

get_property(libraries GLOBAL PROPERTY VSURGE_LIBRARIES)
get_property(external GLOBAL PROPERTY VSURGE_EXTERNAL_LIBRARIES)
list(REMOVE_DUPLICATES external)

# The compiler's own ar: the plain one tries every plugin of the machine on Rust's objects.
set(archiver ${CMAKE_CXX_COMPILER_AR})
if(NOT archiver)
  set(archiver ${CMAKE_AR})
endif()

# One archive, so that a consumer links one thing; ar's own language is the portable way to merge.
set(merged ${CMAKE_BINARY_DIR}/libvsurge.a)
set(script "CREATE ${merged}\n")
foreach(library IN LISTS libraries)
  string(APPEND script "ADDLIB $<TARGET_FILE:${library}>\n")
endforeach()
string(APPEND script "ADDLIB ${text_bridge_archive}\nSAVE\nEND\n")
file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/merge.mri CONTENT "${script}")
add_custom_command(OUTPUT ${merged}
                   COMMAND ${CMAKE_COMMAND} -E rm -f ${merged}
                   COMMAND ${archiver} -M < ${CMAKE_BINARY_DIR}/merge.mri
                   DEPENDS ${libraries} text_bridge_build ${text_bridge_archive}
                   COMMENT "merge libvsurge.a" VERBATIM)
add_custom_target(vsurge_archive ALL DEPENDS ${merged})

# Which package gives an external library.
set(package_of_fmt "fmt")
set(package_of_spdlog "spdlog")
set(package_of_Threads "Threads")
set(package_of_OpenSSL "OpenSSL")
set(package_of_SQLite "SQLite3")
set(package_of_Boost "Boost 1.81 COMPONENTS json")
set(package_of_tomlplusplus "tomlplusplus")
set(package_of_CLI11 "CLI11")
set(VSURGE_FIND_DEPENDENCIES "")
foreach(library IN LISTS external)
  if(library MATCHES "^([A-Za-z0-9_]+)::")
    if(NOT DEFINED package_of_${CMAKE_MATCH_1})
      message(FATAL_ERROR "${library}: name its package in cmake/vsurge_package.cmake")
    endif()
    list(APPEND VSURGE_FIND_DEPENDENCIES "find_dependency(${package_of_${CMAKE_MATCH_1}})")
  endif()
endforeach()
list(REMOVE_DUPLICATES VSURGE_FIND_DEPENDENCIES)
list(JOIN VSURGE_FIND_DEPENDENCIES "\n" VSURGE_FIND_DEPENDENCIES)
set(VSURGE_LINK_LIBRARIES ${external} ${text_bridge_system_libraries})

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/vsurge)
configure_package_config_file(cmake/vsurgeConfig.cmake.in ${CMAKE_BINARY_DIR}/vsurgeConfig.cmake
                              INSTALL_DESTINATION ${package_folder}
                              PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/vsurgeConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/vsurgeConfig.cmake ${CMAKE_BINARY_DIR}/vsurgeConfigVersion.cmake
        DESTINATION ${package_folder})
install(FILES ${merged} DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/vsurge DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(TARGET vsurge)
  install(TARGETS vsurge RUNTIME)
endif()
