#!/usr/bin/python3
"""The whole pipeline on the same servers, as the original is built and as punchcard does it: from order files to `loyalty`.

    ./dev deps cluster; ./dev build release; python3 bench/cluster/pipeline.py [--orders 2000000] [--customers 100000]

The original's way: a Flume agent takes the files from a spool directory into HDFS (memory channel, the fastest it has; batches of 1,000 and
files of 128 MiB, where the original's own values make files of ten lines), a Spark Structured Streaming job makes transactions_cln of
them (`availableNow`: as fast as it can), and a Hive join in Spark sums up into a partition of loyalty. Punchcard's: `load customers`,
`collect --once` (journal and HDFS; HBase is a directory, for the original's second agent, which writes it, is left out as well), and `rebuild`:
ledger, balances, states, loyalty with tiers and segments. Both on one HDFS and one Spark, local[2], one after the other.

One line of JSON. `kernel_to_join`: the time of rebuild by that of the join alone over the same transactions_cln, both with their start.
`loyalty_to_join`: of the same, what makes loyalty (folding, counting, the models, writing it) by the join's statement, in a Spark that has
started; without ledger, balances and states, which the original has not. The aim is 1.5.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/cluster"))

from cluster import Cluster, Daemon, wait_for
from figures import tell

PUNCHCARD = ROOT / "build/release/src/punchcard"
DAY = "2026-10-30"
LIMIT_S = 3600
LOYALTY_STEPS = (
    "folding the history", "counting what was folded", "the table accounts", "the table favourites", "models/segments.sql",
    "models/loyalty.sql", "writing the table loyalty",
)  # fmt: skip

AGENT = """
tier1.sources = src-1
tier1.channels = ch-1
tier1.sinks = snk-1
tier1.sources.src-1.type = spooldir
tier1.sources.src-1.channels = ch-1
tier1.sources.src-1.spoolDir = {spool}
tier1.sources.src-1.batchSize = 1000
tier1.channels.ch-1.type = memory
tier1.channels.ch-1.capacity = 100000
tier1.channels.ch-1.transactionCapacity = 1000
tier1.sinks.snk-1.type = hdfs
tier1.sinks.snk-1.channel = ch-1
tier1.sinks.snk-1.hdfs.path = {target}
tier1.sinks.snk-1.hdfs.writeFormat = Text
tier1.sinks.snk-1.hdfs.fileType = DataStream
tier1.sinks.snk-1.hdfs.batchSize = 1000
tier1.sinks.snk-1.hdfs.rollSize = 134217728
tier1.sinks.snk-1.hdfs.rollCount = 0
tier1.sinks.snk-1.hdfs.rollInterval = 0
tier1.sinks.snk-1.hdfs.idleTimeout = {idle}
"""
IDLE_S = 5

STREAM = """
import sys
from pyspark.sql import SparkSession, functions as f

spark = SparkSession.builder.getOrCreate()
source, target, checkpoint = sys.argv[1:]
parts = f.split("value", "[|]")
drink = f.split(parts[1], " ")
rows = spark.readStream.text(source).select(
    parts[0].cast("int").alias("cust_id"), drink[0].alias("odr_menu"), drink[1].cast("int").alias("odr_prc"),
    f.date_format(f.timestamp_seconds(parts[2].cast("bigint")), "dd-MM-yyyy HH:mm:ss").alias("odr_tms"))
rows.writeStream.format("parquet").option("path", target).option("checkpointLocation", checkpoint).trigger(availableNow=True).start().awaitTermination()
"""

CUSTOMERS = """
CREATE DATABASE IF NOT EXISTS original;
USE original;
CREATE EXTERNAL TABLE customers (customer_id INT, home_store STRING, customer_firstname STRING, customer_email STRING, customer_since STRING,
    loyalty_card_number STRING, birthdate STRING, gender STRING, birth_year INT)
    ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' LOCATION '{home}/customers';
CREATE EXTERNAL TABLE customers_cln (cust_id INT, cust_nm STRING, cust_email STRING, cust_strt_dt STRING, cust_member_card_no STRING,
    cust_birth_dt STRING, cust_birth_yr INT, cust_gender STRING) STORED AS PARQUET LOCATION '{home}/customers_cln';
INSERT OVERWRITE TABLE customers_cln SELECT customer_id, customer_firstname, customer_email, customer_since,
    replace(loyalty_card_number, '"', ''), birthdate, birth_year, CASE gender WHEN 'M' THEN 'MALE' WHEN 'F' THEN 'FEMALE' ELSE 'NA' END
    FROM customers;
CREATE EXTERNAL TABLE transactions_cln (cust_id INT, odr_menu STRING, odr_prc INT, odr_tms STRING) STORED AS PARQUET
    LOCATION '{home}/transactions_cln';
CREATE EXTERNAL TABLE loyalty (cust_id INT, cust_name STRING, cust_member_card_no STRING, spnd_amt BIGINT) PARTITIONED BY (data_dt STRING)
    STORED AS ORC LOCATION '{home}/loyalty';
