"""One truth: what one machine makes of a history, a cluster makes, too: real HDFS, HBase and Spark, which die and come back meanwhile.

The coffee shop's receipts and generated orders go through both profiles: one machine collects all of them, and of the cluster two edges a
part each. Both rebuild a day, get what is left, older events among it, and refresh a later day. Then every table is the same, column for
column and row for row, so is what a customer's card says, and the audit finds nothing. A million orders, unless PUNCHCARD_TRUTH_ORDERS says
how many: 50,000 are enough while a test is written.
"""

import contextlib
import json
import os
import shutil
import sys

import pytest
from cluster import ROOT
from conftest import COFFEE, Punchcard, Shop, environment
from daemon import Daemon, wait_for

sys.path.append(str(ROOT / "tests/spark"))
from test_spark import check_same  # noqa: E402

RELEASE = os.environ.get("PUNCHCARD_RELEASE", str(ROOT / "build/release/src/punchcard"))
ORDERS = int(os.environ.get("PUNCHCARD_TRUTH_ORDERS", "1000000"))
# What a refresh has settled is erased in HBase, a customer in a request: ten times as many would be minutes of nothing else.
CUSTOMERS = max(ORDERS // 50, 10000)
FIRST_DAY = "2019-06-24"
DAY = "2019-06-30"
LIMIT_S = 1800  # what takes longer has hung; the machine may be slow
STORES, NORTH = "orders", "orders-north"  # sources of generated orders
TABLES = {
    "customers_cln": "",
    "transactions_cln": "data_dt=*/",
    "ledger": "data_dt=*/",
    "balances": "data_dt=*/",
    "account_state": "data_dt=*/",
    "loyalty": "data_dt=*/",
}


def make(directory, names, cluster=None):
    """The coffee shop, whose receipts count as a source of the first edge, and sources of classic lines."""
    pc = Punchcard(RELEASE)
    assert pc("init", directory).code == 0
    shop = Shop(pc, directory)
    config = (COFFEE / "punchcard.yaml").read_text()
    sources = "".join(f"  - {{name: {name}, dir: spool-{name}, format: classic, settle_ms: 0}}\n" for name in names)
    config = config.replace("sources:\n", f"sources:\n{sources}")
    if STORES not in names:
        config = config.replace("name: till", "name: till-of-nobody")
    (shop.dir / "punchcard.yaml").write_text(config + (f"cluster: {json.dumps(cluster)}\n" if cluster else ""))
    shutil.copy(COFFEE / "programme.yaml", shop.dir)
    for name in names:
        (shop.dir / f"spool-{name}").mkdir()
    return shop


def put_orders(shop, name, files):
    for path in files:
        shop.put(path.name, path.read_bytes(), shop.dir / f"spool-{name}")


def put_receipts(shop):
    shop.put("receipts.csv", (COFFEE / "receipts.csv").read_bytes())


def generate(directory, orders, seed, files):
    made = Punchcard(RELEASE)(
        "generate", "--spool", directory, "--orders", orders, "--customers", CUSTOMERS, "--from", "2019-05-01", "--to", DAY,
        "--files", files, "--seed", seed,
    )  # fmt: skip
    assert made.code == 0
    return sorted(directory.iterdir())


@pytest.fixture(scope="module")
def orders(tmp_path_factory):
    """Files of each source; the last of them are there when the first day was made, and others have events that come late."""
    directory = tmp_path_factory.mktemp("orders")
    return {
        STORES: generate(directory / STORES, ORDERS - ORDERS // 4, 1, 24),
        NORTH: generate(directory / NORTH, ORDERS // 4, 2, 8),
    }


def split(files):
    """What comes before the first day is made, and after it: the newest, and one of long ago."""
    later = [files[2], *files[-len(files) // 8 :]]
    return [path for path in files if path not in later], later


def spark_settings(spark, hdfs, home):
    return {
        "command": [str(spark.bin / "spark-sql")],
        "master": "local[2]",
        "filesystem": hdfs.rpc,
        "database": "truth",
        "conf": [
            "spark.driver.memory=3g",
            "spark.sql.shuffle.partitions=4",
            f"spark.hadoop.javax.jdo.option.ConnectionURL=jdbc:derby:;databaseName={spark.work}/truth_db;create=true",
            f"spark.sql.warehouse.dir=file://{spark.work}/truth",
            f"spark.driver.extraJavaOptions={spark.java_options()} -Dderby.system.home={spark.work}",
        ],
    }


class Edge:
    """A deployment on the cluster, and what it says of its shippers."""

    def __init__(self, shop, names, env):
        self.shop = shop
        self.spools = [shop.spool, *(shop.dir / f"spool-{name}" for name in names)]
        self.env = env

    def run(self, *args, code=0):
        return self.shop.ok(*args, code=code, timeout=LIMIT_S, env=self.env)

    def consumers(self):
        status = json.loads(self.shop.run("status", "--json", timeout=60).out)
        return {consumer["name"]: consumer for consumer in status["daemon"]["consumers"]}

    def wait_error(self, name, part):
        """Until status says what is the matter with that shipper."""
        wait_for(f"{name} says {part}", lambda: part in json.dumps(self.consumers()[name]), LIMIT_S)

    def wait_shipped(self):
        def shipped():
            found = self.consumers()
            return len(found) == 3 and all(consumer["lag_lines"] == 0 for consumer in found.values())

        taken = lambda: all(path.name.endswith(".COMPLETED") for spool in self.spools for path in spool.iterdir())  # noqa: E731
        wait_for("all is in the journal", taken, LIMIT_S)
        wait_for("all is shipped", shipped, LIMIT_S)


@contextlib.contextmanager
def gone(daemon, kill=False):
    daemon.kill() if kill else daemon.stop()
    try:
        yield
    finally:
        daemon.start()


def make_trouble(edge, hdfs, hbase, home, files):
    """One system after the other goes while events are shipped, and comes back when status has said so."""
    files = list(files)
    portion = -(-len(files) // 7)

    def feed():
        put_orders(edge.shop, STORES, [files.pop() for _ in range(min(portion, len(files)))])

    feed()
    with gone(hdfs.datanode):
        feed()
        edge.wait_error("hdfs-table", "DataNode")
    with gone(hbase.rest_server):
        feed()
        edge.wait_error("hbase", "connect")
    with gone(hbase.region_server, kill=True):
        feed()
    hdfs.admin("-safemode", "enter")
    feed()
    edge.wait_error("hdfs-raw", "SafeMode")
    hdfs.admin("-safemode", "leave")
    hdfs.admin("-setSpaceQuota", "1m", home)
    feed()
    edge.wait_error("hdfs-raw", "Quota")
    hdfs.admin("-clrSpaceQuota", home)
    put_orders(edge.shop, STORES, files)


def download(hdfs, home, tmp_path):
    target = tmp_path / "lake"
    target.mkdir()
    hdfs.fs("-get", f"{home}/warehouse", str(target))
    return target / "warehouse"


def card(shown):
    """What it says but for the last orders: a view on one machine has those since the last refresh, HBase all."""
    return {key: value for key, value in json.loads(shown.out).items() if not key.startswith("last_orders")}


def make_alone(directory, first, later):
    alone = make(directory, [STORES, NORTH])
    for files, command in ((first, "rebuild"), (later, "refresh")):
        for name in (STORES, NORTH):
            put_orders(alone, name, files[name])
        if command == "rebuild":
            put_receipts(alone)
            alone.ok("load", "customers", COFFEE / "customer.csv", timeout=LIMIT_S)
        alone.collect(timeout=LIMIT_S)
        alone.ok(command, "--data-dt", FIRST_DAY if command == "rebuild" else DAY, timeout=LIMIT_S)
    return alone


def test_one_truth(hdfs, home, hbase, spark, orders, tmp_path):
    parts = {name: split(files) for name, files in orders.items()}
    first, later = ({name: part[i] for name, part in parts.items()} for i in range(2))
    alone = make_alone(tmp_path / "alone", first, later)

    env = {**environment(), **spark.environment(), "HADOOP_USER_NAME": "punchcard"}
    edges = []
    for name, source in (("truth-1", STORES), ("truth-north", NORTH)):
        cluster = {
            "edge": name,
            "hdfs": {"url": hdfs.url, "path": home, "user": "punchcard"},
            "hbase": {"url": hbase.url, "table_prefix": "truth_"},
            "spark": spark_settings(spark, hdfs, home),
            "ship": {"max_mib": 8, "max_delay_s": 2},
        }
        edges.append(Edge(make(tmp_path / name, [source], cluster=cluster), [source], env))
    edge, north = edges
    put_receipts(edge.shop)
    put_orders(north.shop, NORTH, first[NORTH])
    with Daemon(edge.shop, binary=RELEASE, env=env) as daemon, Daemon(north.shop, binary=RELEASE, env=env):
        make_trouble(edge, hdfs, hbase, home, first[STORES])
        daemon.kill()
        daemon.start()
        for each in edges:
            each.wait_shipped()
        # Tables are made while both collect.
        edge.run("load", "customers", COFFEE / "customer.csv")
        north.run("rebuild", "--data-dt", FIRST_DAY)
    for each, source in ((edge, STORES), (north, NORTH)):
        put_orders(each.shop, source, later[source])
        each.run("collect", "--once")
    report = json.loads(edge.run("refresh", "--data-dt", DAY, "--json").out)
    assert report["from"] == FIRST_DAY and report["marked"] > 0 and report["rewritten"] > 0, report

    lake = download(hdfs, home, tmp_path)
    rows = {table: check_same(alone.warehouse, lake, table, tmp_path, partition) for table, partition in TABLES.items()}
    assert all(rows.values()) and rows["transactions_cln"] > ORDERS, rows
    # A file for each of Spark's parts of what is cached would be small.
    assert len(list((lake / f"loyalty/data_dt={DAY}").glob("*.parquet"))) == 1
    print(f"one truth: {ORDERS} orders, rows {rows}")
    for i, customer in enumerate(("1", "7", "5001", str(CUSTOMERS))):
        assert card(edges[i % 2].run("customer", customer, "--json")) == card(alone.ok("customer", customer, "--json"))
    audit, expected = (json.loads(of.run("audit", "--json").out) for of in (north, Edge(alone, [], env)))
    assert audit["differences"] == 0 and audit["findings"] == [], audit
    assert [audit[key] for key in ("customers", "events", "sums")] == [expected[key] for key in ("customers", "events", "sums")]
