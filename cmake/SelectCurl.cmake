# libcurl: asking the servers of a cluster by HTTP. Only src/net uses it.
punchcard_pkg_dependency(curl libcurl libcurl4-openssl-dev)
