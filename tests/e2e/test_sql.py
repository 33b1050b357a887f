"""sql: all tables by name, read-only and locked down."""

import csv
import io
import json
import signal
import subprocess
import time

import pytest

from conftest import lines, make_shop

TABLES = {
    "customers_cln": "cust_id",
    "transactions_cln": "event_id",
    "accounts": "cust_id",
    "loyalty": "cust_id",
    "quarantine": "reason",
}


@pytest.fixture(scope="module")
def filled(pc, tmp_path_factory):
    shop = make_shop(pc, tmp_path_factory.mktemp("sql") / "shop")
    shop.customers('1,3,Anna,a@x.org,2019-01-04,"111",1990-05-29,F,1990\n')
    shop.put("a.txt", lines(100) + "bad\n")
    shop.collect()
    shop.ok("refresh", "--data-dt", "2023-11-15")
    return shop


@pytest.mark.parametrize("table", TABLES)
def test_tables_of_an_empty_deployment(shop, table):
    assert shop.value(f"SELECT count({TABLES[table]}) FROM {table}") == 0


def test_tables(filled):
    counts = {table: filled.value(f"SELECT count(*) FROM {table}") for table in TABLES}
    assert counts == {"customers_cln": 1, "transactions_cln": 100, "accounts": 5, "loyalty": 5, "quarantine": 1}


def test_joins_and_days(filled):
    query = """SELECT c.cust_nm, count(*), sum(t.odr_amt)::VARCHAR FROM transactions_cln t
        JOIN customers_cln c USING (cust_id) WHERE t.data_dt >= DATE '2023-11-14' GROUP BY 1"""
    assert filled.sql(query) == [("Anna", 20, "1400.00")]
    assert filled.sql("SELECT DISTINCT data_dt::VARCHAR FROM loyalty") == [("2023-11-15",)]


VALUES = """SELECT 1 AS i, 'a,b "c"' AS t, NULL AS n, DATE '2024-02-29' AS d, 1.50::DECIMAL(18,2) AS m,
    TIMESTAMP '2024-02-29 12:34:56' AS ts, true AS b, 'Ærø' AS u, '' AS e"""


def test_csv(filled):
    out = filled.ok("sql", "--csv", VALUES).out
    (row,) = list(csv.DictReader(io.StringIO(out)))
    assert row == {
        "i": "1", "t": 'a,b "c"', "n": "", "d": "2024-02-29", "m": "1.50", "ts": "2024-02-29 12:34:56", "b": "true",
        "u": "Ærø", "e": "",
    }  # fmt: skip


def test_json(filled):
    (row,) = json.loads(filled.ok("sql", "--json", VALUES).out)
    assert row["i"] == 1 and row["t"] == 'a,b "c"' and row["n"] is None and row["d"] == "2024-02-29"
    assert float(row["m"]) == 1.5 and row["ts"].startswith("2024-02-29") and row["b"] is True and row["u"] == "Ærø"
    assert json.loads(filled.ok("sql", "--json", "SELECT 1 AS a WHERE false").out) == []


def test_table(filled):
    out = filled.ok("sql", "SELECT cust_id, spend, NULL AS nothing FROM accounts ORDER BY 1").out
    assert "cust_id" in out and "spend" in out and "1400.00" in out
    widths = {len(line) for line in out.splitlines() if "1400.00" in line}
    assert len(widths) == 1, "columns are not aligned"


@pytest.mark.parametrize("kind", ["--csv", "--json", None])
def test_many_rows(filled, kind):
    """More rows than a chunk, and than a screen: all in a file, each once."""
    out = filled.ok("sql", *([kind] if kind else []), "SELECT range AS r FROM range(5000) ORDER BY 1").out
    if kind == "--json":
        assert [row["r"] for row in json.loads(out)] == list(range(5000))
    elif kind == "--csv":
        assert out.splitlines() == ["r", *map(str, range(5000))]
    else:
        assert "4999" in out


TYPES = """SELECT 1::TINYINT AS a, 2::UBIGINT AS b, 170141183460469231731687303715884105727::HUGEINT AS c, 0.1::FLOAT AS d,
    'x'::BLOB AS e, INTERVAL 1 DAY AS f, [1, 2] AS g, {'k': 'v'} AS h, TIME '12:00:00' AS i, uuid() IS NULL AS j,
    'a'::ENUM ('a', 'b') AS k, TIMESTAMPTZ '2024-01-01 00:00:00+00' AS l, MAP {'x': 1} AS m, 'nan'::DOUBLE AS n,
    -0.005::DECIMAL(4,3) AS o, 'inf'::DOUBLE AS p, TIMESTAMP 'infinity' AS q, DATE '0044-03-15 (BC)' AS r"""


