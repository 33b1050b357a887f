"""sql as a command: exact output, standard input, pipes, signals, disks. How values look is in tests/unit/engine."""

import os
import signal
import subprocess
import time

import pytest

from conftest import environment

ENDLESS = "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE hash(a.range) = hash(b.range + 1) + 1"


def test_formats(shop):
    query = "SELECT 7 AS n, 'Zoë' AS who, 1.50::DECIMAL(18,2) AS spend, NULL AS nothing"
    assert shop.run("sql", query).out == "n | who | spend | nothing\n--+-----+-------+--------\n7 | Zoë |  1.50 |    NULL\n(1 row)\n"
    assert shop.run("sql", "--csv", query).out == "n,who,spend,nothing\n7,Zoë,1.50,\n"
    assert shop.run("sql", "--json", query).out == '[\n{"n":7,"who":"Zoë","spend":1.50,"nothing":null}\n]\n'


@pytest.mark.parametrize("args", [[], ["-"]])
def test_query_from_standard_input(shop, args):
    process = shop.start("sql", *args, stdin=subprocess.PIPE)
    out, err = process.communicate(b"SELECT 1 AS a;\n-- and\nSELECT 2 AS b;\n", timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert out == b"a\n-\n1\n(1 row)\n\nb\n-\n2\n(1 row)\n"


def test_all_tables_are_there_before_anything_was_loaded(shop):
    tables = [row["name"] for row in shop.json("sql", "SHOW TABLES")]
    assert tables == [
        "account_balances",
        "accounts",
        "balances",
        "customers_cln",
        "ledger",
        "loyalty",
        "quarantine",
        "transactions_cln",
    ]
    for table in tables:
        assert shop.run("sql", "--csv", f"SELECT count(*) AS n FROM {table}").out == "n\n0\n"


@pytest.mark.parametrize(
    "args, told",
    [
        (["--csv", "--json", "SELECT 1"], "one of them"),
        (["--timeout", "0", "SELECT 1"], "--timeout"),
        (["--timeout", "1s", "SELECT 1"], "--timeout"),
        (["--timeout"], "needs a value"),
        (["--cvs", "SELECT 1"], "--cvs"),
        (["SELECT", "1"], "quotes"),
        ([""], "no statement"),
        (["COPY loyalty TO 'x.csv'"], "only read"),
        (["EXPLAIN ANALYZE COPY loyalty TO 'x.csv'"], "only read"),
        (["INSTALL httpfs"], "only read"),
        (["SELECT * FROM enable_logging()"], "enable_logging"),
    ],
)
def test_usage_errors(shop, args, told):
    result = shop.run("sql", *args)
    assert (result.code, result.out) == (2, "")
    assert told in result.err
    assert not (shop.dir / "x.csv").exists()


def test_a_plan_is_drawn(shop):
    out = shop.ok("sql", "EXPLAIN SELECT 1 AS n").out
    assert out.count("\n") > 3 and "\\n" not in out and "explain_value" not in out
    assert "explain_value" in shop.ok("sql", "--json", "EXPLAIN SELECT 1 AS n").out


def test_sql_errors(shop):
    assert "".join(shop.ok("sql", "--json", "SELECT 1 AS a; SELECT 2 AS b").out.split()) == '[{"a":1}][{"b":2}]'
    result = shop.run("sql", "SELECT *\nFROM loyality")
    assert (result.code, result.out) == (1, "")
    assert "Tables: account_balances, accounts, balances, customers_cln" in result.err
    assert "LINE 2: FROM loyality" in result.err
    assert shop.run("sql", "SELECT FROM FROM").code == 1
    assert shop.run("sql", f"FROM read_text('{shop.dir}/punchcard.yaml')").code == 1


def test_no_deployment(pc, tmp_path):
    result = pc("-C", tmp_path, "sql", "SELECT 1")
    assert result.code in (1, 2)
    assert "punchcard init" in result.err


def test_timeout(shop):
    result = shop.run("sql", "--timeout", 1, ENDLESS)
    assert (result.code, result.out) == (1, "")
    assert "1 second" in result.err


def test_a_second_signal_ends_what_hangs(shop):
    # Nobody reads: the query waits for the pipe, not in the engine.
    process = shop.start("sql", "--csv", "FROM range(10000000)")
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) in (-signal.SIGINT, 130)
    process.stdout.close()
    process.stderr.close()


def test_a_reader_that_leaves(shop):
    """`punchcard sql … | head` says nothing."""
    read_end, write_end = os.pipe()
    process = shop.start("sql", "--csv", "FROM range(10000000)", stdout=write_end)
    os.close(write_end)
    assert os.read(read_end, 6) == b"range\n"
    os.close(read_end)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, b"")


def test_a_full_disk(shop):
    with open("/dev/full", "wb") as full:
        result = shop.run("sql", "FROM range(100000)", stdout=full)
    assert result.code == 1
    assert "No space left on device" in result.err


def peak_mib(shop, query):
    """The most memory that a query's process had."""
    env = environment(ASAN_OPTIONS="quarantine_size_mb=8")  # freed memory that the sanitizer holds back
    process = shop.start("sql", query, stdout=subprocess.DEVNULL, env=env)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    assert process.returncode == 0
    return usage.ru_maxrss / 1024


def test_memory_stays_bounded(shop):
    """Three million rows, 330 MB, printed as they come."""
    memory_mib = 128
    shop.write_config(engine={"memory_mib": memory_mib})
    # What the program needs anyway, with a sanitizer or without; the engine may use all that it was given (25 MiB is usual);
    # table.h keeps 8 MiB of rows back. A result that is kept would be 200 MB over this.
    most = peak_mib(shop, "SELECT 1") + memory_mib + 2 * 8
    assert peak_mib(shop, "SELECT range AS n, repeat('x', 100) AS t FROM range(3000000)") < most


def test_data_behind_a_symbolic_link(shop, tmp_path):
    shop.customers('1,3,Anna,a@x.org,2019-01-04,"111",1990-05-29,F,1990\n')
    (shop.dir / "data").rename(tmp_path / "elsewhere")
    (shop.dir / "data").symlink_to(tmp_path / "elsewhere")
    assert shop.value("SELECT cust_nm FROM customers_cln") == "Anna"
