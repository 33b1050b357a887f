"""A deployment on a cluster, of which directories take the place: what is collected is shipped, each event once."""

import gzip
import json
import pathlib
import re
import shutil
import signal
import socket
import time

import pytest

import parquet
from conftest import ROOT, Shop
from daemon import Daemon, wait_for
from lake import make_edge

LINES = ["1|latte 70|1700000000", "2|tea 30|1700000100", "0|latte 70|1700000200", "x|latte 70|1700000300"]


@pytest.fixture
def edge(pc, tmp_path):
    """A deployment whose cluster is the directory lake beside it."""
    assert pc("init", tmp_path / "edge").code == 0
    shop = Shop(pc, tmp_path / "edge")
    shop.lake = tmp_path / "lake"
    lake = f"file://{shop.lake}"
    shop.cluster = {
        "edge": "e1",
        "hdfs": {"url": lake, "path": "/p"},
        "hbase": {"url": f"{lake}/cells"},
        "ship": {"max_delay_s": 3600},
    }
    shop.config["sources"][0]["settle_ms"] = 0
    shop.write_config(cluster=shop.cluster)
    return shop


def rows(shop, table="warehouse/transactions_cln", name="orders"):
    """Of all files there: [event_id, cust_id]; of the quarantine: [text]."""
    out = shop.dir.parent / "rows.csv"
    columns = "text" if table == "quarantine" else "event_id, coalesce(cust_id, 0)"
    parquet.run(f"COPY (SELECT {columns} FROM '{shop.lake}/p/{table}/**/{name}-*.parquet') TO '{out}' (HEADER false)")
    return sorted(out.read_text().splitlines())


def raw(shop):
    files = sorted((shop.lake / "p/transactions").glob("source=*/events-*.ndjson*"))
    return [json.loads(line) for path in files for line in text_of(path).splitlines()]


def text_of(path):
    return gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()


def test_collect_ships(edge):
    edge.put("a.txt", "\n".join(LINES) + "\n")
    report = edge.collect()
    assert (report["lines"], report["quarantined"]) == (4, 1)
    assert rows(edge) == ["a.txt:1,1", "a.txt:2,2", "a.txt:3,0"]
    assert rows(edge, "quarantine") == ["x|latte 70|1700000300"]
    assert [event["event_id"] for event in raw(edge)] == ["a.txt:1", "a.txt:2", "a.txt:3"]
    assert (edge.lake / "cells/data.mdb").exists()
    assert not (edge.dir / "data/warehouse/transactions_cln").exists()
    # Again, and more: what was shipped is shipped once.
    edge.put("a.txt", "\n".join(LINES) + "\n")
    edge.put("b.txt", "3|latte 70|1700000000\n")
    edge.collect()
    assert rows(edge) == ["a.txt:1,1", "a.txt:2,2", "a.txt:3,0", "b.txt:1,3"]
    assert len(raw(edge)) == 4


@pytest.mark.parametrize("how", ["json", "gzip"])
def test_raw_events_can_be_collected(edge, shop, how):
    edge.write_config(cluster={**edge.cluster, "hdfs": {**edge.cluster["hdfs"], "raw": how}})
    edge.put("a.txt", "\n".join(LINES) + "\n")
    edge.collect()
    shop.config["sources"] = [{"name": "till", "dir": "spool", "format": "ndjson", "settle_ms": 0}]
    shop.write_config()
    for path in (edge.lake / "p/transactions/source=till").iterdir():
        shop.put(path.name, path.read_bytes())
    shop.collect()
    assert shop.sql("SELECT event_id, coalesce(cust_id, 0) AS c, odr_menu FROM transactions_cln ORDER BY 1") == [
        ("a.txt:1", 1, "latte"),
        ("a.txt:2", 2, "tea"),
        ("a.txt:3", 0, "latte"),
    ]


def test_raw_events_compressed_or_none(edge):
    """gzip: the same lines in less room; none: no such files; and back, with nothing missing in the table."""
    raws = edge.lake / "p/transactions/source=till"
    for name, how in (("a", "gzip"), ("b", "none"), ("c", "json")):
        edge.write_config(cluster={**edge.cluster, "hdfs": {**edge.cluster["hdfs"], "raw": how}})
        edge.put(f"{name}.txt", "\n".join(LINES[:3]) + "\n")
        edge.collect()
    blocks = [f"events-e1-{block:012}-{block:012}.ndjson" for block in (1, 3)]
    assert sorted(path.name for path in raws.iterdir()) == [f"{blocks[0]}.gz", blocks[1]]
    assert [event["event_id"] for event in raw(edge)] == [f"{name}.txt:{line}" for name in "ac" for line in (1, 2, 3)]
    assert len(rows(edge)) == 9


