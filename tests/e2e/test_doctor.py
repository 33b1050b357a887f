"""doctor: what it finds, what it says to do, and that one thing that is wrong hides nothing else."""

import os
import shutil
import socket
import time

import pytest
from daemon import Daemon
from lake import cluster_of, make_edge

from conftest import classic, environment


def checks(shop, code=0, **options):
    result = shop.ok("doctor", "--json", code=code, **options)
    report = result.json()
    assert report["ok"] is (code == 0)
    return {check["check"]: check for check in report["checks"]}


def failed(found):
    return sorted(name for name, check in found.items() if check["result"] == "fail")


def test_all_is_well(shop):
    found = checks(shop)
    assert failed(found) == []
    for name in ("clock", "descriptors", "DuckDB", "directory", "free space", "punchcard.yaml", "programme.yaml", "models", "daemon"):
        assert name in found
    assert found["DuckDB"]["found"].startswith("v")
    shop.put("a.txt", classic(5, "latte", 70, 1_700_000_000))
    shop.collect()
    assert checks(shop)["journal and view"]["found"] == "1 blocks, 1 orders, 0 customers"
    text = shop.ok("doctor").out
    assert "ok    journal and view" in text and "FAIL" not in text
    assert len(text.splitlines()) == len(found)  # one line a check


def test_the_daemon_is_seen(shop):
    with Daemon(shop) as daemon:
        assert f"process {daemon.process.pid}" in checks(shop)["daemon"]["found"]


def test_wrong_configuration_hides_nothing_else(shop):
    (shop.dir / "punchcard.yaml").write_text("version: 1\nsorces: []\n")
    found = checks(shop, code=1)
    assert failed(found) == ["punchcard.yaml"]
    assert "sorces" in found["punchcard.yaml"]["found"]
    assert found["programme.yaml"]["result"] == found["DuckDB"]["result"] == found["free space"]["result"] == "ok"
    (shop.dir / "programme.yaml").unlink()
    (shop.dir / "models/loyalty.sql").unlink()
    assert failed(checks(shop, code=1)) == ["models", "programme.yaml", "punchcard.yaml"]


def test_no_deployment(pc, tmp_path):
    result = pc("-C", tmp_path, "doctor")
    assert result.code == 1 and "FAIL  directory" in result.out and "ok    DuckDB" in result.out
    assert pc("-C", tmp_path, "doctor", "--x").code == 2 and pc("-C", tmp_path, "doctor", "x").code == 2


def test_damage(shop):
    shop.put("a.txt", classic(5, "latte", 70, 1_700_000_000))
    shop.collect()
    (shop.dir / "data/journal/data.mdb").write_bytes(b"no journal" * 1000)
    found = checks(shop, code=1)
    assert failed(found) == ["journal and view"] and "data/journal" in found["journal and view"]["found"]


@pytest.fixture
def edge(pc, tmp_path):
    edge = make_edge(pc, tmp_path / "edge", tmp_path / "lake")
    edge.write_config(cluster={**edge.cluster, "spark": {"command": [str(make_spark(tmp_path))]}})
    return edge


def make_spark(directory):
    """What looks like a Spark."""
    command = directory / "spark/bin/spark-sql"
    (directory / "spark/jars").mkdir(parents=True)
    (directory / "spark/jars/spark-core_2.13-4.0.1.jar").touch()
    command.parent.mkdir()
    command.write_text("#!/bin/sh\nexit 1\n")
    command.chmod(0o755)
    return command


def with_java(directory, text):
    """An environment whose Java prints that."""
    java = directory / "java/bin/java"
    java.parent.mkdir(parents=True, exist_ok=True)
    java.write_text(f"#!/bin/sh\n{text}\n")
    java.chmod(0o755)
    return {"env": environment(JAVA_HOME=str(directory / "java"))}


