"""Flume's own configuration: agents run as they are, every line once in every sink, and what is wrong is said with its line."""

import gzip
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import time

import pytest
from conftest import environment, lines
from daemon import wait_for

HERE = pathlib.Path(__file__).parent / "flume"
BOTH = ["--flume-conf", HERE / "tier1.conf", "--agent", "tier1", "--flume-conf", HERE / "tier2.conf", "--agent", "tier2"]
MENU = [("espresso", 65), ("cappucino", 90), ("mocha", 80), ("latte", 70), ("chocolate", 60), ("greentea", 60)]


@pytest.fixture
def spool(tmp_path):
    for name in ("one", "two"):
        (tmp_path / "in" / name).mkdir(parents=True)
    return tmp_path / "in"


def order(seconds, customer):
    """A file as the original's generator writes it: one line."""
    menu, price = MENU[seconds % len(MENU)]
    return f"order_{seconds}.txt", f"{customer}|{menu} {price}|{seconds}\n"


def put(directory, name, content):
    hidden = directory / f".{name}.tmp"
    hidden.write_bytes(content if isinstance(content, bytes) else content.encode())
    hidden.rename(directory / name)


def start(shop, spool, *args):
    return shop.start("collect", *args, env=environment(SPOOL=str(spool)))


def stop(shop, process, code=0):
    process.send_signal(signal.SIGTERM)
    result = shop.pc.end(process)
    result.check_health()
    assert result.code == code, result
    return result


def once(shop, spool, *args, code=0):
    return shop.ok("collect", "--once", *args, code=code, env=environment(SPOOL=str(spool)))


def sink_files(directory):
    """Files that a reader sees, by name; none is hidden or empty."""
    return {p.name: p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file() and not p.name.startswith(".")}


def sink_lines(directory):
    return b"".join(sink_files(directory).values()).decode().splitlines()


def waiting(directory):
    return [p for p in directory.iterdir() if not p.name.startswith(".") and not p.name.endswith(".COMPLETED")]


def test_check_says_what_becomes_of_each_setting(pc, tmp_path):
    result = pc("collect", *BOTH[:4], "--check")
    assert result.code == 0, result
    assert "tier1.conf:20: tier1.sinks.snk-1.hdfs.fileType = DataStream" in result.out
    assert "a memory channel is the journal here" in result.out
    assert "refused" not in result.out
    assert pc("collect", *BOTH, "--check").code == 0
    result = pc("collect", "--flume-conf", HERE / "tier1.conf", "--agent", "tier9", "--check")
    assert result.code == 2 and "there is no agent tier9; it has tier1" in result.err


def test_the_original_agents_run(shop, spool):
    """Both at once, in one deployment: orders in files of HDFS, in the table of HBase, and in ours."""
    want = []
    for i in range(20):
        name, text = order(1_700_000_000 + 30 * i, 1 + i % 5)
        put(spool / "one", name, text)
        put(spool / "two", name, text)
        want.append((name, text.strip()))
    result = once(shop, spool, *BOTH)
    assert "total: 40 lines read = 40 taken (40 events)" in result.out
    sink = shop.warehouse / "tmp/flume/sink"
    assert sink_lines(sink) == [line for _, line in want]
    assert all(name.startswith("FlumeData.") for name in sink_files(sink))
    rows = shop.sql("SELECT row_key, cell, value FROM spooled_table ORDER BY row_key")
    assert rows == sorted((f"flume-tier2-src-2/{name}:1", "spool_cf:col1", line) for name, line in want)
    # A row is its order.
    assert shop.value(
        "SELECT count(*) FROM spooled_table JOIN transactions_cln ON row_key = source || '/' || event_id"
    ) == len(want)
    assert shop.sql("SELECT source, count(*) FROM transactions_cln GROUP BY source ORDER BY source") == [
        ("flume-tier1-src-1", 20),
        ("flume-tier2-src-2", 20),
    ]
    assert shop.json("customer", "1")["orders"] == 8
    assert waiting(spool / "one") == [] and waiting(spool / "two") == []
    own, *agents = shop.json("status")["sources"]
    assert (own["name"], own["configured"]) == ("till", True)
    assert [(s["name"], s["type"], s["configured"], s["files"], s["lines"]) for s in agents] == [
        ("flume-tier1-src-1", "spool", False, 20, 20),
        ("flume-tier2-src-2", "spool", False, 20, 20),
    ]
    assert "flume-tier1-src-1 (spool, not in punchcard.yaml: a Flume agent's)" in shop.ok("status").out
    # Again: nothing comes twice, and the deployment's own sources are as before.
    once(shop, spool, *BOTH)
    assert len(sink_lines(sink)) == 20
    shop.put("own.txt", lines(5))
    assert shop.collect()["orders"] == 5
    assert len(sink_lines(sink)) == 20
    shop.ok("audit")


