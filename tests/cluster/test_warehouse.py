"""The warehouse in a real HDFS (src/store/warehouse_hdfs.c): what every driver must do, and what servers do to it."""

import hashlib
import json
import os
import subprocess
import threading
import time

import pytest
from cluster import BUILD, free_ports, wait_for
from proxy import Fault

AWAY, DENIED, NO_SPACE, EXISTS = -16, -17, -3, -10  # src/base/error.h


class Failed(Exception):
    def __init__(self, text):
        code, _, self.message = text.partition(" ")
        self.code = int(code)
        super().__init__(text)


def tool(url, root, *words, options=("--user", "punchcard"), limit_s=120):
    """One operation by the driver; its JSON, its bytes, or Failed."""
    done = subprocess.run(
        [BUILD / "tests/warehouse_tool", url, root, *options, *map(str, words)],
        capture_output=True, timeout=limit_s, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    if done.returncode == 1 and done.stderr[:1] == b"-":
        raise Failed(done.stderr.decode())
    assert done.returncode == 0, done.stderr.decode()
    if words[0] == "get":
        return done.stdout
    return json.loads(done.stdout) if done.stdout else None


def make_file(path, size, seed=1):
    """Bytes that differ everywhere."""
    with path.open("wb") as file:
        for i in range(0, size, 64):
            file.write(hashlib.sha512(b"%d %d" % (seed, i)).digest()[: size - i])
    return path


class Later:
    """with Later(f, *args) as later: …meanwhile…; later.result() afterwards."""

    def __init__(self, function, *args, **more):
        self.value = self.error = None

        def run():
            try:
                self.value = function(*args, **more)
            except Exception as error:  # told by result()
                self.error = error

        self.thread = threading.Thread(target=run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join()

    def runs(self):
        return self.thread.is_alive()

    def result(self):
        self.thread.join()
        if self.error:
            raise self.error
        return self.value


# --- the suite ---


def test_conformance(hdfs, home, conformance):
    conformance("warehouse", "hdfs", hdfs.url, home, "--user", "punchcard")


def test_conformance_faulty(hdfs, home, conformance):
    conformance("warehouse", "hdfs", hdfs.url, home, "--user", "punchcard", "--faulty", 1)


@pytest.mark.parametrize("seed", [1, 2])
def test_conformance_behind_bad_network(hdfs, home, conformance, proxied, seed):
    """The driver's own trying again hides all that a network does."""
    proxy = proxied(hdfs.url)
    proxy.randomly(seed, 10)
    conformance("warehouse", "hdfs", proxy.url, home, "--user", "punchcard")
    for kind in ("status", "cut", "lose", "drop", "break"):
        assert proxy.happened(kind) > 0, kind


# --- one fault at a time ---


@pytest.mark.parametrize(
    "fault",
    [
        Fault("lose", "PUT", "op=RENAME"),
        Fault("lose", "PUT", "op=RENAME", skip=1),  # the first one misses the directory
        Fault("lose", "PUT", "op=MKDIRS"),
        Fault("lose", "PUT", "^/-/.*op=CREATE"),
        Fault("break", "PUT", "^/-/.*op=CREATE"),
        Fault("drop", "PUT", "^/-/.*op=CREATE", times=3),
        Fault("cut", "PUT", "op=CREATE"),
        Fault("cut", "GET", "op=GETFILESTATUS", times=2),
        Fault("status", "PUT", "op=RENAME", times=2),
        Fault("status", "PUT", "^/-/.*op=CREATE", status=500),
        Fault("hang", "PUT", "op=RENAME", delay_s=3),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.match.rpartition('=')[2]}",
)
def test_put_survives(hdfs, home, proxied, tmp_path, fault):
    proxy = proxied(hdfs.url)
    proxy.add(fault)
    file = make_file(tmp_path / "f", 2_000_000)
    tool(proxy.url, home, "put", "day=1/f", file, options=("--user", "punchcard", "--silence", "1500"))
    assert proxy.happened() >= 1
    assert tool(hdfs.url, home, "get", "day=1/f") == file.read_bytes()
    assert [entry["name"] for entry in tool(hdfs.url, home, "list", "day=1")] == ["f"]
    assert tool(hdfs.url, home, "list", "_tmp/tool") == []


def test_read_goes_on_where_it_broke_off(hdfs, home, proxied, tmp_path):
    file = make_file(tmp_path / "f", 3_000_000)
    tool(hdfs.url, home, "put", "f", file)
    proxy = proxied(hdfs.url)
    proxy.add(Fault("cut", "GET", "^/-/.*op=OPEN", times=3))
    assert tool(proxy.url, home, "get", "f") == file.read_bytes()
    opens = [path for method, path, _ in proxy.log if "/-/" in path and "op=OPEN" in path]
    assert len(opens) == 4 and len({path.partition("offset=")[2].partition("&")[0] for path in opens}) == 4


def test_gives_up_with_what_was_answered(hdfs, home, proxied, tmp_path):
    proxy = proxied(hdfs.url)
    proxy.add(Fault("status", match="op=", times=None, body=b"the balancer is asleep"))
    with pytest.raises(Failed) as failed:
        tool(proxy.url, home, "stat", "f", options=("--user", "punchcard", "--patience", "700"))
    assert failed.value.code == AWAY
    assert "answered 503: the balancer is asleep (tried" in failed.value.message
    assert f"HDFS {proxy.url}: GET /webhdfs/v1{home}/f?op=GETFILESTATUS" in failed.value.message


def test_next_namenode(hdfs, home, proxied, tmp_path):
    """Of several NameNodes one is standby, one is gone."""
    standby = proxied(hdfs.url)
    answer = {"RemoteException": {"exception": "StandbyException", "message": "Operation category READ is not supported in state standby"}}
    standby.add(Fault("status", match="op=", times=None, status=403, body=json.dumps(answer).encode()))
    gone = proxied(hdfs.url)
    gone.__exit__()
    gone.__exit__ = lambda: None
    file = make_file(tmp_path / "f", 1000)
    tool(f"{standby.url},{gone.url},{hdfs.url}", home, "put", "f", file)
    assert tool(f"{standby.url}, {hdfs.url}", home, "get", "f") == file.read_bytes()
    assert standby.happened("status") > 0


# --- rights, quotas, health ---


def test_no_right(hdfs, home, tmp_path):
    file = make_file(tmp_path / "f", 10)
    with pytest.raises(Failed) as failed:
        tool(hdfs.url, home, "put", "f", file, options=("--user", "stranger"))
    assert failed.value.code == DENIED
    assert "AccessControlException" in failed.value.message and "chown" in failed.value.message
    assert "\n\tat " not in failed.value.message


def test_token_is_read_again(hdfs, home, proxied, tmp_path):
    """A token that ran out is refused; meanwhile a timer wrote a new one. (This HDFS takes any: it is the proxy that refuses.)"""
    hdfs.rest("PUT", f"{home}?op=SETPERMISSION&permission=777&user.name=punchcard")
    token = tmp_path / "token"
    token.write_text("old+/=\n")
    proxy = proxied(hdfs.url)
    refusal = {"RemoteException": {"exception": "SecurityException", "message": "Failed to obtain user group information: "
                                   "org.apache.hadoop.security.token.SecretManager$InvalidToken: token is expired"}}  # fmt: skip
    proxy.add(
        Fault(
            "status", match="delegation=old%2B%2F%3D$", times=None, status=403, body=json.dumps(refusal).encode(),
            call=lambda: token.write_text("new"),
        )
    )  # fmt: skip
    file = make_file(tmp_path / "f", 1000)
    tool(proxy.url, home, "put", "f", file, options=("--token", token))
    assert proxy.happened("status") == 1
    assert all("delegation=new" in path for _, path, kind in proxy.log if kind is None and "/-/" not in path)
    token.write_text("old+/=")
    proxy.faults[0].call = None
    with pytest.raises(Failed) as failed:
        tool(proxy.url, home, "stat", "f", options=("--token", token))
    assert failed.value.code == DENIED
    assert "token is expired" in failed.value.message and "old" not in failed.value.message


def test_quota(hdfs, home, tmp_path):
    """Full is an error that says what to do; what was put before stays, and a raised quota lets it go on."""
    file = make_file(tmp_path / "f", 300_000)
    tool(hdfs.url, home, "put", "small", file)
    block = 128 * 1024 * 1024  # what HDFS wants free for a file that is being written
    hdfs.admin("-setSpaceQuota", str(block - 1), home)
    try:
        with pytest.raises(Failed) as failed:
            tool(hdfs.url, home, "put", "f", file)
        assert failed.value.code == NO_SPACE
        assert "QuotaExceeded" in failed.value.message and "-setSpaceQuota" in failed.value.message
        usage = tool(hdfs.url, home, "usage", "")
        assert usage["space_quota"] == block - 1 and usage["bytes"] == 300_000
        assert tool(hdfs.url, home, "ping")["can_write"] is False
    finally:
        hdfs.admin("-clrSpaceQuota", home)
    tool(hdfs.url, home, "put", "f", file)
    assert tool(hdfs.url, home, "usage", "")["bytes"] == 600_000


def test_ping(hdfs, home):
    health = tool(hdfs.url, home, "ping")
    assert health["version"].startswith("3.")
    assert health["safe_mode"] is False and health["live_nodes"] == 1 and health["can_write"] is True
    assert abs(health["clock_ahead_ms"]) < 5000
    assert health["problem"] == ""


def test_ping_of_nobody():
    with pytest.raises(Failed) as failed:
        tool(f"http://127.0.0.1:{free_ports(1)[0]}", "/user/punchcard", "ping")
    assert failed.value.code == AWAY


# --- servers that go and come ---


def test_safe_mode(hdfs, home, tmp_path):
    """Nothing is written in safe mode, and everything when it ends."""
    file = make_file(tmp_path / "f", 100_000)
    hdfs.admin("-safemode", "enter")
    try:
        health = tool(hdfs.url, home, "ping")
        assert health["safe_mode"] is True and health["problem"] == "it is in safe mode"
        with pytest.raises(Failed) as failed:
            tool(hdfs.url, home, "put", "f", file, options=("--user", "punchcard", "--patience", "500"))
        assert failed.value.code == AWAY and "SafeMode" in failed.value.message
        with Later(tool, hdfs.url, home, "put", "f", file) as later:
            time.sleep(0.5)
            assert later.runs()
            hdfs.admin("-safemode", "leave")
        later.result()
    finally:
        hdfs.admin("-safemode", "leave")
    assert tool(hdfs.url, home, "get", "f") == file.read_bytes()


def test_datanode_comes_back(hdfs, home, tmp_path):
    """Killed: its address is still handed out, and nobody listens there. Then nobody has it any more. Then it comes back."""
    file = make_file(tmp_path / "f", 1_000_000)
    tool(hdfs.url, home, "put", "before", file)
    hdfs.datanode.kill()
    try:
        with Later(tool, hdfs.url, home, "put", "f", file), Later(tool, hdfs.url, home, "get", "before") as reader:
            hdfs.datanode.start()
        assert reader.result() == file.read_bytes()
    finally:
        hdfs.datanode.start()
    assert tool(hdfs.url, home, "get", "f") == file.read_bytes()


def test_no_datanode(hdfs, home, tmp_path):
    file = make_file(tmp_path / "f", 1000)
    hdfs.datanode.stop()
    try:
        wait_for("the NameNode knows", lambda: hdfs._bean("FSNamesystemState").get("NumLiveDataNodes") == 0, 60)
        health = tool(hdfs.url, home, "ping", options=("--user", "punchcard", "--patience", "500"))
        assert health["live_nodes"] == 0 and health["can_write"] is False
        with pytest.raises(Failed) as failed:
            tool(hdfs.url, home, "put", "f", file, options=("--user", "punchcard", "--patience", "500"))
        assert failed.value.code == AWAY and "DataNode" in failed.value.message
    finally:
        hdfs.datanode.start()
    tool(hdfs.url, home, "put", "f", file)


def test_namenode_restarts(hdfs, home, tmp_path):
    """Killed while files are put, one after the other; all are there, whole, and nothing else."""
    files = [make_file(tmp_path / f"f{i}", 50_000 + i, i) for i in range(12)]

    def put_all():
        for i, file in enumerate(files):
            tool(hdfs.url, home, "put", f"all/f{i:02}", file)

    with Later(put_all) as later:
        wait_for("some were put", lambda: count(hdfs, home) >= 3 or not later.runs(), 60)
        hdfs.namenode.kill()
        hdfs.namenode.start(wait=False)
        hdfs.namenode.wait_ready()
    later.result()
    wait_for("the DataNode is known again", hdfs.is_ready)
    for i, file in enumerate(files):
        assert tool(hdfs.url, home, "get", f"all/f{i:02}") == file.read_bytes()
    assert count(hdfs, home) == len(files)


def count(hdfs, home):
    try:
        return len(tool(hdfs.url, home, "list", "all", options=("--user", "punchcard", "--patience", "1")))
    except Failed:
        return 0


def test_killed_putter(hdfs, home, tmp_path):
    """SIGKILL in the middle of an upload: nothing is seen, and the next put of the name does not mind what was left."""
    file = make_file(tmp_path / "f", 20_000_000)
    for _ in range(3):
        child = subprocess.Popen(
            [BUILD / "tests/warehouse_tool", hdfs.url, home, "--user", "punchcard", "put", "f", file], stdin=subprocess.DEVNULL
        )
        try:
            child.wait(0.05)
        except subprocess.TimeoutExpired:
            os.kill(child.pid, 9)
            child.wait()
    try:
        assert tool(hdfs.url, home, "stat", "f")["size"] == 20_000_000  # it was quicker than that
    except Failed:
        pass
    tool(hdfs.url, home, "put", "f", file)
    assert hashlib.sha256(tool(hdfs.url, home, "get", "f")).digest() == hashlib.sha256(file.read_bytes()).digest()
    tool(hdfs.url, home, "clean")
    assert [entry["name"] for entry in tool(hdfs.url, home, "list", "_tmp")] == []
