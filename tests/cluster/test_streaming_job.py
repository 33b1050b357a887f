"""Spark's streaming job on a real HDFS: the table that the shippers make (tests/spark/test_stream.py has what is done to the job)."""

import subprocess
import sys

from cluster import ROOT
from conftest import make_shop
from history import History, as_ndjson

sys.path.append(str(ROOT / "tests/spark"))
from test_spark import check_same  # noqa: E402

JOB = ROOT / "cluster/spark/transactions_stream.py"
ZONE = "Asia/Bangkok"
STORY = History(21, "2024-02-20", 4, 20, 200)
LIMIT_S = 1800  # what takes longer has hung; the machine may be slow


def make(pc, directory, hdfs, hbase, home, stream):
    shop = make_shop(pc, directory)
    shop.programme["timezone"] = ZONE
    shop.config["sources"] = [{"name": "till", "dir": "spool", "format": "ndjson", "settle_ms": 0}]
    shop.write_config(
        cluster={
            "edge": "e-1",
            "hdfs": {"url": hdfs.url, "path": f"{home}/{stream}", "user": "punchcard"},
            "hbase": {"url": hbase.url, "table_prefix": f"{stream}_"},
            "stream": stream,
        }
    )
    # All kinds of events; some belong to another day than in UTC.
    for i in range(2):
        shop.put(f"{i}.json", as_ndjson(STORY.events[i::2]))
        shop.ok("collect", "--once", timeout=LIMIT_S)
    return shop


def marks(hdfs, path):
    return sorted(s["pathSuffix"] for s in hdfs.rest("GET", f"{path}?op=LISTSTATUS&user.name=punchcard")["FileStatuses"]["FileStatus"])


def test_job(pc, tmp_path, hdfs, hbase, home, spark):
    for stream in ("punchcard", "spark"):
        make(pc, tmp_path / stream, hdfs, hbase, home, stream)
    words = [spark.bin / "spark-submit", "--master", "local[2]", "--properties-file", spark.conf, JOB]
    words += ["--path", f"{hdfs.rpc}{home}/spark", "--timezone", ZONE]
    done = subprocess.run(
        list(map(str, words)), env={**spark.environment(), "HADOOP_USER_NAME": "punchcard"}, cwd=tmp_path, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    for stream in ("punchcard", "spark"):
        hdfs.fs("-get", f"{home}/{stream}/warehouse", str(tmp_path / f"{stream}-warehouse"))
    assert check_same(tmp_path / "punchcard-warehouse", tmp_path / "spark-warehouse", "transactions_cln", tmp_path) > 200
    assert marks(hdfs, f"{home}/punchcard/edges/e-1") == marks(hdfs, f"{home}/spark/edges/e-1")
    owner = hdfs.rest("GET", f"{home}/spark/warehouse/transactions_cln?op=GETFILESTATUS&user.name=punchcard")["FileStatus"]["owner"]
    assert owner == "punchcard"
