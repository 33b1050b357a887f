"""sql on a cluster: what is refused before Spark is started, and how what it gives is printed; a program takes its place here."""

import json
import os
import signal

import pytest
from daemon import wait_for
from lake import make_edge

SPARK = """#!/usr/bin/python3
import pathlib, re, sys
here = pathlib.Path(__file__).parent
script = pathlib.Path(sys.argv[sys.argv.index("-f") + 1]).read_text()
(here / "script.sql").write_text(script)
marks = re.findall(r"punchcard-statement \\d+", script)
for mark in marks[:-2]:
    print(mark)
print((here / "head.json").read_text().rstrip(), flush=True)
print(marks[-2])
sys.stdout.write((here / "rows.json").read_text())
print(marks[-1])
"""


@pytest.fixture
def edge(pc, tmp_path):
    """The rows that its Spark gives are those of tell(edge, …)."""
    edge = make_edge(pc, tmp_path / "edge", tmp_path / "lake")
    spark = edge.dir / "spark-sql"
    spark.write_text(SPARK)
    spark.chmod(0o755)
    edge.write_config(cluster={**edge.cluster, "spark": {"command": [str(spark)]}})
    return edge


def tell(edge, columns, rows):
    """Columns are (name, type)."""
    names = "{" + ",".join(json.dumps(name) + ":null" for name, _ in (*columns, ("punchcard_one", "int"))) + "}"
    types = "struct<" + ",".join(f"{name}:{kind}" for name, kind in (*columns, ("punchcard_one", "int"))) + ">"
    (edge.dir / "head.json").write_text(json.dumps({"names": names, "types": types}, separators=(",", ":")))
    (edge.dir / "rows.json").write_text("".join(row + "\n" for row in rows))


def test_formats(edge):
    columns = [("id", "bigint"), ("count(1), a:b", "decimal(38,0)"), ("t", "timestamp"), ("s", "string"), ("list", "array<struct<a:int,b:int>>"), ("id", "int")]
    row = '{"id":1,"count(1), a:b":12345678901234567890123456789,"t":"2024-02-29 12:34:56.000000","s":"a\\"b\\\\\\n\\u00e9","list":[{"a":1,"b":2}],"id":7}'
    tell(edge, columns, [row, '{"id":2,"count(1), a:b":null,"t":null,"s":"","list":null,"id":null}'])
    assert edge.ok("sql", "--csv", "SELECT 1").out == (
        'id,"count(1), a:b",t,s,list,id_1\n1,12345678901234567890123456789,2024-02-29 12:34:56,"a""b\\\né","[{""a"":1,""b"":2}]",7\n2,,,"",,\n'
    )
    assert edge.json("sql", "SELECT 1")[1] == {"id": 2, "count(1), a:b": None, "t": None, "s": "", "list": None, "id_1": None}
    assert "(2 rows)" in edge.ok("sql", "SELECT 1").out
    tell(edge, columns[:1], [])
    assert edge.ok("sql", "--csv", "SELECT 1").out == "id\n"
    assert "(0 rows)" in edge.ok("sql", "SELECT 1").out
    # More rows than a batch of the engine.
    tell(edge, columns[:1], [f'{{"id":{i}}}' for i in range(5000)])
    assert edge.ok("sql", "--csv", "SELECT 1").out.split() == ["id", *map(str, range(5000))]


def test_what_spark_is_told(edge):
    tell(edge, [("n", "int")], [])
    edge.ok("sql", "SELECT ';' AS a, \"--\" AS b -- it's; not\n /* a /* nested */ ' one */ FROM loyalty;\n ; -- end")
    script = (edge.dir / "script.sql").read_text()
    assert script.count("SELECT ';' AS a, \"--\" AS b") == 2
    for gone in ("it's", "nested", "-- end"):
        assert gone not in script
    assert "CREATE OR REPLACE TEMPORARY VIEW transactions_cln AS SELECT event_id, line_no, kind, cust_id," in script


@pytest.mark.parametrize(
    "query",
    [
        "", ";", " -- nothing", "DROP TABLE loyalty", "INSERT INTO loyalty SELECT 1", "SET a=b", "SHOW TABLES",
        "FROM loyalty INSERT OVERWRITE TABLE x SELECT *", "1", "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE loyalty",
        "SELECT reflect('java.lang.System', 'exit', 1)", "SELECT java_method ('a', 'b')",
        "SELECT `reflect`('java.lang.System', 'exit', 1)", "SELECT IDENTIFIER('reflect')('java.lang.System', 'exit', 1)",
        "SELECT TRANSFORM(a) USING r'sh' AS (b) FROM x", "SELECT TRANSFORM(a) USING -- x\n R\"sh\" AS (b) FROM x",
        "SELECT TRANSFORM(a) USING 'sh' AS (b) FROM x", "SELECT TRANSFORM(a) USING /* */ \"sh\" AS (b) FROM x",
        "SELECT 'a\n--b'", "SELECT r'\\'", "SELECT `a;b` FROM x", "ADD JAR x", "!ls", "SELECT 1\0",
    ],
)  # fmt: skip
def test_refused(edge, query):
    result = edge.start("sql", "-", stdin=-1)
    _, err = result.communicate(query.encode(), timeout=60)
    assert result.returncode in (1, 2) and b"punchcard: " in err, err
    assert not (edge.dir / "script.sql").exists()


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("SELECT 1) AS x; DROP TABLE loyalty; SELECT (1", "query:1: there is no ( for this"),
        ("SELECT\n 'a", "query:2: this text is not closed"),
        ("SELECT 1 /* a", "query:1: this comment is not closed"),
        ("SELECT\n\n (1", "query:3: a ( is not closed"),
        ("SELECT `a", "query:1: this name is not closed"),
    ],
)
def test_places(edge, query, place):
    err = edge.ok("sql", query, code=1).err
    assert place in err and "^" in err
    assert not (edge.dir / "script.sql").exists()


def test_interrupted(edge):
    """Ctrl-C ends Spark."""
    (edge.dir / "spark-sql").write_text(f"#!/bin/sh\necho $$ > {edge.dir}/spark.pid\nexec sleep 1000\n")
    process = edge.start("sql", "SELECT 1")
    pid = edge.dir / "spark.pid"
    wait_for("Spark", lambda: pid.exists() and pid.read_text().strip() != "")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    (edge.dir / "spark-sql").write_text("#!/bin/sh\nexec sleep 1000\n")
    assert "was stopped after 1 seconds" in edge.ok("sql", "--timeout", 1, "SELECT 1", code=1).err