def test_status(edge):
    edge.put("a.txt", "\n".join(LINES) + "\n")
    edge.collect()
    status = edge.json("status")
    assert status["tables"] == {"transactions_cln": 3, "orders": 3, "quarantined_order_lines": 1}
    assert status["cluster"]["edge"] == "e1" and status["cluster"]["path"] == "/p"
    assert status["journal"]["consumers"] == {
        name: {"offset": 2, "lag_lines": 0, "lag_blocks": 0} for name in ("hbase", "hdfs-raw", "hdfs-table")
    }
    text = edge.ok("status").out
    assert "hdfs-table" in text and "from this edge" in text and "customers_cln" not in text


def test_spark_makes_the_table(edge):
    edge.write_config(cluster={**edge.cluster, "stream": "spark"})
    edge.put("a.txt", LINES[0] + "\n")
    edge.collect()
    assert len(raw(edge)) == 1
    assert not (edge.lake / "p/warehouse").exists()


def test_the_daemon_ships_what_it_has_when_it_stops(edge):
    with Daemon(edge):
        edge.put("a.txt", "\n".join(LINES) + "\n")
        wait_for("the file is taken", lambda: "a.txt.COMPLETED" in edge.names())
        lags = {"hbase": 0, "hdfs-raw": 4, "hdfs-table": 4}
        wait_for("status says so", lambda: {c["name"]: c["lag_lines"] for c in edge.json("status")["daemon"]["consumers"]} == lags)
        assert not (edge.lake / "p/warehouse").exists()  # an hour is not over
    assert rows(edge) == ["a.txt:1,1", "a.txt:2,2", "a.txt:3,0"]
    assert len(raw(edge)) == 3


def test_a_killed_daemon_ships_once(edge):
    edge.write_config(cluster={**edge.cluster, "ship": {"max_delay_s": 1}})
    daemon = Daemon(edge)
    for i in range(20):
        edge.put(f"{i:02}.txt", "".join(f"{c}|latte 70|{1700000000 + i * 86400}\n" for c in range(1, 40)))
        if i % 5 == 4:
            wait_for("a file is taken", lambda n=i: f"{n - 2:02}.txt.COMPLETED" in edge.names())
            daemon.process.send_signal(signal.SIGKILL)
            daemon.process.wait()
            daemon.start()
    daemon.stop()
    assert len(rows(edge)) == 20 * 39
    assert len(set(rows(edge))) == 20 * 39
    assert len(raw(edge)) == 20 * 39


def test_while_the_cluster_is_away(edge):
    """Nobody listens there: the journal has everything, the daemon runs and ends in good order, and it is shipped later."""
    away = {**edge.cluster, "hdfs": {"url": "http://127.0.0.1:9", "path": "/p"}, "ship": {"max_delay_s": 1}}
    edge.write_config(cluster=away)
    with Daemon(edge) as daemon:
        edge.put("a.txt", "\n".join(LINES) + "\n")
        daemon.wait_log("a consumer failed, and tries again")
        assert "a.txt.COMPLETED" in edge.names()
    assert daemon.messages("the cluster is away: what is not shipped stays in the journal for the next time")
    result = edge.run("collect", "--once")
    assert result.code == 1 and "HDFS http://127.0.0.1:9" in result.err, result
    edge.write_config(cluster=edge.cluster)
    edge.collect()
    assert rows(edge) == ["a.txt:1,1", "a.txt:2,2", "a.txt:3,0"]


