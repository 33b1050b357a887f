# zlib: customer files in gzip.
punchcard_pkg_dependency(zlib zlib zlib1g-dev)