def test_until_sigterm(shop, spool):
    process = start(shop, spool, *BOTH)
    for i in range(5):
        name, text = order(1_700_000_000 + 30 * i, 3)
        put(spool / "one", name, text)
        put(spool / "two", name, text)
    wait_for("taken", lambda: not waiting(spool / "one") and not waiting(spool / "two"))
    wait_for("rows", lambda: (shop.dir / "data/rows").exists() and shop.value("SELECT count(*) FROM spooled_table") == 5)
    stop(shop, process)
    # Flume lost 900 of 1,000 on a clean stop.
    assert len(sink_lines(shop.warehouse / "tmp/flume/sink")) == 5


def test_killed_again_and_again(shop, spool, tmp_path):
    """SIGKILL at any moment: each line is once in each sink and once in the table."""
    rng = random.Random(11)
    conf = tmp_path / "tier1.conf"
    conf.write_text(
        (HERE / "tier1.conf").read_text() + "tier1.sinks.snk-1.hdfs.rollInterval = 1\ntier1.sinks.snk-1.hdfs.rollCount = 7\n"
    )
    agents = ["--flume-conf", conf, "--agent", "tier1", *BOTH[4:]]
    want = []
    for turn in range(5):
        process = start(shop, spool, *agents)
        for i in range(6):
            seconds = 1_700_000_000 + 1000 * turn + 30 * i
            text = lines(25, start=seconds * 1 + i)
            for directory in ("one", "two"):
                put(spool / directory, f"order_{seconds}.txt", text)
            want += text.splitlines()
            time.sleep(rng.random() * 0.2)
        wait_for("some were taken", lambda: len(waiting(spool / "one")) < 6)
        time.sleep(rng.random() * 1.5)
        process.kill()
        process.communicate()
    once(shop, spool, *agents)
    sink = shop.warehouse / "tmp/flume/sink"
    assert sorted(sink_lines(sink)) == sorted(want)
    assert max(text.count(b"\n") for text in sink_files(sink).values()) <= 7
    assert shop.value("SELECT count(*) FROM spooled_table") == len(want)
    assert sorted(row[0] for row in shop.sql("SELECT value FROM spooled_table")) == sorted(want)
    assert shop.value("SELECT count(*) FROM transactions_cln WHERE source = 'flume-tier1-src-1'") == len(want)
    assert [p.name for p in sink.rglob(".*") if p.is_file()] == []
    shop.ok("audit")


