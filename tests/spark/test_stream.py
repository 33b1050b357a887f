"""transactions_cln by Spark's job and by the shippers: the same rows, each once, wherever the job is killed."""

import os
import pathlib
import signal
import subprocess
import time

import pytest
from test_spark import QUICK, ROOT, SPARK, TIMEOUT_S, Shop, check_same, environment, pc  # noqa: F401  (it finds what tests/e2e has)

from history import History, as_ndjson

JOB = ROOT / "cluster/spark/transactions_stream.py"

pytestmark = pytest.mark.skipif(not SPARK, reason="PUNCHCARD_SPARK names no Spark")


class Edge(Shop):
    """A deployment with two sources, whose cluster is a directory; `stream`: who makes the table. None: it is one machine."""

    def __init__(self, pc, directory, stream):
        assert pc("init", directory).code == 0
        super().__init__(pc, directory)
        self.lake = directory.parent / f"lake-{stream}"
        url = f"file://{self.lake}"
        self.config["sources"] = [
            {"name": name, "dir": name, "format": form, "settle_ms": 0} for name, form in (("till", "classic"), ("web-2", "ndjson"))
        ]
        self.programme["timezone"] = "Asia/Bangkok"  # so that some events belong to another day than in UTC
        java = f"-Dderby.system.home={self.lake} {os.environ.get('PUNCHCARD_SPARK_JAVA_OPTIONS', '')}"
        conf = ["spark.driver.memory=1g", "spark.sql.shuffle.partitions=2", *QUICK, f"spark.driver.extraJavaOptions={java}"]
        cluster = {
            "edge": "e-1",
            "hdfs": {"url": url, "path": "/p"},
            "hbase": {"url": f"{url}/cells"},
            "spark": {"command": [f"{SPARK}/bin/spark-sql"], "master": "local[2]", "conf": conf},
            "stream": stream,
        }
        self.raw_of(cluster, "json")

    def raw_of(self, cluster, how):
        """What raw events are from now on: lines of JSON as they are, or compressed."""
        cluster["hdfs"]["raw"] = how
        self.write_config(**({"cluster": cluster} if cluster["stream"] else {}))

    def rebuild(self, day):
        env = environment(SPARK_HOME=str(pathlib.Path(SPARK).resolve()), SPARK_LOCAL_IP="127.0.0.1", SPARK_CONF_DIR="/nonexistent")
        self.ok("rebuild", "--data-dt", day, timeout=TIMEOUT_S, env=env)

    def bring(self, name, classic, events):
        if "cluster" in self.config:
            self.raw_of(self.config["cluster"], "gzip" if name == "1" else "json")
        (self.dir / "till" / f"{name}.txt").write_text(classic)
        (self.dir / "web-2" / f"{name}.json").write_text(as_ndjson(events))
        self.collect()

    @property
    def warehouse(self):
        return self.lake / "p/warehouse" if "cluster" in self.config else super().warehouse


class Job:
    def __init__(self, edge, work, *options):
        self.edge = edge
        (work / "tmp").mkdir(parents=True, exist_ok=True)
        env = environment(
            SPARK_HOME=str(pathlib.Path(SPARK).resolve()), SPARK_LOCAL_IP="127.0.0.1", SPARK_CONF_DIR="/nonexistent", TMPDIR=str(work / "tmp")
        )
        python = pathlib.Path(SPARK) / "../../../../../bin/python3"  # of the venv that Spark is in, if it is in one
        env["PYSPARK_PYTHON"] = str(python.resolve().parent / "python3") if python.exists() else "python3"
        settings = ["spark.driver.memory=1g", "spark.sql.shuffle.partitions=2", "spark.ui.enabled=false", *QUICK, f"spark.local.dir={work}/tmp"]
        java = f"-XX:TieredStopAtLevel=1 -Dderby.system.home={work} {os.environ.get('PUNCHCARD_SPARK_JAVA_OPTIONS', '')}".strip()
        words = [f"{SPARK}/bin/spark-submit", "--master", "local[2]", "--driver-java-options", java]
        for setting in settings:
            words += ["--conf", setting]
        words += [str(JOB), "--path", f"file://{edge.lake}/p", "--timezone", edge.programme["timezone"], *options]
        self.process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env, cwd=work, text=True,
            start_new_session=True,
        )  # fmt: skip

    def wait(self):
        out, _ = self.process.communicate(timeout=TIMEOUT_S)
        assert self.process.returncode == 0, out[-4000:]

    def kill_when(self, condition):
        end = time.monotonic() + TIMEOUT_S
        while not condition():
            assert self.process.poll() is None and time.monotonic() < end, self.process.communicate()[0][-4000:]
            time.sleep(0.02)
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


