# libcurl: asking the servers of a cluster by HTTP. Only src/net uses it, which loads it when it needs it (src/net/curl.h): of this, it takes
# the headers alone.
punchcard_pkg_dependency(curl libcurl libcurl4-openssl-dev)
add_library(dep_curl_headers INTERFACE)
target_include_directories(dep_curl_headers SYSTEM INTERFACE ${curl_INCLUDE_DIRS})
target_link_libraries(dep_curl_headers INTERFACE ${CMAKE_DL_LIBS})