ALL_SINKS = """
a.sources = s
a.channels = c d e f g
a.sinks = roll packed log nothing table
a.sources.s.type = SPOOLDIR
a.sources.s.channels = c d e f g
a.sources.s.spoolDir = {spool}/one
a.sources.s.ignorePattern = ^.*\\\\.bak$
a.sources.s.interceptors = i
a.sources.s.interceptors.i.type = static
a.sources.s.interceptors.i.key = where
a.sources.s.interceptors.i.value = bangkok
a.channels.c.type = memory
a.channels.d.type = file
a.channels.e.type = memory
a.channels.f.type = memory
a.channels.g.type = file
a.sinks.roll.type = file_roll
a.sinks.roll.channel = c
a.sinks.roll.sink.directory = {spool}/out
a.sinks.packed.type = hdfs
a.sinks.packed.channel = d
a.sinks.packed.hdfs.path = hdfs://localhost:8020/lake/%{{where}}/day=%Y-%m-%d
a.sinks.packed.hdfs.useLocalTimeStamp = true
a.sinks.packed.hdfs.fileType = CompressedStream
a.sinks.packed.hdfs.codeC = gzip
a.sinks.log.type = logger
a.sinks.log.channel = e
a.sinks.nothing.type = null
a.sinks.nothing.channel = f
a.sinks.table.type = asynchbase
a.sinks.table.channel = g
a.sinks.table.table = raw
a.sinks.table.columnFamily = f
"""

# What stops Flume's source, or what it cuts, destroys or leaves out (docs/flume.md).
ODD = b"plain\n\n\xff\xfe no UTF-8\nwith\rreturn\r\n" + b"x" * 2048 + b"\n" + b"y" * 5000 + b"\nlast without an end"


def test_every_sink_and_any_bytes(shop, spool):
    conf = spool / "a.conf"
    conf.write_text(ALL_SINKS.format(spool=spool))
    put(spool / "one", "odd", ODD)
    put(spool / "one", "empty", b"")
    put(spool / "one", "left.bak", b"no\n")
    os.utime(spool / "one" / "odd", (time.time() - 60, time.time() - 60))
    result = once(shop, spool, "--flume-conf", conf, "--agent", "a", "--format", "lines")
    assert list(sink_files(spool / "out").values()) == [ODD + b"\n"]
    ((name, packed),) = sink_files(shop.warehouse / "lake/bangkok").items()
    assert name.endswith(".gz") and gzip.decompress(packed) == ODD + b"\n"
    assert list((shop.warehouse / "lake/bangkok").iterdir())[0].name.startswith("day=20")
    assert shop.value("SELECT count(*) FROM raw") == 7
    assert result.err.count("event") >= 7 and "plain" in result.err
    assert shop.value("SELECT count(*) FROM transactions_cln") == 0 and shop.reasons() == {}
    assert (spool / "one/left.bak").exists()
    # The name again, with other lines: Flume dies of it.
    put(spool / "one", "odd", b"other\n")
    once(shop, spool, "--flume-conf", conf, "--agent", "a", "--format", "lines")
    assert shop.value("SELECT count(*) FROM raw") == 8
    assert sorted(sink_files(spool / "out").values()) == sorted([ODD + b"\n", b"other\n"])
    # Each line stands in the log, however many a minute.
    put(spool / "one", "many", "".join(f"line {i} of many\n" for i in range(200)))
    result = once(shop, spool, "--flume-conf", conf, "--agent", "a", "--format", "lines")
    assert result.err.count(" of many") == 200 and "repeated" not in result.err


