# DuckDB, the embedded SQL engine: DUCKDB_ROOT/{include/duckdb.h,lib/libduckdb.so}. Unless it is given (variable or
# environment), it is .deps/duckdb, where cmake/fetch-duckdb.sh puts the pinned version. Only src/engine uses it.
set(DUCKDB_ROOT "$ENV{DUCKDB_ROOT}" CACHE PATH "DuckDB: a directory with include/duckdb.h and lib/libduckdb.so")
set(duckdb_root "${DUCKDB_ROOT}")
if(NOT duckdb_root)
  set(duckdb_root "${CMAKE_SOURCE_DIR}/.deps/duckdb")
endif()
foreach(file include/duckdb.h lib/libduckdb.so)
  if(NOT EXISTS "${duckdb_root}/${file}")
    message(FATAL_ERROR "${duckdb_root}/${file} is missing: run ./dev deps, or set DUCKDB_ROOT")
  endif()
endforeach()

add_library(dep_duckdb SHARED IMPORTED)
set_target_properties(dep_duckdb PROPERTIES IMPORTED_LOCATION "${duckdb_root}/lib/libduckdb.so"
  IMPORTED_SONAME libduckdb.so)
target_include_directories(dep_duckdb SYSTEM INTERFACE "${duckdb_root}/include")
target_compile_definitions(dep_duckdb INTERFACE DUCKDB_API_NO_DEPRECATED)

install(FILES "${duckdb_root}/lib/libduckdb.so" DESTINATION lib/punchcard PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ
  WORLD_READ)
install(FILES "${duckdb_root}/LICENSE" DESTINATION share/doc/punchcard RENAME LICENSE.duckdb OPTIONAL)
