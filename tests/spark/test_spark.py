"""A real Spark: rebuild on it makes the tables that rebuild makes on one machine, column for column and row for row.

PUNCHCARD_SPARK names a directory of Spark (with bin/spark-sql); without it these tests are skipped. PUNCHCARD_SPARK_JAVA_OPTIONS are
options of its JVM, e.g. a class archive, which spares most of a start.
"""

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/e2e"))

import history  # noqa: E402
import parquet  # noqa: E402
from conftest import PUNCHCARD, Shop, environment, pc  # noqa: E402, F401
from history import CLUB, History, as_ndjson, history_shop, judge  # noqa: E402

SPARK = os.environ.get("PUNCHCARD_SPARK")
BUILD = pathlib.Path(PUNCHCARD).parent.parent
CONFORMANCE = BUILD / "tests/conformance_sql"
JOB = pathlib.Path(os.environ.get("PUNCHCARD_SPARK_JOB", BUILD / "tests/spark_job"))
FOLD = pathlib.Path(PUNCHCARD).with_name("punchcard-fold")
TIMEOUT_S = 1800  # what takes longer has hung; the machine may be slow

pytestmark = pytest.mark.skipif(not SPARK, reason="PUNCHCARD_SPARK names no Spark")


# Some rows are not worth compiling for; the engine's suite and tests/cluster/test_one_truth.py run what Spark compiles.
QUICK = ["spark.sql.codegen.wholeStage=false", "spark.sql.codegen.factoryMode=NO_CODEGEN"]


class Cluster:
    """A warehouse in a directory, and a Spark of one process over it."""

    def __init__(self, directory):
        self.dir = directory
        self.warehouse = directory / "warehouse"
        self.warehouse.mkdir(parents=True)
        (directory / "tmp").mkdir()
        java = f"-Dderby.system.home={directory} {os.environ.get('PUNCHCARD_SPARK_JAVA_OPTIONS', '')}".strip()
        self.settings = [
            "spark.driver.memory=2g",
            f"spark.sql.warehouse.dir=file://{self.warehouse}/_spark",
            f"spark.hadoop.javax.jdo.option.ConnectionURL=jdbc:derby:;databaseName={directory}/metastore;create=true",
            f"spark.driver.extraJavaOptions={java}",
            "spark.sql.shuffle.partitions=4",
            *QUICK,
        ]

    def environment(self):
        return environment(
            SPARK_HOME=str(pathlib.Path(SPARK).resolve()),
            SPARK_LOCAL_IP="127.0.0.1",
            SPARK_CONF_DIR="/nonexistent",
            PUNCHCARD_FOLD=str(FOLD),
            TMPDIR=str(self.dir / "tmp"),
        )

    def start(self, *args):
        command = [str(JOB), *map(str, args), f"{SPARK}/bin/spark-sql", "local[2]", *self.settings]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment(), text=True)

    def run(self, *args, code=0):
        process = self.start(*args)
        out, err = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == code and "Sanitizer" not in err, err[-3000:]
        # Nothing of it is left.
        assert list((self.dir / "tmp").iterdir()) == []
        return out if code == 0 else err

    def take(self, shop):
        """The deployment's orders and customers, as shippers bring them."""
        for table in ("transactions_cln", "customers_cln"):
            target = self.warehouse / table
            if target.exists():
                shutil.rmtree(target)
            if (shop.warehouse / table).exists():
                shutil.copytree(shop.warehouse / table, target)

    def rebuild(self, shop, day):
        return json.loads(self.run("rebuild", shop.dir, day, f"file://{self.warehouse}"))

    def refresh(self, shop, day, state_day, offset):
        return json.loads(self.run("refresh", f"{state_day}:{offset}", shop.dir, day, f"file://{self.warehouse}"))

    def sql(self, *lines, code=0):
        script = self.dir / "script"
        script.write_text("\n".join(lines) + "\n")
        return self.run("sql", script, code=code)


