# libmicrohttpd: events by HTTP. Only src/speed uses it.
punchcard_pkg_dependency(microhttpd libmicrohttpd libmicrohttpd-dev)