@pytest.mark.parametrize("kind", ["--csv", "--json", None])
def test_every_type_can_be_shown(filled, kind):
    out = filled.ok("sql", *([kind] if kind else []), TYPES).out
    assert "170141183460469231731687303715884105727" in out and "-0.005" in out
    if kind == "--json":
        json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize(
    "query",
    [
        "COPY (SELECT 42) TO '/tmp/punchcard-escape.csv'",
        "COPY (SELECT 42) TO '{data}/escape.parquet'",
        "ATTACH '/tmp/punchcard-escape.db'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('/proc/self/environ')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_text('{shop}/punchcard.yaml')",
        "SELECT * FROM read_csv('{warehouse}/../../../../etc/passwd')",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
        "RESET memory_limit",
        "PRAGMA threads = 64",
        "INSTALL httpfs",
        "LOAD httpfs",
        "LOAD '/tmp/evil.so'",
        "SELECT * FROM read_parquet('https://example.org/x.parquet')",
        "CREATE TABLE t AS SELECT 1",
        "DROP VIEW transactions_cln",
        "DELETE FROM transactions_cln",
        "INSERT INTO transactions_cln SELECT * FROM transactions_cln",
        "UPDATE customers_cln SET cust_nm = 'x'",
        "EXPORT DATABASE '/tmp/punchcard-escape'",
        "CREATE SECRET s (TYPE s3)",
        "CALL pragma_version()  ; COPY (SELECT 1) TO '/tmp/punchcard-escape.csv'",
        "SELECT 1; DROP VIEW accounts",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/punchcard-escape.csv'",
        "SELECT getenv('HOME')",
    ],
)
def test_locked_down(filled, query):
    before = {path: path.stat().st_mtime_ns for path in filled.warehouse.rglob("*")}
    result = filled.run("sql", query.format(data=filled.dir / "data", shop=filled.dir, warehouse=filled.warehouse))
    assert result.code in (1, 2), result
    assert "root:" not in result.out + result.err and (";" in query or result.out == "")
    assert {path: path.stat().st_mtime_ns for path in filled.warehouse.rglob("*")} == before
    assert not subprocess.run("ls /tmp/punchcard-escape*", shell=True, capture_output=True, check=False).stdout


@pytest.mark.parametrize(
    "query, complaint",
    [
        ("SELEKT 1", "SELEKT"),
        ("SELECT * FROM nowhere", "nowhere"),
        ("SELECT nothing FROM accounts", "nothing"),
        ("SELECT 1/", ""),
        ("", ""),
        ("   -- only a comment", ""),
        ("SELECT 'x'::INT", "x"),
    ],
)
def test_wrong_queries(filled, query, complaint):
    result = filled.run("sql", query)
    assert result.code in (1, 2) and complaint in result.err and result.out == "", result
    assert result.err.startswith("punchcard")


def test_invalid_utf_8(filled):
    process = subprocess.run(
        [filled.pc.binary.encode(), b"-C", str(filled.dir).encode(), b"sql", b"SELECT '\xff'"],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert process.returncode in (1, 2), process


def test_trailing_semicolon(filled):
    assert filled.value("SELECT 42 AS a;") == 42


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(filled, pc, how):
    """Ctrl-C stops a query that would run for hours, at once."""
    process = filled.start("sql", "SELECT sum(a.range * b.range % 7) FROM range(10000000) a, range(10000000) b")
    time.sleep(1.0)
    assert process.poll() is None
    start = time.monotonic()
    process.send_signal(how)
    result = pc.end(process)
    assert time.monotonic() - start < 5
    if how == signal.SIGINT:
        result.check_health()
        assert result.code == 130 and result.out == "", result


def test_memory_is_limited(shop):
    shop.write_config(engine={"memory_mib": 128})
    result = shop.run("sql", "SELECT list(range::VARCHAR || repeat('x', 100)) FROM range(30000000)", timeout=120)
    assert result.code == 1, result.code
    assert "memory" in result.err.lower()