def columns(files, work):
    """(name, type) of the columns, in order; an instant is a TIMESTAMP with or without its zone."""
    out = work / "columns.json"
    parquet.run(f"COPY (SELECT column_name n, column_type t FROM (DESCRIBE SELECT * FROM read_parquet('{files}'))) TO '{out}' (FORMAT json)")
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    return [(row["n"], row["t"].replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMP")) for row in rows]


def check_same(one, other, table, work, partition="data_dt=*/"):
    """Both have the same rows, in all columns, and of the same types."""
    files = [f"{root}/{table}/{partition}*.parquet" for root in (one, other)]
    names = columns(files[0], work)
    assert columns(files[1], work) == names, table
    select = ", ".join(f"epoch_us({name}) AS {name}" if kind == "TIMESTAMP" else name for name, kind in names)
    if partition:
        select += ", data_dt::VARCHAR AS data_dt"
    read = [f"SELECT {select} FROM read_parquet('{path}', hive_partitioning = {'true' if partition else 'false'})" for path in files]
    out = work / "difference.json"
    parquet.run(
        "SET TimeZone = 'UTC'",
        f"COPY ((SELECT 'one' AS side, * FROM ({read[0]} EXCEPT ALL {read[1]})) UNION ALL "
        f"(SELECT 'other' AS side, * FROM ({read[1]} EXCEPT ALL {read[0]}))) TO '{out}' (FORMAT json)",
    )
    difference = [line for line in out.read_text().splitlines() if line.strip("[] ")]
    assert difference == [], (table, len(difference), difference[:4])
    parquet.run(f"COPY (SELECT count(*) AS n FROM ({read[0]})) TO '{out}' (FORMAT json)")
    return json.loads(out.read_text())["n"]


def times(cluster):
    """When each file of a table was written; what a failed run has staged is dropped by the next one."""
    files = [path for path in cluster.warehouse.rglob("*.parquet") if "_punchcard" not in path.parts]
    return {path: path.stat().st_mtime_ns for path in files}


TABLES = ("ledger", "balances", "account_state", "loyalty")


def check_tables(shop, cluster, day, tmp_path):
    rows = {}
    for table in TABLES:
        partition = "data_dt=*/" if table == "ledger" else f"data_dt={day}/"
        rows[table] = check_same(shop.warehouse, cluster.warehouse, table, tmp_path, partition)
    return rows


@pytest.fixture
def cluster(tmp_path):
    return Cluster(tmp_path / "cluster")


def test_conformance(tmp_path, cluster):
    """What every SQL engine must do (tests/conformance/sql.c)."""
    done = subprocess.run(
        [CONFORMANCE, "spark", tmp_path / "suite", f"{SPARK}/bin/spark-sql", "local[2]", *(s for s in cluster.settings if s not in QUICK)],
        env=cluster.environment(), capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


def test_history(pc, tmp_path, cluster):  # noqa: F811
    """Ids of type text that have what must be escaped; every kind of event; days that vanish from the ledger."""
    story = History(21, "2024-02-20", 40, 60, 1200)
    events = [(f"K\\und\tin {customer} ä'\"", event) for customer, event in story.events]
    shop = history_shop(pc, tmp_path / "shop", customer_id="text")
    shop.put("a.json", as_ndjson(events))
    assert shop.collect()["quarantined"] == 0
    days = story.days()
    day = history.date_text(days[-1] + 40)
    shop.json("rebuild", "--data-dt", day)
    cluster.take(shop)
    report = cluster.rebuild(shop, day)
    check_tables(shop, cluster, day, tmp_path)
    assert report["vanished"] == 0
    # Without tiers and expiry there is nothing on the days behind the last event.
    programme = {key: value for key, value in CLUB.items() if key != "tiers"}
    programme["ledgers"] = [{"name": "points"}, {"name": "stamps", "decimals": "0"}]
    shop.programme = programme
    shop.write_config()
    shop.json("rebuild", "--data-dt", day)
    report = cluster.rebuild(shop, day)
    assert report["vanished"] > 0
    check_tables(shop, cluster, day, tmp_path)


def test_refresh(pc, tmp_path, cluster):  # noqa: F811
    """From the states of a day, with events that came late and refunds that reach back; the ledger's older days change, too."""
    story = History(31, "2024-02-20", 40, 200, 3000)
    days = story.days()
    old, day = days[-1] - 12, days[-1] - 2
    until = judge.start_of_day(judge.Programme(CLUB).zone, old + 1)
    chance = random.Random(1)
    first, later = [], []
    for customer, event in story.events:
        (later if event.time >= until or chance.random() < 0.01 else first).append((customer, event))
    shop = history_shop(pc, tmp_path / "shop")
    shop.put("a.json", as_ndjson(first))
    shop.collect()
    shop.json("rebuild", "--data-dt", history.date_text(old))
    # What one machine has made is gone on from on the cluster.
    for table in TABLES:
        shutil.copytree(shop.warehouse / table, cluster.warehouse / table)
    (state,) = (shop.warehouse / "account_state").rglob("account-*.parquet")
    shop.put("b.json", as_ndjson(later))
    shop.collect()
    expected = shop.json("refresh", "--data-dt", history.date_text(day))
    assert expected["marked"] > 10 and expected["rewritten"] > 10
    cluster.take(shop)
    report = cluster.refresh(shop, history.date_text(day), history.date_text(old), int(state.name.split("-")[2]))
    check_tables(shop, cluster, history.date_text(day), tmp_path)
    for key in ("customers", "marked", "rewritten"):
        assert report[key] == expected[key]


def test_customers(tmp_path, cluster):
    """models/customers_cln.sql, on both engines."""
    rows = tmp_path / "customers.parquet"
    parquet.run(
        """COPY (SELECT 'f' || i % 3 AS file, i % 3 AS file_no, i AS line, i % 40 AS cust_id, NULL::VARCHAR AS home_store,
        CASE WHEN i % 7 = 0 THEN NULL ELSE '  Zoë "' || i || '"  ' END AS name, 'a@b' || i AS email, '"' || i || '"' AS card_no,
        DATE '2020-01-01' + i::INTEGER AS since, CASE WHEN i % 5 = 0 THEN NULL ELSE DATE '1970-01-01' + i::INTEGER END AS birth_date,
        CASE WHEN i % 2 = 0 THEN NULL ELSE 1950 + i::INTEGER END AS birth_year, ['M', 'F', 'N', NULL][1 + i % 4] AS gender
        FROM range(500) AS t(i)) TO '""" + f"{rows}' (FORMAT parquet)"
    )
    out = tmp_path / "expected.json"
    model = (ROOT / "models/customers_cln.sql").read_text()
    names = "cust_id, cust_nm, cust_email, cust_strt_dt, cust_member_card_no, cust_birth_dt, cust_birth_yr, cust_gender"
    parquet.run(
        f"CREATE VIEW customers AS SELECT * FROM read_parquet('{rows}')",
        f"COPY (SELECT {names} FROM ({model}) ORDER BY cust_id) TO '{out}' (FORMAT json)",
    )
    made = cluster.sql(
        f"CREATE TEMPORARY VIEW customers AS SELECT * FROM parquet.`{rows}`",
        f"model {ROOT / 'models'} customers_cln CREATE TEMPORARY VIEW made AS",
        f"rows SELECT {names} FROM made ORDER BY cust_id",
    )
    assert [json.loads(line.split(" ", 1)[1]) for line in made.splitlines()] == [json.loads(line) for line in out.read_text().splitlines()]


def test_interrupted(tmp_path, cluster):
    """SIGTERM ends Spark, and nothing of it is left."""
    script = cluster.dir / "script"
    script.write_text("SELECT count(*) FROM range(1000000000000)\n")
    process = cluster.start("sql", script)
    for line in process.stderr:
        if "a statement" in line and "Spark" not in line:
            break
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1 and "error -12: interrupted" in err
    assert list((cluster.dir / "tmp").glob("spark-??????")) == []


def test_what_fails_changes_nothing(pc, tmp_path, cluster):  # noqa: F811
    """While it runs, and before; a column that is not there: test_commands.test_load."""
    story = History(22, "2024-01-01", 10, 10, 100)
    shop = history_shop(pc, tmp_path / "shop")
    shop.put("a.json", as_ndjson(story.events))
    shop.collect()
    day = history.date_text(story.days()[-1])
    shop.json("rebuild", "--data-dt", day)
    cluster.take(shop)
    cluster.rebuild(shop, day)
    before = times(cluster)
    model = shop.dir / "models/loyalty.sql"
    good = model.read_text()
    line = next(i for i, text in enumerate(good.splitlines(), 1) if "a.orders " in text)
    model.write_text(good.replace("a.orders ", "a.orders / (a.orders - a.orders) "))
    err = cluster.run("rebuild", shop.dir, day, f"file://{cluster.warehouse}", code=1)
    assert f"{model}:{line}: " in err and "Division by zero" in err
    model.write_text(good.replace("SELECT\n", "SELECT FROM\n"))
    err = cluster.run("rebuild", shop.dir, day, f"file://{cluster.warehouse}", code=1)
    assert f"{model}" in err and "yntax" in err
    assert times(cluster) == before
    check_tables(shop, cluster, day, tmp_path)
