find_package(PkgConfig REQUIRED)
pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET lmdb)
add_library(dep_lmdb INTERFACE)
target_link_libraries(dep_lmdb INTERFACE PkgConfig::LMDB)