"""

JOIN = """
USE original;
INSERT OVERWRITE TABLE loyalty PARTITION (data_dt = '{day}')
    SELECT c.cust_id, c.cust_nm, c.cust_member_card_no, sum(t.odr_prc)
    FROM customers_cln c JOIN transactions_cln t ON c.cust_id = t.cust_id GROUP BY c.cust_id, c.cust_nm, c.cust_member_card_no;
SELECT count(*), sum(spnd_amt) FROM loyalty;
"""

# The same over the table that punchcard has shipped.
JOIN_OURS = """
CREATE DATABASE IF NOT EXISTS joined;
USE joined;
CREATE EXTERNAL TABLE loyalty (cust_id BIGINT, cust_name STRING, cust_member_card_no STRING, spnd_amt DECIMAL(38,2)) PARTITIONED BY (data_dt STRING)
    STORED AS ORC LOCATION '{home}/joined';
INSERT OVERWRITE TABLE loyalty PARTITION (data_dt = '{day}')
    SELECT c.cust_id, c.cust_nm, c.cust_member_card_no, sum(t.odr_amt)
    FROM parquet.`{ours}/warehouse/customers_cln` c JOIN parquet.`{ours}/warehouse/transactions_cln` t ON c.cust_id = t.cust_id
    GROUP BY c.cust_id, c.cust_nm, c.cust_member_card_no;