@pytest.mark.parametrize("system", ["hdfs", "hbase"])
def test_a_silent_server_holds_nobody_up(edge, system):
    """It takes connections and never answers: a daemon that is told to stop, or to reload, does so at once."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        edge.write_config(cluster={**edge.cluster, system: {**edge.cluster[system], "url": url}, "ship": {"max_delay_s": 1}})
        with Daemon(edge) as daemon:
            edge.put("a.txt", LINES[0] + "\n")
            wait_for("the file is taken", lambda: "a.txt.COMPLETED" in edge.names())
            listener.accept()  # it is being asked
            begin = time.monotonic()
            daemon.process.send_signal(signal.SIGHUP)
            daemon.wait_log("the new configuration is taken")
            daemon.stop()
            # Twice two seconds, and what a busy machine makes of the rest.
            assert time.monotonic() - begin < 15
    edge.write_config(cluster=edge.cluster)
    edge.collect()
    assert rows(edge) == ["a.txt:1,1"] and len(raw(edge)) == 1


def test_what_would_be_missing_is_refused(edge, shop):
    edge.put("a.txt", LINES[0] + "\n")
    edge.collect()
    del edge.config["cluster"]
    edge.write_config()
    assert "has shipped orders to a cluster" in edge.ok("collect", "--once", code=2).err
    shop.put("a.txt", LINES[0] + "\n")
    shop.collect()
    shop.write_config(cluster=edge.cluster)
    assert "has orders in tables of this machine" in shop.ok("collect", "--once", code=2).err


def test_another_journal_under_the_same_name(edge):
    """It is refused, and does not come to the cards either."""
    edge.put("a.txt", LINES[0] + "\n")
    edge.collect()
    before = edge.ok("customer", "1", "--json").out
    for path in (edge.dir / "data").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    edge.put("b.txt", LINES[0] + "\n")
    assert "another journal ships under this name" in edge.ok("collect", "--once", code=1).err
    assert edge.ok("customer", "1", "--json").out == before


def test_an_emptied_hbase(edge):
    """It is noticed before anything is missing; then it gets what the journal still has, and all goes on."""
    edge.config["journal"] = {**edge.config.get("journal", {}), "retention_hours": 24}
    edge.write_config(cluster=edge.cluster)
    edge.put("a.txt", LINES[0] + "\n")
    edge.collect()
    edge.put("b.txt", LINES[1] + "\n")
    edge.collect()
    cards = ("customer", "1", "2", "--json")
    before = edge.ok(*cards).out
    shutil.move(edge.lake / "cells", edge.lake / "away")
    edge.put("c.txt", LINES[2] + "\n")
    err = edge.ok("collect", "--once", code=1).err
    assert "has no mark of edge e1, which has shipped blocks up to 2 there" in err and "--hbase-again" in err
    edge.ok("collect", "--once", "--hbase-again")
    assert edge.ok(*cards).out == before
    edge.collect()
    # Another journal under this name finds the mark, wherever HDFS is.
    shutil.rmtree(edge.lake / "p")
    shutil.rmtree(edge.dir / "data")
    edge.put("d.txt", LINES[0] + "\n")
    assert "has the mark of another journal that ships as edge e1" in edge.ok("collect", "--once", code=1).err


def test_hbase_again_is_for_clusters(shop):
    assert "no section cluster" in shop.ok("collect", "--once", "--hbase-again", code=2).err


def test_a_source_of_two_edges(edge):
    """Lines without ids get them of file and line: a second edge with a source of that name is refused, unless it is told to be well."""
    edge.put("a.txt", LINES[0] + "\n")
    edge.collect()
    assert (edge.lake / "p/sources/till").read_text() == "e1\n"
    other = make_edge(edge.pc, edge.dir.parent / "other", edge.lake, edge="e2")
    other.put("a.txt", LINES[1] + "\n")
    before = edge.ok("customer", "2", "--json", code=1).err
    assert "source till is edge e1's (sources/till)" in other.ok("collect", "--once", code=2).err
    assert edge.ok("customer", "2", "--json", code=1).err == before
    assert len(rows(edge)) == 1 and len(raw(edge)) == 1
    with (edge.lake / "p/sources/till").open("a") as claim:
        claim.write("e2\n")
    other.collect()
    assert len(rows(edge)) == 2
    # What brings ids may be shared.
    third = make_edge(edge.pc, edge.dir.parent / "third", edge.lake, edge="e3")
    third.config["sources"] = [{"name": "till", "dir": "spool", "format": "ndjson", "settle_ms": 0}]
    third.write_config(cluster=third.cluster)
    third.put("x.json", json.dumps(raw(edge)[0]).replace("a.txt:1", "x1") + "\n")
    third.collect()
    assert len(rows(edge)) == 3


def test_a_dead_cluster_is_seen_though_nothing_is_due(edge):
    away = {**edge.cluster, "hdfs": {"url": "http://127.0.0.1:9", "path": "/p"}}
    edge.write_config(cluster=away)

    def states():
        consumers = edge.json("status")["daemon"]["consumers"]
        return {c["name"]: (c["state"], "127.0.0.1:9" in (c["last_error"] or "")) for c in consumers}

    with Daemon(edge):
        wanted = {"hbase": ("running", False), "hdfs-raw": ("backing_off", True), "hdfs-table": ("backing_off", True)}
        wait_for("status says so", lambda: states() == wanted)


def test_collect_tells_what_it_shipped(edge):
    edge.put("a.txt", "\n".join(LINES) + "\n")
    out = edge.ok("collect", "--once").out
    assert "shipped to HDFS: 2 files with 3 rows of transactions_cln and 1 quarantined lines" in out
    assert "shipped to HDFS: 1 files with 3 raw events" in out
    assert "shipped to HBase: 2 events of customers" in out
    edge.put("b.txt", LINES[0] + "\n")
    assert edge.json("collect", "--once")["shipped"] == {
        "hdfs-table": {"files": 1, "rows": 1, "quarantined": 0},
        "hdfs-raw": {"files": 1, "events": 1},
        "hbase": {"events": 1},
    }


def test_no_spark(edge):
    """What makes tables says what it needs, and holds nothing afterwards."""
    spark = {"command": ["no-such-spark-sql"]}
    edge.write_config(cluster={**edge.cluster, "spark": spark})
    for command in (["rebuild"], ["refresh", "--data-dt", "2024-01-01"]):
        err = edge.ok(*command, code=1).err
        assert "cannot start no-such-spark-sql" in err and "cluster.spark.command in punchcard.yaml" in err
        assert not (edge.lake / "p/batch/lease").exists()
    assert "nothing to audit" in edge.ok("audit").out
    programme = edge.dir / "programme.yaml"
    assert "cannot start no-such-spark-sql" in edge.ok("simulate", "--programme", programme, code=1).err
    assert "cannot start no-such-spark-sql" in edge.ok("simulate", "--programme", programme, "--parquet", "x", code=1).err
    customers = edge.dir.parent / "c.csv"
    customers.write_text("1,1,Ann,,2024-01-01,,,F,1990\n")
    assert "cannot start no-such-spark-sql" in edge.ok("load", "customers", customers, code=1).err
    assert not (edge.lake / "p/warehouse/customers").exists()
    assert "no customer format" in edge.ok("load", "customers", "--format", "none", customers, code=2).err
    assert "has not begun yet" in edge.ok("refresh", "--data-dt", "2100-01-01", code=2).err
    away = {**edge.cluster, "hdfs": {"url": "http://127.0.0.1:9", "path": "/p"}}
    shop = edge.dir.parent / "other"
    assert edge.pc("init", shop).code == 0
    other = Shop(edge.pc, shop)
    other.write_config(cluster=away)
    assert "cluster.spark.filesystem: this key is missing" in other.ok("rebuild", code=2).err
    other.write_config(cluster={**away, "spark": {"filesystem": "hdfs://127.0.0.1:9"}})
    assert "HDFS http://127.0.0.1:9" in other.ok("rebuild", code=1).err


def rebuild_that_hangs(edge):
    """In Spark, of which a program that sleeps takes the place: the process, and the file with that program's id."""
    hangs = edge.dir / "spark-sql"
    hangs.write_text("#!/bin/sh\necho $$ > ../../../../../spark.pid\nexec sleep 1000\n")
    hangs.chmod(0o755)
    edge.write_config(cluster={**edge.cluster, "spark": {"command": [str(hangs)]}})
    process = edge.start("rebuild")
    pid = edge.dir.parent / "spark.pid"
    wait_for("Spark", lambda: pid.exists() and pid.read_text().strip() != "")
    return process, pid


