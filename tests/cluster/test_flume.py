"""The original's two agents beside real servers: files in HDFS, rows in HBase, each line once."""

import base64
import json
import pathlib

from cluster import get
from conftest import ROOT, classic, environment, make_shop

HERE = pathlib.Path(ROOT) / "tests/e2e/flume"
BOTH = ["--flume-conf", HERE / "tier1.conf", "--agent", "tier1", "--flume-conf", HERE / "tier2.conf", "--agent", "tier2"]


def text_of(value):
    return base64.b64decode(value).decode()


def hdfs_lines(hdfs, path):
    names = [s["pathSuffix"] for s in hdfs.rest("GET", f"{path}?op=LISTSTATUS&user.name=punchcard")["FileStatuses"]["FileStatus"]]
    names = [name for name in names if not name.startswith("_")]
    read = [get(f"{hdfs.url}/webhdfs/v1{path}/{name}?op=OPEN&user.name=punchcard", 30).decode() for name in sorted(names)]
    assert all(read), names
    return "".join(read).splitlines()


def hbase_rows(hbase, table):
    rows = json.loads(get(f"{hbase.url}/{table}/*", 30, {"Accept": "application/json"}))["Row"]
    mark = b"\xff"  # the row that ends a table (src/store/cells.h)
    rows = [row for row in rows if not base64.b64decode(row["key"]).startswith(mark)]
    return {text_of(row["key"]): {text_of(cell["column"]): text_of(cell["$"]) for cell in row["Cell"]} for row in rows}


def test_the_originals_agents(pc, tmp_path, hdfs, hbase, home):
    user = f"user.name={hdfs.superuser()}"
    hdfs.rest("DELETE", f"/tmp/flume?op=DELETE&recursive=true&{user}")
    hdfs.rest("PUT", f"/tmp/flume?op=MKDIRS&permission=777&{user}")
    shop = make_shop(pc, tmp_path / "shop")
    shop.write_config(
        cluster={
            "edge": "e1",
            "hdfs": {"url": hdfs.url, "path": home, "user": "punchcard"},
            "hbase": {"url": hbase.url, "table_prefix": "flume_test_"},
        }
    )
    spool = tmp_path / "spool"
    want = {}
    for directory in ("one", "two"):
        (spool / directory).mkdir(parents=True)
    for i in range(40):
        name, line = f"order_{i:03}.txt", classic(i % 7 + 1, "latte", 70, 1_600_000_000 + i)
        want[f"e1/flume-tier2-src-2/{name}:1"] = line.strip()
        for directory in ("one", "two"):
            (spool / directory / name).write_text(line)
    for _ in range(2):  # the second time there is nothing new
        shop.ok("collect", "--once", *BOTH, env=environment(SPOOL=str(spool)), timeout=300)
        assert sorted(hdfs_lines(hdfs, "/tmp/flume/sink")) == sorted(want.values())
    rows = hbase_rows(hbase, "spooled_table")
    assert {key: cells.get("spool_cf:col1") for key, cells in rows.items()} == want
