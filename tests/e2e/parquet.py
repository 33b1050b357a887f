"""Parquet files read and written with the DuckDB that the binary is linked with, to change what is not ours to change."""

import ctypes
import functools
import re
import subprocess

from conftest import PUNCHCARD


class _Result(ctypes.Structure):
    _fields_ = [
        ("deprecated_column_count", ctypes.c_uint64),
        ("deprecated_row_count", ctypes.c_uint64),
        ("deprecated_rows_changed", ctypes.c_uint64),
        ("deprecated_columns", ctypes.c_void_p),
        ("deprecated_error_message", ctypes.c_char_p),
        ("internal_data", ctypes.c_void_p),
    ]


@functools.cache
def library():
    linked = subprocess.run(["ldd", PUNCHCARD], capture_output=True, text=True, check=True).stdout
    (path,) = re.findall(r"libduckdb\.so\S* => (\S+)", linked)
    duckdb = ctypes.CDLL(path)
    duckdb.duckdb_result_error.restype = ctypes.c_char_p
    return duckdb


def run(*statements):
    """Runs them one after the other, in memory."""
    duckdb = library()
    database, connection = ctypes.c_void_p(), ctypes.c_void_p()
    assert duckdb.duckdb_open(None, ctypes.byref(database)) == 0
    assert duckdb.duckdb_connect(database, ctypes.byref(connection)) == 0
    try:
        for statement in statements:
            result = _Result()
            failed = duckdb.duckdb_query(connection, statement.encode(), ctypes.byref(result))
            message = duckdb.duckdb_result_error(ctypes.byref(result)) if failed else None
            duckdb.duckdb_destroy_result(ctypes.byref(result))
            assert not failed, f"{statement}\n{message}"
    finally:
        duckdb.duckdb_disconnect(ctypes.byref(connection))
        duckdb.duckdb_close(ctypes.byref(database))


def change(path, statement):
    """Loads a file as the table `t`, runs the statement on it, and writes it back under its name."""
    new = path.with_name(f".{path.name}.new")
    run(
        f"CREATE TABLE t AS SELECT * FROM read_parquet('{path}', hive_partitioning = false)",
        statement,
        f"COPY t TO '{new}' (FORMAT parquet)",
    )
    new.rename(path)
