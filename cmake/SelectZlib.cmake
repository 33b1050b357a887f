find_package(PkgConfig REQUIRED)
pkg_check_modules(Zlib REQUIRED IMPORTED_TARGET zlib)
add_library(dep_zlib INTERFACE)
target_link_libraries(dep_zlib INTERFACE PkgConfig::Zlib)