REFUSED = [
    ("a.channels.c.transactionCapacity = 5000", "f.conf:12", "larger than capacity (100)"),
    ("a.channels.c.transactionCapacity = 50", "f.conf:12", "Flume would not start"),
    ("a.sources.s.batchSize = many", "f.conf:12", "expected a whole number"),
    ("a.sources.s.selector.type = multiplexing", "f.conf:12", "each channel gets every line"),
    ("a.sources.s.interceptors = x\na.sources.s.interceptors.x.type = regex_filter", "f.conf:13", "only interceptors"),
    ("a.sources.s.includePattern = (?i).*", "f.conf:12", "only Java's"),
    ("a.sources.s.deserializer = AVRO", "f.conf:12", "expected LINE"),
    ("a.sinks.k.channel = x", "f.conf:12", "no channel that the agent has"),
    ("a.sinks = k m\na.sinks.m.type = logger\na.sinks.m.channel = c", "f.conf:14", "Flume shares its lines out"),
    ("a.sinks.k.hdfs.fileType = SequenceFile", "f.conf:12", "only text is written"),
    ("a.sinks.k.hdfs.path = /transactions_cln", "f.conf:12", "a table of that name"),
    ("a.sinks.k.hdfs.path = /x/../y", "f.conf:12", "without '..'"),
    ("a.sinks.k.hdfs.path = /x/%{host}", "f.conf:12", "%{host} cannot be filled in"),
    ("a.sinks.k.hdfs.path = /x/%Y", "f.conf:12", "hdfs.useLocalTimeStamp"),
    ("a.sinks.k.type = solr", "f.conf:12", "no such type"),
    ("a.sources.s.type = netcat", "f.conf:12", "it has no bind"),
    ("a.sources.s.type = netcat\na.sources.s.bind = ::1\na.sources.s.port = 70000", "f.conf:14", "1 to 65535"),
    ("a.sources.s.type = netcat\na.sources.s.bind = x\na.sources.s.port = 1\na.sources.s.encoding = UTF-16", "f.conf:15", "expected utf-8"),
    ("a.sources.s.type = http\na.sources.s.port = 1\na.sources.s.ssl = true", "f.conf:14", "no TLS"),
    ("a.sources.s.type = http\na.sources.s.port = 1\na.sources.s.handler = com.x.Y", "f.conf:14", "JSONHandler"),
    ("a.sources.s.type = netcatudp", "f.conf:12", "no such type"),
    ("a.sinkgroups = g", "f.conf:12", "sink groups"),
    ("a.sources.s.spoolDir = \\u00zz", "f.conf:12", "four hexadecimal digits"),
]


@pytest.mark.parametrize(("more", "where", "why"), REFUSED)
def test_refused(pc, tmp_path, more, where, why):
    conf = tmp_path / "f.conf"
    base = """a.sources = s
a.channels = c
a.sinks = k
a.sources.s.type = spooldir
a.sources.s.spoolDir = /tmp/none
a.sources.s.channels = c
a.channels.c.type = memory
a.sinks.k.type = hdfs
a.sinks.k.channel = c
a.sinks.k.hdfs.path = /x
a.sinks.k.hdfs.fileType = DataStream
"""
    conf.write_text(base)
    assert pc("collect", "--flume-conf", conf, "--agent", "a", "--check").code == 0
    conf.write_text(base + more + "\n")
    result = pc("collect", "--flume-conf", conf, "--agent", "a", "--check")
    assert result.code == 2, result
    said = result.out + result.err
    assert where in said and why in said, result


def test_odd_settings_are_said(pc, tmp_path):
    conf = tmp_path / "f.conf"
    conf.write_text(
        """a.sources = s ghost
a.channels = c
a.sinks = k
a.sources.s.type = spooldir
a.sources.s.spoolDir = /tmp/none
a.sources.s.spooldir = /tmp/none
a.sources.s.channels = c
a.channels.c.type = memory
a.channels.c.capacity = 10
a.channels.c.capacity = 200 # events
a.channels.c.capacity = 200
a.sinks.k.type = null
a.sinks.k.channel = c
a.sinks.other.type = null
"""
    )
    result = pc("collect", "--flume-conf", conf, "--agent", "a", "--check")
    assert result.code == 0, result
    for text in (
        "ghost is listed, but nothing describes it",
        "spooldir knows no such key",
        "line 10 has the same key",
        "it describes what is not listed",
    ):
        assert text in result.out, result


def test_usage(pc):
    for args in (["--check"], ["--agent", "a"], ["--flume-conf", "x"], [*BOTH[:4], "--agent", "tier1", "--check"]):
        assert pc("collect", *args).code == 2
    assert pc("collect", "--flume-conf", "/none", "--agent", "a", "--check").code == 2
    assert pc("collect", *BOTH[:4], "--format", "pos", "--check").code == 2


