"""The batch commands on a cluster, through the binary alone: a deployment on one machine and two edges of a cluster get the same history, and
every table is the same, row for row. HDFS and HBase are directories; Spark is a real one (see test_spark.py).
"""

import gzip
import json
import os
import pathlib
import random
import signal
import time
from decimal import Decimal

import pytest

import test_spark
from test_spark import SPARK, check_same

import history
import parquet
from conftest import Shop, environment, pc  # noqa: F401
from history import CLUB, History, as_ndjson, history_shop, judge

TIMEOUT_S = 1800  # what takes longer has hung; the machine may be slow
TABLES = ("ledger", "balances", "account_state", "loyalty")

pytestmark = pytest.mark.skipif(not SPARK, reason="PUNCHCARD_SPARK names no Spark")


def spark_environment(conf_dir="/nonexistent"):
    return environment(SPARK_HOME=str(pathlib.Path(SPARK).resolve()), SPARK_LOCAL_IP="127.0.0.1", SPARK_CONF_DIR=str(conf_dir))


class Edge(Shop):
    """An edge node of a cluster in the directory `lake`."""

    def __init__(self, pc, directory, name, lake, programme=CLUB, sources=None, **config):  # noqa: F811
        assert pc("init", directory).code == 0
        super().__init__(pc, directory)
        self.lake = lake
        self.programme = json.loads(json.dumps(programme))
        self.cluster = {
            "edge": name,
            "hdfs": {"url": f"file://{lake}", "path": "/p"},
            "hbase": {"url": f"file://{lake}/cells"},
            "spark": {
                "command": [f"{SPARK}/bin/spark-sql"],
                "master": "local[2]",
                "conf": [
                    "spark.driver.memory=2g",
                    "spark.sql.shuffle.partitions=4",
                    *test_spark.QUICK,
                    f"spark.driver.extraJavaOptions=-Dderby.system.durability=test -Dderby.system.home={lake} {os.environ.get('PUNCHCARD_SPARK_JAVA_OPTIONS', '')}",
                ],
            },
        }
        sources = sources or [{"name": name, "dir": "spool", "format": "ndjson", "settle_ms": 0}]
        self.write_config(sources=sources, cluster=self.cluster, **config)

    @property
    def warehouse(self):
        return self.lake / "p/warehouse"

    def batch(self, *args, code=0, conf_dir="/nonexistent"):
        return self.ok(*args, code=code, timeout=TIMEOUT_S, env=spark_environment(conf_dir))

    def report(self, *args):
        return self.batch(*args, "--json").json()

    def begin(self, *args):
        return self.start(*args, env=spark_environment())

    def nothing_is_left(self):
        """Nobody has the lease, nothing is staged."""
        assert not (self.lake / "p/batch/lease").exists()
        assert len(list((self.lake / "p/batch").iterdir())) <= 1
        assert [path.name for path in (self.dir / "data/tmp/batch").iterdir() if "spark" in path.name or "ship" in path.name] == []


def put_and_collect(shop, name, events):
    shop.put(name, as_ndjson(events))
    assert shop.collect()["quarantined"] == 0


def check_tables(alone, edge, day, tmp_path):
    for table in TABLES:
        partition = "data_dt=*/" if table == "ledger" else f"data_dt={day}/"
        assert check_same(alone.warehouse, edge.warehouse, table, tmp_path, partition) > 0


def same_report(alone, edge, *without):
    for report in (alone, edge):
        for key in ("unchanged", *without):
            report.pop(key, None)
    assert alone == edge


def expected_customers(edge, day, tmp_path):
    out = tmp_path / "n.json"
    parquet.run(f"COPY (SELECT count(*) AS n FROM '{edge.warehouse}/account_state/data_dt={day}/*.parquet') TO '{out}' (FORMAT json)")
    return json.loads(out.read_text())["n"]