def files(edge):
    return sorted(str(path.relative_to(edge.warehouse)) for path in edge.warehouse.glob("transactions_cln/data_dt=*/*.parquet"))


def test_both_make_the_same(pc, tmp_path):  # noqa: F811
    shipped, streamed = (Edge(pc, tmp_path / stream, stream) for stream in ("punchcard", "spark"))
    alone = Edge(pc, tmp_path / "alone", None)
    story = History(21, "2024-02-20", 20, 30, 400)
    parts = [story.events[i::3] for i in range(3)]
    for i, part in enumerate(parts[:2]):
        for edge in (alone, shipped, streamed):
            edge.bring(f"{i}", f"1|latte 70|{1_700_000_000 + i}\n0|tea 30.50|1700000100\n", part)
    job = Job(streamed, tmp_path / "work", "--max-files", "1")
    job.kill_when(lambda: files(streamed))
    assert not list((streamed.lake / "p/edges/e-1").glob("hdfs-table-*"))
    Job(streamed, tmp_path / "work", "--max-files", "1").wait()
    check_same(shipped.warehouse, streamed.warehouse, "transactions_cln", tmp_path)
    # More comes, and the checkpoint is lost: what is there is found by its name.
    had = files(streamed)
    for edge in (alone, shipped, streamed):
        edge.bring("2", "5|mocha 80|1700090000\n", parts[2])
    for path in sorted((streamed.lake / "p/_stream").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    Job(streamed, tmp_path / "work").wait()
    assert check_same(shipped.warehouse, streamed.warehouse, "transactions_cln", tmp_path) > 400
    assert set(had) < set(files(streamed))
    assert all(name.endswith((".till.parquet", ".web-2.parquet")) for name in files(streamed))
    marks = [sorted(path.name for path in (edge.lake / "p/edges/e-1").glob("hdfs-table-*")) for edge in (shipped, streamed)]
    assert marks[0] == marks[1]
    # What is made of the table is the same, too.
    for edge in (alone, streamed):
        edge.rebuild("2024-03-31")
    for table in ("ledger", "balances", "account_state"):
        assert check_same(alone.warehouse, streamed.warehouse, table, tmp_path) > 0


def test_another_time_zone(pc, tmp_path):  # noqa: F811
    """The checkpoint is lost, and the days are others: each row is in the table once all the same, on its new day."""
    shipped, streamed = (Edge(pc, tmp_path / stream, stream) for stream in ("punchcard", "spark"))
    story = History(22, "2024-02-20", 4, 10, 100)
    for edge in (shipped, streamed):
        edge.bring("0", "1|latte 70|1700000000\n0|tea 30.50|1700070000\n", story.events)
    right = streamed.programme["timezone"]
    streamed.programme["timezone"] = "America/Los_Angeles"
    Job(streamed, tmp_path / "work").wait()
    others = files(streamed)
    for path in sorted((streamed.lake / "p/_stream").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    streamed.programme["timezone"] = right
    Job(streamed, tmp_path / "work").wait()
    assert set(others) - set(files(streamed))
    assert check_same(shipped.warehouse, streamed.warehouse, "transactions_cln", tmp_path) > 100
