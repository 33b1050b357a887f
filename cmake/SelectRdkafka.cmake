# librdkafka: messages of Kafka. Only src/net uses it, which loads it when a source needs it (src/net/rdkafka.h): of this, it takes the
# headers alone.
punchcard_pkg_dependency(rdkafka rdkafka librdkafka-dev)
add_library(dep_rdkafka_headers INTERFACE)
target_include_directories(dep_rdkafka_headers SYSTEM INTERFACE ${rdkafka_INCLUDE_DIRS})
target_link_libraries(dep_rdkafka_headers INTERFACE ${CMAKE_DL_LIBS})
