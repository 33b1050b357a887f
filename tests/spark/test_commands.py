"""The batch commands on a cluster, through the binary alone: a deployment on one machine and two edges of a cluster get the same history, and
every table is the same, row for row. HDFS and HBase are directories; Spark is a real one (see test_spark.py).
"""

import json
import os
import pathlib
import random
import signal
import time

import pytest

import test_spark
from test_spark import SPARK, check_same

import history
from conftest import Shop, environment, pc  # noqa: F401
from history import CLUB, History, as_ndjson, history_shop, judge

TIMEOUT_S = 600
TABLES = ("ledger", "balances", "account_state", "loyalty")

pytestmark = pytest.mark.skipif(not SPARK, reason="PUNCHCARD_SPARK names no Spark")


def spark_environment():
    return environment(SPARK_HOME=str(pathlib.Path(SPARK).resolve()), SPARK_LOCAL_IP="127.0.0.1", SPARK_CONF_DIR="/nonexistent")


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
                    f"spark.driver.extraJavaOptions=-Dderby.system.home={lake} {os.environ.get('PUNCHCARD_SPARK_JAVA_OPTIONS', '')}",
                ],
            },
        }
        sources = sources or [{"name": name, "dir": "spool", "format": "ndjson", "settle_ms": 0}]
        self.write_config(sources=sources, cluster=self.cluster, **config)

    @property
    def warehouse(self):
        return self.lake / "p/warehouse"

    def batch(self, *args, code=0):
        return self.ok(*args, code=code, timeout=TIMEOUT_S, env=spark_environment())

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


def wait_for_statement(process, what):
    """Until Spark's statement of that name runs: it is in the script that it was given."""
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