SELECT count(*), sum(spnd_amt) FROM loyalty;
"""


class Clock:
    """Seconds of each step."""

    def __init__(self):
        self.steps = {}
        self.rebuild = {}  # the steps of punchcard's
        self.join_s = 0  # the statement alone

    def step(self, name, function):
        begin = time.monotonic()
        value = function()
        self.steps[name] = round(time.monotonic() - begin, 2)
        print(f"pipeline: {name}: {self.steps[name]} s", file=sys.stderr)
        return value


def punchcard(*args, env=None):
    done = subprocess.run([PUNCHCARD, *map(str, args)], capture_output=True, text=True, env=env, timeout=LIMIT_S, check=False)
    if done.returncode != 0:
        sys.exit(f"punchcard {' '.join(map(str, args))} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done


def steps_of(log):
    """Seconds of each step of a rebuild on Spark, by its log."""
    found = re.findall(r'step done  step="?([^"]+?)"? n=.* took=(?:(\d+)m)?([0-9.]+)(us|ms|s)$', log, re.MULTILINE)
    scales = {"us": 1e-6, "ms": 1e-3, "s": 1}
    return {name: round(int(minutes or 0) * 60 + float(took) * scales[unit], 3) for name, minutes, took, unit in found}


def make_input(work, orders, customers):
    spool = work / "orders"
    punchcard("generate", "--spool", spool, "--orders", orders, "--customers", customers, "--from", "2026-10-01", "--to", DAY, "--files", 40)
    file = work / "customers.csv"
    with file.open("w") as out:
        for i in range(1, customers + 1):
            out.write(f'{i},1,Customer {i},c{i}@example.org,2025-01-{1 + i % 28:02},"C-{i:07}",1980-01-01,{"MFN"[i % 3]},1980\n')
    return spool, file


def flume(cluster, hdfs, spool, target, work):
    """Until every file is taken, and what came of it is closed in HDFS."""
    conf = cluster.state / "conf/flume"
    conf.mkdir(parents=True, exist_ok=True)
    for file in hdfs.conf.glob("*-site.xml"):
        shutil.copy(file, conf)
    agent = work / "agent.conf"
    agent.write_text(AGENT.format(spool=spool, target=target, idle=IDLE_S))
    daemon = Daemon(
        cluster, "flume", f"hdfs/*:{cluster.downloads}/jars/flume", "1g",
        ["org.apache.flume.node.Application", "-n", "tier1", "-f", str(agent), "--no-reload-conf"],
    )  # fmt: skip
    daemon.start(wait=False)

    def done():
        if daemon.process.poll() is not None:
            sys.exit(f"Flume ended:\n{daemon.tail()}")
        return all(path.name.endswith(".COMPLETED") for path in spool.iterdir() if not path.name.startswith(".")) and not is_open()

    def is_open():
        files = hdfs.rest("GET", f"{target.removeprefix(hdfs.rpc)}?op=LISTSTATUS&user.name=punchcard")["FileStatuses"]["FileStatus"]
        return not files or any(file["pathSuffix"].endswith(".tmp") for file in files)

    wait_for("Flume has taken all", done, LIMIT_S)
    daemon.stop()


def by_the_original(cluster, hdfs, spark, home, spool, customers, work, clock):
    place = f"{hdfs.rpc}{home}/original"

    def sql(text):
        return spark.sql(text.format(home=place, day=DAY), limit_s=LIMIT_S)

    def load():
        hdfs.fs("-mkdir", "-p", f"{place}/customers", f"{place}/flume")
        hdfs.fs("-put", str(customers), f"{place}/customers/")
        sql(CUSTOMERS)

    def stream():
        job = work / "stream.py"
        job.write_text(STREAM)
        words = [spark.bin / "spark-submit", "--master", "local[2]", "--properties-file", spark.conf, job, f"{place}/flume"]
        subprocess.run(
            [*map(str, words), f"{place}/transactions_cln", f"{place}/checkpoint"], env=spark.environment(), check=True,
            capture_output=True, timeout=LIMIT_S,
        )  # fmt: skip

    clock.step("original_load", load)
    clock.step("original_flume", lambda: flume(cluster, hdfs, spool, f"{place}/flume", work))
    clock.steps["original_flume"] = round(clock.steps["original_flume"] - IDLE_S, 2)  # it waited for that
    clock.step("original_stream", stream)
    return clock.step("original_join", lambda: sql(JOIN)).split()


def by_punchcard(hdfs, spark, home, spool, customers, work, clock):
    shop = work / "shop"
    punchcard("init", shop)
    config = {
        "version": 1,
        "sources": [{"name": "till", "dir": str(spool), "format": "classic", "settle_ms": 0}],
        "cluster": {
            "edge": "bench",
            "hdfs": {"url": hdfs.url, "path": f"{home}/ours", "user": "punchcard"},
            "hbase": {"url": f"file://{work}/cells"},
            "spark": {
                "command": [str(spark.bin / "spark-sql")],
                "master": "local[2]",
                "filesystem": hdfs.rpc,
                "conf": [line.replace(" ", "=", 1) for line in spark.conf.read_text().splitlines() if "timeZone" not in line
                         and "messageFormat" not in line and "dynamic.partition" not in line and "ui.enabled" not in line],
            },
        },
    }  # fmt: skip
    (shop / "punchcard.yaml").write_text(json.dumps(config))
    programme = {"version": 1, "name": "Bench", "currency": "THB", "timezone": "UTC", "earn": [{"per_amount": {"points": "1", "per": "25"}}]}
    (shop / "programme.yaml").write_text(json.dumps(programme))
    env = {**os.environ, **spark.environment(), "HADOOP_USER_NAME": "punchcard"}
    clock.step("punchcard_load", lambda: punchcard("-C", shop, "load", "customers", customers, env=env))
    clock.step("punchcard_collect", lambda: punchcard("-C", shop, "collect", "--once", env=env))
    clock.rebuild = steps_of(clock.step("punchcard_rebuild", lambda: punchcard("-C", shop, "rebuild", "--data-dt", DAY, env=env)).stderr)
    if not set(LOYALTY_STEPS) <= clock.rebuild.keys():
        sys.exit(f"rebuild's steps are not those that LOYALTY_STEPS has: {clock.rebuild}")
    ours = f"{hdfs.rpc}{home}/ours"
    text = JOIN_OURS.format(home=f"{hdfs.rpc}{home}", ours=ours, day=DAY)
    sums = clock.step("join_over_punchcards_table", lambda: spark.sql(text, limit_s=LIMIT_S)).split()
    clock.join_s = spark.took_s[-2]
    return sums


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=2_000_000)
    parser.add_argument("--customers", type=int, default=100_000)
    options = parser.parse_args()
    cluster = Cluster(fresh=True)
    clock = Clock()
    try:
        cluster.fetch("flume")
        hdfs, spark = cluster.up_hdfs(), cluster.up_spark()
        # As Java compiles by itself: what makes the tests' short runs short makes long ones slow, the kernel's most of all.
        spark.configure("-Dderby.system.durability=test")
        home = hdfs.make_home("punchcard")
        hdfs.fs("-chmod", "777", home)
        with tempfile.TemporaryDirectory(dir=cluster.state) as name:
            work = pathlib.Path(name)
            spool, customers = make_input(work, options.orders, options.customers)
            theirs_spool = work / "original-spool"
            shutil.copytree(spool, theirs_spool)
            ours = by_punchcard(hdfs, spark, home, spool, customers, work, clock)
            theirs = by_the_original(cluster, hdfs, spark, home, theirs_spool, customers, work, clock)
    finally:
        cluster.down()
    steps = clock.steps
    whole = {way: round(sum(s for step, s in steps.items() if step.startswith(way)), 2) for way in ("original", "punchcard")}
    tell(
        {
            "bench": "pipeline", "orders": options.orders, "customers": options.customers, "steps_s": steps, "whole_s": whole,
            "ratio": round(whole["original"] / whole["punchcard"], 2),
            "kernel_to_join": round(steps["punchcard_rebuild"] / steps["join_over_punchcards_table"], 2),
            "loyalty_to_join": round(sum(clock.rebuild[step] for step in LOYALTY_STEPS) / clock.join_s, 2),
            "rebuild_steps_s": clock.rebuild, "join_statement_s": clock.join_s,
            "sums": {"original": theirs, "punchcard": ours},
        }
    )  # fmt: skip


if __name__ == "__main__":
    main()
