"""One truth: what one machine makes of a history, a cluster makes, too: real HDFS, HBase and Spark, which die and come back meanwhile.

The coffee shop's receipts and a million generated orders go through both profiles; then every table is the same, column for column and row
for row, and so is what a customer's card says. PUNCHCARD_TRUTH_ORDERS sets how many orders.
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
CUSTOMERS = 20000
DAY = "2019-06-30"
LIMIT_S = 600
TABLES = {
    "customers_cln": "",
    "transactions_cln": "data_dt=*/",
    "ledger": "data_dt=*/",
    "balances": f"data_dt={DAY}/",
    "account_state": f"data_dt={DAY}/",
    "loyalty": f"data_dt={DAY}/",
}


def make(directory, cluster=None):
    """The coffee shop, with a second source of classic lines."""
    pc = Punchcard(RELEASE)
    assert pc("init", directory).code == 0
    shop = Shop(pc, directory)
    config = (COFFEE / "punchcard.yaml").read_text()
    config = config.replace("sources:\n", "sources:\n  - {name: orders, dir: spool-orders, format: classic, settle_ms: 0}\n")
    (shop.dir / "punchcard.yaml").write_text(config + (f"cluster: {json.dumps(cluster)}\n" if cluster else ""))
    shutil.copy(COFFEE / "programme.yaml", shop.dir)
    (shop.dir / "spool-orders").mkdir()
    return shop


def put_orders(shop, files):
    for path in files:
        shop.put(path.name, path.read_bytes(), shop.dir / "spool-orders")


def put_receipts(shop):
    shop.put("receipts.csv", (COFFEE / "receipts.csv").read_bytes())


@pytest.fixture(scope="module")
def orders(tmp_path_factory):
    directory = tmp_path_factory.mktemp("orders")
    made = Punchcard(RELEASE)(
        "generate", "--spool", directory, "--orders", ORDERS, "--customers", CUSTOMERS, "--from", "2019-05-01", "--to", DAY, "--files", 24
    )
    assert made.code == 0
    return sorted(directory.iterdir())


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
    """The deployment on the cluster, and what it says of its shippers."""

    def __init__(self, shop, env):
        self.shop = shop
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

        spools = (self.shop.spool, self.shop.dir / "spool-orders")
        taken = lambda: all(path.name.endswith(".COMPLETED") for spool in spools for path in spool.iterdir())  # noqa: E731
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

    def feed():
        put_orders(edge.shop, [files.pop() for _ in range(4)])

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
    put_orders(edge.shop, files)


def download(hdfs, home, tmp_path):
    target = tmp_path / "lake"
    target.mkdir()
    hdfs.fs("-get", f"{home}/warehouse", str(target))
    return target / "warehouse"


def card(shown):
    """What it says but for the last orders: a view on one machine has those since the last refresh, HBase all."""
    return {key: value for key, value in json.loads(shown.out).items() if not key.startswith("last_orders")}


def test_one_truth(hdfs, home, hbase, spark, orders, tmp_path):
    alone = make(tmp_path / "alone")
    put_orders(alone, orders)
    put_receipts(alone)
    alone.ok("load", "customers", COFFEE / "customer.csv", timeout=LIMIT_S)
    alone.collect(timeout=LIMIT_S)
    alone.ok("rebuild", "--data-dt", DAY, timeout=LIMIT_S)

    cluster = {
        "edge": "truth-1",
        "hdfs": {"url": hdfs.url, "path": home, "user": "punchcard"},
        "hbase": {"url": hbase.url, "table_prefix": "truth_"},
        "spark": spark_settings(spark, hdfs, home),
        "ship": {"max_mib": 8, "max_delay_s": 2},
    }
    env = {**environment(), **spark.environment(), "HADOOP_USER_NAME": "punchcard"}
    edge = Edge(make(tmp_path / "edge", cluster=cluster), env)
    put_receipts(edge.shop)
    with Daemon(edge.shop, binary=RELEASE, env=env) as daemon:
        make_trouble(edge, hdfs, hbase, home, list(orders))
        daemon.process.kill()
        daemon.process.wait()
        daemon.start()
        edge.wait_shipped()
    edge.run("load", "customers", COFFEE / "customer.csv")
    edge.run("rebuild", "--data-dt", DAY)

    lake = download(hdfs, home, tmp_path)
    for table, partition in TABLES.items():
        assert check_same(alone.warehouse, lake, table, tmp_path, partition) > 0, table
    for customer in ("1", "7", "5001", str(CUSTOMERS)):
        assert card(edge.run("customer", customer, "--json")) == card(alone.ok("customer", customer, "--json"))
    edge.run("audit")
