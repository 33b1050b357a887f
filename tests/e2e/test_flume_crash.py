"""A Flume agent with every sink that keeps lines: each single system call that changes a file fails, or is the last one before
SIGKILL, and one more run makes of it what an untouched run would have made: each line once in each sink.

As test_crash_points.py, which has the library and the build.
"""

import os
import random
import shutil

import pytest
from conftest import environment, lines, make_shop
from test_crash_points import FAIL_CALL, SEED, WAYS, place, release  # noqa: F401 (fixtures)
from test_flume import sink_lines

DRAWN = 8
CONF = """a.sources = s
a.channels = c d e
a.sinks = h f t
a.sources.s.type = spooldir
a.sources.s.channels = c d e
a.sources.s.spoolDir = spool
a.channels.c.type = memory
a.channels.d.type = file
a.channels.e.type = file
a.sinks.h.type = hdfs
a.sinks.h.channel = c
a.sinks.h.hdfs.path = /lake/%Y
a.sinks.h.hdfs.useLocalTimeStamp = true
a.sinks.h.hdfs.fileType = DataStream
a.sinks.h.hdfs.rollCount = 20
a.sinks.f.type = file_roll
a.sinks.f.channel = d
a.sinks.f.sink.directory = rolled
a.sinks.t.type = hbase
a.sinks.t.channel = e
a.sinks.t.table = raw
a.sinks.t.columnFamily = f
"""


def run(shop, at=None, how="EIO", log=None):
    env = environment()
    if at is not None:
        env.update(
            LD_PRELOAD=str(FAIL_CALL), PUNCHCARD_FAIL_AT=str(at), PUNCHCARD_FAIL_HOW=how, PUNCHCARD_FAIL_LOG=str(log)
        )
    args = ["collect", "--once", "--flume-conf", shop.dir / "a.conf", "--agent", "a"]
    return shop.pc.end(shop.pc.start("-C", shop.dir, *args, env=env))


def check_whole(shop, want, where):
    for directory in (shop.warehouse / "lake", shop.dir / "rolled"):
        assert sorted(sink_lines(directory)) == want, f"{directory}: {where}"
    assert sorted(row[0] for row in shop.sql("SELECT value FROM raw")) == want, where
    assert shop.value("SELECT count(*) FROM transactions_cln") == len(want), where
    left = [p for p in shop.dir.rglob("*") if p.is_file() and ("@" in str(p) or p.name.endswith(".tmp"))]
    assert left == [], f"{left}: {where}"


@pytest.mark.parametrize("how", WAYS)
def test_any_call(release, place, how):  # noqa: F811
    base = make_shop(release, place / "base", journal={"retention_hours": 0})
    (base.dir / "a.conf").write_text(CONF)
    want = []
    for i in range(3):
        text = lines(25, start=1_700_000_000 + 100_000 * i)
        base.put(f"{i}.txt", text)
        want += text.splitlines()
    want.sort()
    log = place / "log"

    def trial(name):
        shutil.copytree(base.dir, place / name)
        shop = type(base)(release, place / name)
        return shop

    shop = trial("whole")
    assert run(shop, 0, log=log).code == 0
    calls = int(log.read_text().split()[1])
    check_whole(shop, want, "whole")
    points = list(range(1, calls + 1))
    if not os.environ.get("PUNCHCARD_ALL_CALLS"):
        points = sorted(random.Random(f"{SEED} {how}").sample(points, min(DRAWN, calls)))
    for at in points:
        log.unlink(missing_ok=True)
        shop = trial(f"at-{at}")
        broken = run(shop, at, how, log)
        where = f"{how} at {log.read_text() if log.exists() else at}: {broken!r}"
        again = run(shop)
        assert again.code == 0, f"{again!r}\nafter {where}"
        check_whole(shop, want, where)
        # Nothing is held any more: all that was taken may go.
        assert run(shop).code == 0
        check_whole(shop, want, where)
        shutil.rmtree(shop.dir)
    shutil.rmtree(base.dir)
    shutil.rmtree(place / "whole")