def test_one_makes_tables_at_a_time(edge):
    """Spark hangs (a program in its place does); another edge is told who makes tables, and that of a killed one is taken over."""
    process, pid = rebuild_that_hangs(edge)
    assert edge.pc("init", edge.dir.parent / "other").code == 0
    other = Shop(edge.pc, edge.dir.parent / "other")
    other.write_config(cluster={**edge.cluster, "edge": "e2"})
    err = other.ok("rebuild", code=4).err
    assert "edge e1 makes tables of this cluster" in err and f"process {process.pid} (`punchcard rebuild`)" in err
    assert "is being written by process" in edge.ok("rebuild", code=4).err  # the deployment's own lock
    process.send_signal(signal.SIGKILL)
    process.communicate()
    # Spark goes with it.
    wait_for("its end", lambda: not (pathlib.Path("/proc") / pid.read_text().strip()).exists())
    assert "edge e1" in other.ok("rebuild", code=4).err
    edge.write_config(cluster={**edge.cluster, "spark": {"command": ["no-such-spark-sql"]}})
    assert "cannot start" in edge.ok("rebuild", code=1).err
    other.write_config(cluster={**edge.cluster, "edge": "e2", "spark": {"command": ["no-such-spark-sql"]}})
    assert "cannot start" in other.ok("rebuild", code=1).err


def test_interrupted_spark(edge):
    """Ctrl-C ends Spark, and gives the lease back."""
    process, pid = rebuild_that_hangs(edge)
    process.send_signal(signal.SIGINT)
    result = edge.pc.end(process)
    assert result.code == 130, result
    assert not (edge.lake / "p/batch/lease").exists()
    assert not (pathlib.Path("/proc") / pid.read_text().strip()).exists()


def test_what_operators_copy(edge):
    """The configuration in cluster/edge, with names for what is in capitals."""
    text = (ROOT / "cluster/edge/punchcard.yaml").read_text()
    (edge.dir / "punchcard.yaml").write_text(re.sub(r"[A-Z]+(_[A-Z]+)+", "somewhere", text))
    status = edge.json("status")
    assert status["cluster"]["edge"] == "somewhere" and status["cluster"]["path"] == "/user/punchcard"
