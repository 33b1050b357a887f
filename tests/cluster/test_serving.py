"""Commands that answer, beside real HDFS and HBase."""

import json
import os
import subprocess

import pytest
from cluster import ROOT

PUNCHCARD = os.environ.get("PUNCHCARD", str(ROOT / "build/dev/src/punchcard"))


class Edge:
    def __init__(self, directory, hdfs, hbase, name):
        self.dir = directory
        subprocess.run([PUNCHCARD, "init", directory], check=True, capture_output=True)
        cluster = {
            "edge": name,
            "hdfs": {"url": hdfs.url, "path": f"/user/serving/{name}", "user": "root"},
            "hbase": {"url": hbase.url, "table_prefix": f"{name}_"},
        }
        sources = [{"name": "till", "dir": "spool", "format": "classic", "settle_ms": 0}]
        (directory / "punchcard.yaml").write_text(json.dumps({"version": 1, "sources": sources, "cluster": cluster}))

    def run(self, *args, code=0, timeout=120):
        done = subprocess.run(
            [PUNCHCARD, "-C", self.dir, *map(str, args)], capture_output=True, text=True, timeout=timeout,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{args}: exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout


@pytest.fixture(scope="module")
def edge(hdfs, hbase, tmp_path_factory):
    edge = Edge(tmp_path_factory.mktemp("serving") / "edge", hdfs, hbase, f"s{os.getpid()}")
    # Two orders a day apart for each of 40 customers, which is more than a page of any scan that looks for the end of one.
    lines = [f"{customer}|latte 70|{1700000000 + day * 86400 + customer}\n" for day in range(2) for customer in range(1, 41)]
    (edge.dir / "spool/a.txt").write_text("".join(lines))
    edge.run("collect", "--once")
    return edge


def test_customers(edge):
    cards = [json.loads(line) for line in edge.run("customer", *range(1, 41), "--json").splitlines()]
    assert [card["cust_id"] for card in cards] == list(range(1, 41))
    assert all(card["orders"] == 2 and len(card["last_orders"]) == 2 for card in cards)
    edge.run("customer", 41, code=1)


def test_explanations(edge):
    """A customer's history is a scan, of the first and the last rows of the table, too."""
    for customer in range(1, 41):
        told = json.loads(edge.run("explain", customer, "--json"))
        assert [entry["kind"] for event in told["history"] for entry in event["entries"]] == ["earn", "earn"]
    edge.run("explain", 41, code=1)


def test_doctor(edge):
    """Spark is not there: all else is well."""
    report = {check["check"]: check for check in json.loads(edge.run("doctor", "--json", code=1))["checks"]}
    for name in ("HDFS", "HDFS writing", "HDFS clock", "hdfs-table", "HBase", "HBase accounts", "HBase orders", "HBase writing"):
        assert report[name]["result"] == "ok", report[name]
    assert "REST gateway" in report["HBase"]["found"]
    # What it tried is in nobody's way.
    edge.run("customer", 1)
