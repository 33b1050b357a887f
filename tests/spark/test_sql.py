"""sql on a cluster: what a real Spark answers is printed as the embedded engine prints it."""

import json

import pytest

from test_commands import Edge
from test_spark import SPARK

from conftest import pc  # noqa: F401

pytestmark = pytest.mark.skipif(not SPARK, reason="PUNCHCARD_SPARK names no Spark")

# All types that the tables have, and texts that JSON and CSV must escape.
COLUMNS = """1 AS n, CAST(12.500 AS DECIMAL(18,3)) AS d, DATE '2024-02-29' AS day, TIMESTAMP '2024-02-29 12:34:56.789' AS t,
    'a"b\\\\n,''é' AS s, true AS b, CAST(NULL AS DOUBLE) AS nothing, 7 AS `n`, array(1, 2) AS list"""  # fmt: skip


def test_sql(pc, tmp_path):  # noqa: F811
    edge = Edge(pc, tmp_path / "e1", "e1", tmp_path / "lake")
    events = [
        f'{{"event_id":"o{i}","kind":"order","customer":{1 + i % 3},"time":{1_700_000_000 + i * 60},'
        f'"lines":[{{"menu":"latte","qty":1,"amount":{10 + i}.50}}]}}\n'
        for i in range(6)
    ]
    edge.put("a.json", "".join(events))
    edge.collect()
    query = "SELECT cust_id, count(*) AS n, sum(odr_amt) AS amt, min(odr_tms) AS t FROM transactions_cln GROUP BY cust_id ORDER BY cust_id"
    assert edge.batch("sql", "--csv", query).out.splitlines() == [
        "cust_id,n,amt,t",
        "1,2,24.00,2023-11-14 22:13:20",
        "2,2,26.00,2023-11-14 22:14:20",
        "3,2,28.00,2023-11-14 22:15:20",
    ]
    (row,) = json.loads(edge.batch("sql", "--json", f"SELECT {COLUMNS}; -- a comment; with ' marks").out)
    assert row == {
        "n": 1, "d": 12.5, "day": "2024-02-29", "t": "2024-02-29 12:34:56.789", "s": "a\"b\\n,'é", "b": True, "nothing": None, "n_1": 7,
        "list": "[1,2]",
    }  # fmt: skip
    # No rows, and an error with its place.
    assert "(0 rows)" in edge.batch("sql", "SELECT * FROM loyalty").out
    err = edge.batch("sql", "SELECT 1,\n  nothing_such FROM loyalty", code=1).err
    assert "query:2:" in err and "nothing_such" in err and "^" in err
    # The operator's spark-defaults.conf holds: here a name that is written otherwise is another one.
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/spark-defaults.conf").write_text("spark.sql.caseSensitive true\n")
    assert "CUST_ID" in edge.batch("sql", "SELECT CUST_ID FROM transactions_cln", code=1, conf_dir=tmp_path / "conf").err