def wait_for_statement(process, what):
    """Until what() is true of what the process has written; it must not end before."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        if what():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come so far")


@pytest.fixture
def lake(tmp_path):
    (tmp_path / "lake").mkdir()
    return tmp_path / "lake"


def test_history(pc, tmp_path, lake):  # noqa: F811
    """Rebuild; then refresh with events that came late, from one edge or the other, once killed in the middle and repeated."""
    story = History(31, "2024-03-01", 16, 120, 1500)
    days = story.days()
    old, day = days[-1] - 6, days[-1] - 1
    until = judge.start_of_day(judge.Programme(CLUB).zone, old + 1)
    chance = random.Random(1)
    first, later = [], []
    for customer, event in story.events:
        (later if event.time >= until or chance.random() < 0.01 else first).append((customer, event))
    old, day = history.date_text(old), history.date_text(day)

    alone = history_shop(pc, tmp_path / "alone")
    edges = [Edge(pc, tmp_path / name, name, lake) for name in ("e1", "e-2")]
    assert "nothing to audit" in edges[0].batch("audit").out
    for i, edge in enumerate(edges):
        put_and_collect(edge, "a.json", first[i::2])
    put_and_collect(alone, "a.json", first)
    same_report(alone.json("rebuild", "--data-dt", old), edges[0].report("rebuild", "--data-dt", old))
    check_tables(alone, edges[0], old, tmp_path)
    edges[0].nothing_is_left()

    for i, edge in enumerate(edges):
        put_and_collect(edge, "b.json", later[i::2])
    put_and_collect(alone, "b.json", later)
    # Of the other edge, and killed when the ledger is being written.
    ledger = {path: path.stat().st_mtime_ns for path in edges[1].warehouse.glob("ledger/*/*.parquet")}
    process = edges[1].begin("refresh", "--data-dt", day)
    wait_for_statement(process, lambda: any(path not in ledger for path in edges[1].warehouse.glob("ledger/*/*.parquet")))
    # Somebody else at the same time: he is told who.
    refused = edges[0].batch("refresh", "--data-dt", day, code=4).err
    assert "edge e-2 makes tables of this cluster" in refused and str(process.pid) in refused and "batch/lease" in refused
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (lake / "p/batch/lease").exists()
    # Of its deployment the next one takes its place; others are refused until somebody removes the file.
    assert "edge e-2" in edges[0].batch("refresh", "--data-dt", day, code=4).err
    made = edges[1].report("refresh", "--data-dt", day)
    expected = alone.json("refresh", "--data-dt", day)
    assert made["from"] == old and made["marked"] > 3
    same_report(expected, made, "rewritten")
    check_tables(alone, edges[1], day, tmp_path)
    edges[1].nothing_is_left()
    # And it is proved from the events.
    audit = edges[0].report("audit")
    assert audit["differences"] == 0 and audit["findings"] == [], audit
    expected = alone.json("audit")
    assert audit["data_dt"] == day and audit["accounts"] == expected_customers(edges[0], day, tmp_path)
    for key in ("customers", "events", "sums"):
        assert audit[key] == expected[key]
    check_audit_finds(edges[0], day, tmp_path)


def change(file, select, work):
    """Another one in its place: `select` says what of {file}."""
    changed = work / "changed.parquet"
    parquet.run(f"COPY ({select.format(file=file)}) TO '{changed}' (FORMAT parquet)")
    file.write_bytes(changed.read_bytes())
    (file.parent / f".{file.name}.crc").unlink(missing_ok=True)


def check_audit_finds(edge, day, tmp_path):
    """What somebody changed in a table, removed from one, or took out of HBase."""
    ledger = sorted(edge.warehouse.glob("ledger/*/*.parquet"))[0]
    first = "CASE WHEN row_number() OVER () = 1 THEN points + 1 ELSE points END"
    change(ledger, f"SELECT * REPLACE ({first} AS points) FROM '{{file}}'", tmp_path)
    change(sorted(edge.warehouse.glob(f"balances/data_dt={day}/*.parquet"))[0], "SELECT * FROM '{file}' OFFSET 1", tmp_path)
    for name in ("data.mdb", "lock.mdb"):
        (edge.lake / "cells" / name).unlink()
    put_and_collect(edge, "c.json", [])
    report = edge.batch("audit", "--json", code=1).json()
    kinds = {(finding["table"], finding["kind"]) for finding in report["findings"]}
    assert {("ledger", "changed"), ("balances", "missing"), ("ledger", "sums"), ("customer view", "missing")} <= kinds, report
    assert not list((edge.warehouse / "_side").iterdir())


CUSTOMERS = [
    "17|1|  Zoë Ångström |zoe@x.example|2024-01-02|\"C-17\"|1990-05-06|F|1990",
    "3|2|Bo|bo@x.example|2023-12-31|C-3||M|1985",
    "x|2|nobody||2023-12-31||||",
    "17|1|Zoë Berg|zoe@y.example|2024-01-03|C-17|1990-05-06|F|",
    "4|1|Di||2024-13-01||||",
    "5|1|Ed||2024-02-01|||N|",
]


def customers_csv(lines):
    return "".join(line.replace("|", ",") + "\n" for line in lines)


def without(report, *keys):
    report = {key: value for key, value in report.items() if key not in keys}
    report["files"] = [{key: value for key, value in file.items() if key not in ("landed", "file")} for file in report["files"]]
    return report


def test_load(pc, tmp_path, lake):  # noqa: F811
    """Customer files: lines, counts and table as on one machine; a model that fails leaves all as it was; then tables with names."""
    alone = history_shop(pc, tmp_path / "alone")
    edge = Edge(pc, tmp_path / "edge", "e1", lake)
    files = [tmp_path / "one.csv", tmp_path / "two.csv.gz"]
    files[0].write_text(customers_csv(CUSTOMERS[:4]))
    files[1].write_bytes(gzip.compress(customers_csv(CUSTOMERS[4:]).encode()))
    expected = alone.json("load", "customers", *files)
    made = json.loads(edge.batch("load", "customers", "--json", "--strict", *files, code=3).out)
    assert without(made) == without(expected) and made["quarantined"] == 2 and made["customers"] == 3
    assert made["files"][0]["landed"].startswith("warehouse/customers/format=classic/000001-")
    assert (lake / "p" / made["files"][0]["landed"]).read_bytes() == files[0].read_bytes()
    check_same(alone.warehouse, edge.warehouse, "customers_cln", tmp_path, "")
    check_quarantine(alone, edge, tmp_path)
    edge.nothing_is_left()

    # Again: nothing is made, and Spark is not asked.
    command = edge.cluster["spark"]["command"]
    edge.cluster["spark"]["command"] = ["no-such-spark-sql"]
    edge.write_config(cluster=edge.cluster)
    again = edge.report("load", "customers", files[1])
    assert again["files"][0]["already_loaded"] and again["customers"] == 3
    assert without(again) == without(alone.json("load", "customers", files[1]))
    # Spark is not there when it is needed, or the model is wrong: nothing has landed.
    third = tmp_path / "three.csv"
    third.write_text(customers_csv(["3,2,Bo Berg,bo@x.example,2024-02-03,C-3,,M,1985".replace(",", "|")]))
    assert "cannot start no-such-spark-sql" in edge.batch("load", "customers", third, code=1).err
    edge.cluster["spark"]["command"] = command
    edge.write_config(cluster=edge.cluster)
    model = edge.dir / "models/customers_cln.sql"
    good = model.read_text()
    model.write_text(good.replace("WHERE age = 1", "WHERE age > 0"))
    assert "customers_cln has customer" in edge.batch("load", "customers", third, code=1).err
    assert len(list((lake / "p/warehouse/customers").rglob("*.csv*"))) == 2
    check_same(alone.warehouse, edge.warehouse, "customers_cln", tmp_path, "")
    model.write_text(good)
    alone.json("load", "customers", third)
    assert edge.report("load", "customers", third)["customers"] == 3
    check_same(alone.warehouse, edge.warehouse, "customers_cln", tmp_path, "")
    assert len(list((lake / "p/warehouse/_customers/rows").glob("*.parquet"))) == 3

    story = History(7, "2024-03-01", 5, 12, 100)
    put_and_collect(edge, "a.json", story.events)
    put_and_collect(alone, "a.json", story.events)
    day = history.date_text(story.days()[-1])
    alone.json("rebuild", "--data-dt", day)
    edge.batch("rebuild", "--data-dt", day)
    check_tables(alone, edge, day, tmp_path)
    # A model that fails is told by its place, and leaves the tables alone.
    model = edge.dir / "models/loyalty.sql"
    model.write_text(model.read_text().replace("a.orders ", "a.orderz "))
    line = next(i for i, text in enumerate(model.read_text().splitlines(), 1) if "a.orderz" in text)
    err = edge.batch("rebuild", "--data-dt", day, code=1).err
    assert f"models/loyalty.sql:{line}: " in err and "orderz" in err
    check_tables(alone, edge, day, tmp_path)
    edge.nothing_is_left()


def check_quarantine(alone, edge, tmp_path):
    rows = []
    for root in (alone.dir / "data", edge.lake / "p"):
        out = tmp_path / "bad.json"
        parquet.run(f"COPY (SELECT line, reason, text FROM '{root}/quarantine/customers-*.parquet' ORDER BY ALL) TO '{out}' (FORMAT json)")
        rows.append(out.read_text())
    assert rows[0] == rows[1] and rows[0]


def same_rows(files, tmp_path):
    """Both Parquet files have the same columns, of the same types, and the same rows."""
    assert test_spark.columns(files[0], tmp_path) == test_spark.columns(files[1], tmp_path)
    texts = []
    for file in files:
        parquet.run(f"COPY (SELECT * FROM '{file}') TO '{tmp_path}/rows.json' (FORMAT json)")
        texts.append((tmp_path / "rows.json").read_text().splitlines())
    assert sorted(texts[0]) == sorted(texts[1])
    return len(texts[0])


def test_simulate(pc, tmp_path, lake):  # noqa: F811
    """Another programme on the history, to the last thousandth: ledgers that only one has, tiers, who loses most."""
    story = History(11, "2024-03-01", 20, 40, 700)
    alone = history_shop(pc, tmp_path / "alone", customer_id="text")
    edge = Edge(pc, tmp_path / "edge", "e1", lake, customer_id="text")
    events = [(f"K\\und {customer} ä", event) for customer, event in story.events]
    put_and_collect(alone, "a.json", events)
    put_and_collect(edge, "a.json", events)
    other = json.loads(json.dumps(CLUB))
    other["ledgers"] = [{"name": "points", "expiry": {"days": "5"}}, {"name": "miles", "value": "0.05"}]
    other["earn"] = [
        {"name": "base", "ledger": "points", "per_amount": {"points": "1", "per": "4"}},
        {"name": "miles", "ledger": "miles", "per_visit": {"points": "3"}},
    ]
    other["tiers"]["levels"][1]["threshold"] = "40"
    other["rewards"] = other["rewards"][:1]
    path = tmp_path / "other.yaml"
    path.write_text(json.dumps(other))
    names = tmp_path / "names.csv"
    names.write_text("".join(f"K\\und {i} ä,1,Name {i},n{i}@x.example,2024-01-02,C-{i},,F,1990\n" for i in range(60) if i % 3))
    assert alone.json("load", "customers", names)["customers"] == json.loads(edge.batch("load", "customers", "--json", names).out)["customers"] > 0
    day = history.date_text(story.days()[-2])
    options = ["simulate", "--programme", path, "--data-dt", day]
    files = [tmp_path / "alone.parquet", tmp_path / "edge.parquet"]
    expected = alone.json(*options, "--parquet", files[0])
    before = sorted(lake.rglob("*"))
    made = json.loads(edge.batch(*options, "--parquet", files[1], "--json").out, parse_float=Decimal)
    assert made == expected
    assert {loser["name"] is None for loser in made["losers"]} == {True, False}
    assert same_rows(files, tmp_path) > 20
    new = [path for path in sorted(lake.rglob("*")) if path not in before and "_metastore" not in path.parts]
    assert [path.name for path in new if path.name not in ("derby.log", "_metastore", "_side")] == []
    assert "cannot be written to" in edge.batch(*options, "--parquet", tmp_path / "none/x.parquet", code=1).err


def test_days(pc, tmp_path, lake):  # noqa: F811
    """The reserve, and audits, of the newest day and of others, as on one machine."""
    story = History(9, "2024-03-01", 8, 20, 250)
    alone = history_shop(pc, tmp_path / "alone")
    edge = Edge(pc, tmp_path / "edge", "e1", lake)
    days = [history.date_text(story.days()[i]) for i in (-4, -3, -1)]
    events = story.events
    half = len(events) // 2
    for shop in (alone, edge):
        put_and_collect(shop, "a.json", events[:half])
    reserve = ["audit", "--reserve", "--json"]
    for shop in (alone, edge):
        shop.batch = getattr(shop, "batch", shop.ok)
        told = shop.batch("rebuild", "--data-dt", days[0]).err
        # What is worth a log, where it takes long.
        assert ("step done  step=" in told and "accounts put into HBase  customers=" in told) == (shop is edge), told
        put_and_collect(shop, "b.json", events[half:])
        shop.batch("refresh", "--data-dt", days[2])
    # Of the newest day, of another one whose states are kept, and of one that was not made, which is folded.
    for day in (None, days[0], days[1]):
        options = [*reserve, *(["--data-dt", day] if day else [])]
        assert json.loads(edge.batch(*options).out) == json.loads(alone.batch(*options).out), day
    # Of a day that was made of fewer events than the ledger is (test_history has the newest day).
    expected, made = (json.loads(shop.batch("audit", "--json", "--data-dt", days[0]).out) for shop in (alone, edge))
    assert made["differences"] == expected["differences"] == 0 and made["ledger_alone"], made
    for key in ("data_dt", "customers", "events", "entries", "sums", "stale", "day_unknown", "ledger_alone"):
        assert made[key] == expected[key], (key, made, expected)
    assert "was not refreshed" in edge.batch("audit", "--data-dt", days[1], code=1).err


def test_doctor(pc, tmp_path, lake):  # noqa: F811
    """--deep: Spark starts, its metastore answers, and an order goes through the kernel; then without the metastore."""
    edge = Edge(pc, tmp_path / "edge", "e1", lake, customer_id="text")
    checks = {check["check"]: check for check in edge.report("doctor", "--deep")["checks"]}
    assert {checks[name]["result"] for name in ("Spark, tried", "metastore", "kernel on Spark")} == {"ok"}, checks
    edge.cluster["spark"]["conf"].append("spark.hadoop.hive.metastore.uris=thrift://127.0.0.1:1")
    edge.write_config(cluster=edge.cluster, customer_id="text")
    checks = {check["check"]: check for check in json.loads(edge.batch("doctor", "--deep", "--json", code=1).out)["checks"]}
    # Spark asks for it before it runs anything.
    tried = checks["Spark, tried"]
    assert tried["result"] == "fail" and "refused" in tried["found"] and "metastore.uris" in tried["to_do"], checks
