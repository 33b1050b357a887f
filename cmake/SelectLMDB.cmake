# LMDB: journal and customer view. Only src/store uses it.
punchcard_pkg_dependency(lmdb lmdb liblmdb-dev)