def test_programs_and_files_that_grow(shop, spool):
    """exec and TAILDIR; the lines of orders are orders, too."""
    (spool / "logs").mkdir()
    log = spool / "logs/till-1.log"
    log.write_text(lines(3))
    (spool / "program").write_text(f"printf '%s' '{lines(2, customers=2)}'\nexec sleep 1000\n")
    conf = spool / "a.conf"
    conf.write_text(
        f"""a.sources = x t
a.channels = c d
a.sinks = k l
a.sources.x.type = exec
a.sources.x.command = /bin/sh {spool}/program
a.sources.x.restart = true
a.sources.x.channels = c
a.sources.t.type = TAILDIR
a.sources.t.channels = c d
a.sources.t.filegroups = f
a.sources.t.filegroups.f = {spool}/logs/till.*\\\\.log
a.channels.c.type = memory
a.channels.d.type = memory
a.sinks.k.type = file_roll
a.sinks.k.channel = c
a.sinks.k.sink.directory = {spool}/all
a.sinks.k.sink.rollInterval = 1
a.sinks.l.type = hbase
a.sinks.l.channel = d
a.sinks.l.table = logs
a.sinks.l.columnFamily = f
"""
    )
    refused = shop.run("collect", "--once", "--flume-conf", conf, "--agent", "a")
    assert refused.code == 2 and "is of type exec" in refused.err
    process = start(shop, spool, "--flume-conf", conf, "--agent", "a")
    wait_for("all", lambda: (spool / "all").exists() and len(sink_lines(spool / "all")) == 5)
    with log.open("a", encoding="utf-8") as out:
        out.write(lines(4, start=1_700_100_000))
    wait_for("more", lambda: len(sink_lines(spool / "all")) == 9)
    stop(shop, process)
    assert sorted(sink_lines(spool / "all")) == sorted(
        (lines(3) + lines(2, customers=2) + lines(4, start=1_700_100_000)).splitlines()
    )
    assert shop.value("SELECT count(*) FROM logs") == 7
    assert shop.sql("SELECT source, count(*) FROM transactions_cln GROUP BY source ORDER BY source") == [
        ("flume-a-t-f", 7),
        ("flume-a-x", 2),
    ]


PORTS = """a.sources = n h b
a.channels = c d
a.sinks = k r
a.sources.n.type = netcat
a.sources.n.bind = 127.0.0.1
a.sources.n.port = {n}
a.sources.n.max-line-length = 100
a.sources.n.channels = c d
a.sources.h.type = org.apache.flume.source.http.HTTPSource
a.sources.h.bind = 127.0.0.1
a.sources.h.port = {h}
a.sources.h.channels = c d
a.sources.b.type = http
a.sources.b.bind = 127.0.0.1
a.sources.b.port = {b}
a.sources.b.handler = org.apache.flume.source.http.BLOBHandler
a.sources.b.channels = c d
a.channels.c.type = memory
a.channels.d.type = memory
a.sinks.k.type = file_roll
a.sinks.k.channel = c
a.sinks.k.sink.directory = {out}
a.sinks.k.sink.rollInterval = 1
a.sinks.r.type = hbase
a.sinks.r.channel = d
a.sinks.r.table = ports
a.sinks.r.columnFamily = f
"""