def test_cluster(edge, tmp_path):
    java = with_java(tmp_path, "echo 'openjdk version \"17.0.9\" 2023-10-17' >&2")
    found = checks(edge, **java)
    assert failed(found) == []
    assert found["edge"]["found"] == "e1 has not shipped yet"
    assert found["HBase"]["found"].endswith("cells has nothing yet")
    assert ", Spark 4.0.1, master" in found["Spark"]["found"] and '"17.0.9"' in found["Java"]["found"]
    assert not list((tmp_path / "lake").rglob("*doctor*"))
    edge.put("a.txt", classic(5, "latte", 70, 1_700_000_000))
    edge.collect()
    found = checks(edge, **java)
    assert "has all blocks before 2 of 2" in found["hdfs-table"]["found"] and "answers in" in found["HBase"]["found"]
    # What it ships to is not there any more; and another's.
    shutil.move(tmp_path / "lake/p/edges", tmp_path / "edges")
    found = checks(edge, code=1, **java)
    assert failed(found) == ["hdfs-raw", "hdfs-table"] and "the warehouse knows nothing of it" in found["hdfs-raw"]["found"]
    marks = tmp_path / "lake/p/edges/e1"
    marks.mkdir(parents=True)
    (marks / "hdfs-table-000000000099").touch()
    (marks / "hdfs-raw-000000000002").touch()
    assert failed(checks(edge, code=1, **java)) == ["hdfs-table"]


def test_what_collect_would_refuse(edge, shop, tmp_path):
    """Each is told as collect tells it, before anything is collected."""
    java = with_java(tmp_path, "echo 'openjdk version \"17.0.9\" 2023-10-17' >&2")
    lake = tmp_path / "lake"
    edge.put("a.txt", classic(5, "latte", 70, 1_700_000_000))
    edge.collect()
    assert "hbase has all blocks before 2 of 2" in checks(edge, **java)["hbase"]["found"]
    # HBase was emptied; there is another in its place.
    shutil.move(lake / "cells", lake / "away")
    assert "has no mark of edge e1" in checks(edge, code=1, **java)["hbase"]["found"]
    shutil.move(lake / "away", lake / "cells")
    # The source is another edge's.
    (lake / "p/sources/till").write_text("e9\n")
    assert "source till is edge e9's" in checks(edge, code=1, **java)["sources"]["found"]
    (lake / "p/sources/till").write_text("e1\n")
    # Without the section, and as another edge.
    config = edge.cluster
    edge.write_config(cluster={**config, "edge": "e2"})
    assert "has shipped as edge e1" in checks(edge, code=1, **java)["edge"]["found"]
    edge.config.pop("cluster", None)
    edge.write_config()
    assert "has shipped orders to a cluster" in checks(edge, code=1)["edge"]["found"]
    # Orders of before the section; and Spark does not know HDFS by WebHDFS's name.
    shop.put("a.txt", classic(5, "latte", 70, 1_700_000_000))
    shop.collect()
    shop.write_config(cluster={**cluster_of(lake), "hdfs": {"url": "http://127.0.0.1:9", "path": "/p"}})
    found = checks(shop, code=1, **java)
    assert "has orders in tables of this machine" in found["edge"]["found"]
    assert "cluster: spark: filesystem is missing" in found["Spark filesystem"]["found"]


def test_spark_and_java_are_missing(edge, tmp_path):
    found = checks(edge, code=1, **with_java(tmp_path, "exit 1"))
    assert failed(found) == ["Java"]
    assert found["Java"]["to_do"]
    assert checks(edge, **with_java(tmp_path, "echo 'java version \"1.8.0\"' >&2"))["Java"]["result"] == "warn"
    edge.write_config(cluster={**edge.cluster, "spark": {"command": ["no-spark-here"]}})
    found = checks(edge, code=1)
    assert failed(found) == ["Spark"] and "no-spark-here" in found["Spark"]["found"]


def test_servers_that_are_away_cost_seconds(edge, tmp_path):
    """Nobody listens at one, the other says nothing; each is told, with the rest."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = f"http://127.0.0.1:{listener.getsockname()[1]}"
        edge.write_config(
            cluster={**cluster_of(tmp_path / "lake"), "hdfs": {"url": "http://127.0.0.1:9", "path": "/p"}, "hbase": {"url": silent}}
        )
        begin = time.monotonic()
        found = checks(edge, code=1)
        assert time.monotonic() - begin < 40
    assert {"HDFS", "HBase"} <= set(failed(found))
    assert "http://127.0.0.1:9" in found["HDFS"]["found"] and silent in found["HBase"]["found"]
    assert found["DuckDB"]["result"] == "ok"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_read_only(shop):
    shop.dir.chmod(0o555)
    assert checks(shop)["directory"]["result"] == "warn"