def free_ports(n):
    probes = [socket.socket() for _ in range(n)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def wait_for_port(port):
    def is_there():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_for(f"port {port}", is_there)


class Netcat:
    """One connection."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.answers = self.socket.makefile("rb")

    def say(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def hear(self):
        return self.answers.readline().decode()

    def close(self):
        self.answers.close()
        self.socket.close()


def post(port, body, path="/", method="POST", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    result = answer.status, answer.read()
    connection.close()
    return result


def test_ports(shop, spool):
    """netcat and HTTP: answered when it is durable, through a kill; all of it in the sinks, and orders in the tables."""
    n, h, b = free_ports(3)
    conf = spool / "a.conf"
    conf.write_text(PORTS.format(n=n, h=h, b=b, out=spool / "out"))
    agent = ["--flume-conf", conf, "--agent", "a"]
    want = []
    process = start(shop, spool, *agent)
    wait_for_port(b)
    till = Netcat(n)
    for i in range(3):
        text = f"{i}|latte 70|{1_700_000_000 + i}"
        till.say(text + "\n")
        assert till.hear() == "OK\n"
        want.append(text)
    events = [{"headers": {"host": "x"}, "body": f"7|mocha 80|{1_700_000_100 + i}"} for i in range(200)]
    assert post(h, json.dumps(events), path="/any", Content_Type="application/json; charset=UTF-8") == (200, b"")
    want += [event["body"] for event in events]
    # Right behind the answers: nothing of it is lost.
    process.kill()
    process.communicate()
    till.close()
    process = start(shop, spool, *agent)
    wait_for_port(b)
    assert post(b, b"8|latte 70|1700000200\nnot an order \xff\n")[0] == 200
    want += ["8|latte 70|1700000200", "not an order \ufffd"]
    for body, status in ((b"{}", 400), (b'[{"body": {}}]', 400), (b"[", 400), (b"[]", 200)):
        assert post(h, body)[0] == status, body
    assert post(h, b"[]", Content_Type="application/json; charset=UTF-16")[0] == 415
    assert post(h, None, method="GET")[0] == 405
    till = Netcat(n)
    till.say("9|latte 70|1700000300\n" + "x" * 200 + "\n")
    assert till.hear() == "OK\n"
    assert till.hear() == "FAILED: Event exceeds the maximum length (100 chars, including newline)\n"
    assert till.hear() == ""
    till.close()
    want.append("9|latte 70|1700000300")
    till = Netcat(n)
    till.say("10|latte 70|1700000400\n11|lat")
    assert till.hear() == "OK\n"
    want.append("10|latte 70|1700000400")
    process.send_signal(signal.SIGTERM)
    assert till.hear() == ""
    till.close()
    result = shop.pc.end(process)
    assert result.code == 0, result
    have = b"".join(sink_files(spool / "out").values()).decode(errors="replace").splitlines()
    assert sorted(have) == sorted(want)
    rows = shop.sql("SELECT row_key FROM ports WHERE row_key LIKE 'flume-a-n/tcp-%:1' OR row_key LIKE 'flume-a-h/http-%:200'")
    assert len(rows) == 4, rows
    assert shop.sql("SELECT source, count(*) FROM transactions_cln GROUP BY source ORDER BY source") == [
        ("flume-a-b", 1),
        ("flume-a-h", 200),
        ("flume-a-n", 5),
    ]
    assert shop.value("SELECT count(*) FROM quarantine") == 1
    shop.ok("audit")


# --- on a cluster, of which a directory takes the place ---


@pytest.fixture
def edge(shop, tmp_path):
    """A deployment whose cluster is the directory lake beside it."""
    shop.lake = tmp_path / "lake"
    shop.cluster = {
        "edge": "e1",
        "hdfs": {"url": f"file://{shop.lake}", "path": "/user/punchcard"},
        "hbase": {"url": f"file://{tmp_path}/hbase"},
    }
    shop.write_config(cluster=shop.cluster)
    return shop


def cells(directory):
    """Values of all cells of an LMDB environment that stands for HBase: what is not of a key's form is none."""
    return (directory / "data.mdb").read_bytes()


def test_the_originals_agents_on_a_cluster(edge, spool, tmp_path):
    want = []
    for seconds in range(1_600_000_000, 1_600_000_030, 3):
        name, line = order(seconds, seconds % 9 + 1)
        want.append(line.strip())
        for directory in ("one", "two"):
            put(spool / directory, name, line)
    once(edge, spool, *BOTH)
    sink = edge.lake / "tmp/flume/sink"
    assert sink_lines(sink) == want
    assert all(name.startswith("FlumeData.e1.tier1.snk-1.") for name in sink_files(sink))
    rows = cells(tmp_path / "hbase-tables")
    assert b"spooled_table" in rows and b"spool_cf:col1" in rows
    for line in want:
        assert line.encode() in rows and f"e1/flume-tier2-src-2/order_{line.split('|')[2]}.txt:1".encode() in rows
    assert not (edge.warehouse / "tmp").exists() and not (edge.dir / "data/rows").exists()
    # Again: nothing comes twice.
    once(edge, spool, *BOTH)
    assert sink_lines(sink) == want


def test_a_killed_agent_on_a_cluster(edge, spool):
    """Killed while it writes, and while what is written is sent."""
    want = []
    process = start(edge, spool, *BOTH[:4])
    for i in range(8):
        name, line = order(1_600_000_000 + i, i + 1)
        want.append(line.strip())
        put(spool / "one", name, line)
        wait_for("it is taken", lambda: not waiting(spool / "one"))
        process.kill()
        process.wait()
        process = start(edge, spool, *BOTH[:4])
    process.kill()
    process.wait()
    once(edge, spool, *BOTH[:4])
    assert sorted(sink_lines(edge.lake / "tmp/flume/sink")) == sorted(want)


def test_data_made_anew_on_a_cluster(edge, spool, tmp_path):
    """Its blocks count from 1 again: files of the same blocks and the same length are not the same."""
    want = []
    for i in range(2):
        name, line = order(1_600_000_000 + i * len(MENU), i + 1)
        want.append(line.strip())
        put(spool / "one", name, line)
        once(edge, spool, *BOTH[:4])
        for directory in (edge.dir / "data", edge.lake / "user", tmp_path / "hbase"):
            shutil.rmtree(directory, ignore_errors=True)
    assert sorted(sink_lines(edge.lake / "tmp/flume/sink")) == want


def test_hdfs_away(edge, spool):
    """The agent starts and takes lines all the same; what could not be sent is sent when HDFS is there again."""
    away = {**edge.cluster, "hdfs": {"url": "http://127.0.0.1:9", "path": "/user/punchcard"}}
    edge.write_config(cluster=away)
    name, line = order(1_600_000_000, 1)
    put(spool / "one", name, line)
    result = once(edge, spool, *BOTH[:4], code=1)
    assert "HDFS http://127.0.0.1:9" in result.err
    once(edge, spool, *BOTH[:4], code=1)  # nothing new comes, and it is not forgotten
    edge.write_config(cluster=edge.cluster)
    once(edge, spool, *BOTH[:4])
    assert sink_lines(edge.lake / "tmp/flume/sink") == [line.strip()]
    assert not list((edge.dir / "data/sinks").glob(".*/*"))


def test_what_belongs_to_a_cluster(edge, shop, spool):
    conf = spool / "a.conf"
    text = (HERE / "tier1.conf").read_text()

    def check(path, code):
        conf.write_text(text.replace("/tmp/flume/sink/", path))
        return edge.ok("collect", "--flume-conf", conf, "--agent", "tier1", "--check", code=code).out

    assert "is that the same HDFS?" in check("hdfs://elsewhere:8020/tmp/x", 0)
    assert "is punchcard's own (cluster.hdfs.path)" in check("hdfs:///user/punchcard/warehouse/x", 2)
    assert "whose first part is the same" in check("/%Y/x", 2)
    assert "HDFS has no names with ':'" in check("/lake/%H:%M", 2)
    assert "s3a:// cannot be written to" in check("s3a://bucket/x", 2)
    del edge.config["cluster"]
    edge.write_config()
    out = check("webhdfs://namenode:9870/tmp/x", 2)
    assert "namenode is another machine, and punchcard.yaml has no section cluster" in out and ":19" in out
    check("hdfs://localhost:8020/tmp/x", 0)
