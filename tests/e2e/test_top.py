"""top: what the daemon does, on a screen and for programs; and status: that there is one. tests/e2e/metrics_writer.c plays it."""

import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from conftest import PUNCHCARD, TIMEOUT_S, environment

WRITER = os.environ.get(
    "PUNCHCARD_METRICS_WRITER", pathlib.Path(PUNCHCARD).resolve().parent.parent / "tests/metrics_writer"
)
LINES, EVENTS, DUPLICATES, QUARANTINED, BYTES, FILES, COMMITS, _, RESTARTS = range(9)
BATCHES, CONSUMED, RETRIES = range(3)
RUNNING, STOPPING, STOPPED, FAILED_DAEMON = range(1, 5)


class Daemon:
    """A process that writes metrics of this deployment, as told."""

    def __init__(self, shop):
        self.process = subprocess.Popen(
            [WRITER, shop.dir / "data"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), text=True
        )
        assert self.process.stdout.readline() == "ok\n"

    def __call__(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        assert self.process.stdout.readline() == "ok\n", words

    def kill(self):
        self.process.kill()
        self.process.wait(TIMEOUT_S)

    def close(self):
        self.process.stdin.close()
        self.process.wait(TIMEOUT_S)
        self.process.stdout.close()


@pytest.fixture
def daemon(shop):
    d = Daemon(shop)
    d("daemon", RUNNING)
    yield d
    if d.process.poll() is None:
        d.close()


@pytest.fixture
def busy(daemon):
    """With two sources and two consumers."""
    daemon("journal", 5_000_000, 1_500_000, 3, 8, 2)
    daemon("source", "till", "spool")
    daemon("source", "web", "http")
    daemon("consumer", "transactions_cln")
    daemon("consumer", "view")
    for i in range(2):
        daemon("source-state", i, 1)
        daemon("consumer-state", i, 1)
    daemon("source-add", 0, LINES, 1000)
    daemon("source-add", 0, EVENTS, 900)
    daemon("source-add", 0, DUPLICATES, 60)
    daemon("source-add", 0, QUARANTINED, 40)
    daemon("durable", 0, 2500, 1000)
    daemon("visible", 1, 40000, 900)
    daemon("consumer-add", 1, BATCHES, 3)
    daemon("consumer-add", 1, CONSUMED, 900)
    daemon("lag", 0, 1000)
    daemon("lag", 1, 100)
    daemon("offset", 1, 7)
    daemon("source-state", 1, 4)
    daemon("source-error", 1, r"no route to\n\e[2Jthe till")
    return daemon


def test_once(shop, busy):
    out = shop.ok("top", "--once", "--interval", "0.1").out
    assert "\x1b" not in out
    (till,) = [line.split() for line in out.splitlines() if line.startswith("till ")]
    assert till[:3] == ["till", "spool", "running"]
    assert "1,000" in till and "40" in till
    assert re.search(r"^web +http +backing off ", out, re.M)
    assert re.search(r"^view +running +0 +100 ", out, re.M)
    assert re.search(r"^transactions_cln +running +0 +1,000 ", out, re.M)
    assert r"web: no route to\n\x1B[2Jthe till" in out
    assert "4.76 MiB used, 1.43 MiB" in out and "blocks 3 to 7, 2 trimmed" in out
    assert f"running, process {busy.process.pid}, up " in out
    # Without a terminal it is the same.
    assert shop.ok("top", "--interval", "0.1").out.splitlines()[4:7] == out.splitlines()[4:7]


def test_rates_and_times_are_those_of_the_interval(shop, busy):
    process = shop.start("top", "--json", "--interval", "0.3")
    first = next_object(process)
    assert first["sources"][0]["per_second"]["lines"] == 0
    assert first["sources"][0]["read_to_durable_us"] == {"lines": 0, "p50": 0, "p99": 0, "max": 0}
    before = time.monotonic()
    busy("durable", 0, 70, 99)
    busy("durable", 0, 100_000, 1)
    busy("source-add", 0, LINES, 3000)
    busy("consumer-add", 0, CONSUMED, 600)
    for _ in range(20):
        shown = next_object(process)
        if shown["sources"][0]["lines"] == 4000:
            break
    interval = float(shown["interval_s"])
    assert 0.25 < interval < time.monotonic() - before + 1
    source = shown["sources"][0]
    if source["read_to_durable_us"]["lines"] == 100:  # not cut in two by a look
        assert source["read_to_durable_us"]["p50"] in (70, 71)
        assert source["read_to_durable_us"]["p99"] in (70, 71)
        assert 98_000 < source["read_to_durable_us"]["max"] <= 102_000
    process.send_signal(signal.SIGINT)
    result = shop.pc.end(process)
    assert result.code == 0, result


def next_object(process):
    """Of --json, as it comes."""
    assert select.select([process.stdout], [], [], TIMEOUT_S)[0], "nothing is shown"
    return json.loads(process.stdout.readline())


def test_json_once(shop, busy):
    shown = shop.json("top", "--once", "--interval", "0.1")
    assert (shown["state"], shown["alive"], shown["pid"]) == ("running", True, busy.process.pid)
    assert shown["journal"] == {
        "used_bytes": 5_000_000, "backlog_bytes": 1_500_000, "first_block": 3, "next_block": 8, "trimmed_blocks": 2,
    }  # fmt: skip
    till, web = shown["sources"]
    assert (till["lines"], till["events"], till["duplicates"], till["quarantined"]) == (1000, 900, 60, 40)
    assert (till["last_error"], web["last_error"]) == (None, "no route to\n\x1b[2Jthe till")
    assert (web["state"], web["errors"], web["last"]) == ("backing_off", 1, None)
    view = shown["consumers"][1]
    assert (view["name"], view["offset"], view["lag_lines"], view["batches"]) == ("view", 7, 100, 3)


def test_no_daemon(shop):
    result = shop.ok("top", code=1)
    assert "no daemon runs" in result.err and "run` starts one" in result.err
    assert result.out == ""


@pytest.mark.parametrize(
    "how, told", [(STOPPED, "stopped in good order"), (FAILED_DAEMON, "ended by an error"), (None, "died")]
)
def test_a_daemon_that_is_gone(shop, busy, how, told):
    if how is None:
        busy.kill()
    else:
        busy("end", how)
    result = shop.ok("top", "--once", code=1)
    assert told in result.err and "run`" in result.err
    status = shop.json("status")["daemon"]
    assert status["state"] == {STOPPED: "stopped", FAILED_DAEMON: "failed", None: "died"}[how]
    assert status["alive"] is False
    assert told in shop.ok("status").out


def test_a_daemon_that_hangs(shop, busy):
    busy("beat", 20_000_000)
    shown = shop.json("top", "--once", "--interval", "0.1")
    assert (shown["state"], shown["alive"]) == ("silent", False)
    assert "no sign of life since" in shop.ok("status").out


def test_json_goes_on_over_a_restart(shop, busy):
    process = shop.start("top", "--json", "--interval", "0.1")
    assert next_object(process)["state"] == "running"
    busy.kill()
    wait_for(lambda: next_object(process)["state"] == "died")
    again = Daemon(shop)
    again("daemon", RUNNING)
    wait_for(lambda: (value := next_object(process))["state"] == "running" and value["pid"] == again.process.pid)
    process.send_signal(signal.SIGTERM)
    assert shop.pc.end(process).code == 0
    again.close()


def wait_for(condition):
    for _ in range(200):
        if condition():
            return
    raise AssertionError("it never came")


@pytest.mark.parametrize(
    "content, told",
    [(b"", "not what the daemon writes"), (b"PAR1" * 100, "not what the daemon writes"), ("cut", "was cut")],
    ids=["empty", "foreign", "cut"],
)
def test_a_file_that_is_none(shop, busy, content, told):
    path = shop.dir / "data/run/metrics"
    busy("end", STOPPED)
    path.write_bytes(path.read_bytes()[:5000] if content == "cut" else content)
    result = shop.ok("top", "--once", code=1)
    assert told in result.err and "run/metrics" in result.err
    # The rest of status is shown.
    assert told in shop.ok("status").out
    assert shop.json("status")["daemon"]["state"] == "unknown"


@pytest.mark.parametrize(
    "args, told",
    [
        (["--interval", "0"], "--interval"),
        (["--interval", "x"], "--interval"),
        (["--interval"], "needs a value"),
        (["--fast"], "--fast"),
        (["x"], "too many"),
    ],
)
def test_a_wrong_command_line(shop, args, told):
    assert told in shop.ok("top", *args, code=2).err


# --- the screen ---


class Terminal:
    """top on a terminal: what it wrote, and keys."""

    def __init__(self, shop, *args, rows=24, columns=80):
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.shop = shop
        self.written = b""

        def take_terminal():
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = shop.start(
            "top", *args, stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True,
            preexec_fn=take_terminal, env=environment(TERM="xterm"),
        )  # fmt: skip

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait_for(self, text):
        """Until this is written, behind what was waited for before."""
        end = time.monotonic() + TIMEOUT_S
        while text.encode() not in self.written:
            assert time.monotonic() < end, f"{text!r} never came: {self.written[-3000:]!r}"
            self.read(0.2)
        at = self.written.index(text.encode()) + len(text.encode())
        seen, self.written = self.written[:at], self.written[at:]
        return seen.decode("utf-8", "replace")

    def read(self, timeout):
        if select.select([self.master], [], [], timeout)[0]:
            self.written += os.read(self.master, 65536)

    def press(self, keys):
        os.write(self.master, keys)

    def end(self, code=0):
        """Waits for the end; the terminal must be as it was."""
        end = time.monotonic() + TIMEOUT_S
        while self.process.poll() is None:
            assert time.monotonic() < end, "hangs"
            self.read(0.05)
        while select.select([self.master], [], [], 0)[0]:
            self.read(0)
        assert self.process.returncode == code, self.written
        assert termios.tcgetattr(self.slave) == self.before
        assert b"Sanitizer" not in self.written
        return self.written.decode("utf-8", "replace")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(TIMEOUT_S)
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal(shop, busy):
    terminals = []

    def open_terminal(*args, **options):
        terminals.append(Terminal(shop, *args, **options))
        return terminals[-1]

    yield open_terminal
    for t in terminals:
        t.close()


ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


def rows_of(frame):
    """The lines of the last whole frame in it, without styles."""
    frame = frame.split("\x1b[H")[-1]
    return [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", line) for line in frame.split("\n")]


@pytest.mark.parametrize("key", [b"q", b"Q", b"\x03"])
def test_the_screen_and_how_it_ends(terminal, key):
    t = terminal("--interval", "0.2")
    t.wait_for(ENTER)
    t.wait_for("LAST ERROR")
    t.wait_for("\x1b[J")
    rows = rows_of(t.wait_for("LAST ERROR"))  # drawn again
    for name, last in ("SOURCE", "LAST"), ("CONSUMER", "MAX"):
        (row,) = [row for row in rows if row.startswith(name)]
        assert row[80 - len(last) :] == last
    assert not termios.tcgetattr(t.slave)[3] & (termios.ICANON | termios.ECHO)
    t.press(b"x")  # means nothing
    t.press(key)
    rest = t.end()
    assert rest.endswith(LEAVE) and "\x1b[?25h" in rest


def test_it_fits_the_window(terminal):
    t = terminal("--interval", "0.2", rows=12, columns=60)
    t.wait_for("higher")
    rows = rows_of(t.wait_for("higher"))
    assert len(rows) == 12
    assert max(map(len, rows)) <= 60
    t.resize(40, 132)
    t.wait_for("QUARANTINED")
    frame = rows_of(t.wait_for("\x1b[J"))
    assert not any("higher" in row for row in frame)
    assert 100 < max(map(len, frame)) <= 132
    t.press(b"q")
    t.end()


def test_a_daemon_that_dies_and_comes_back_on_the_screen(shop, busy, terminal):
    t = terminal("--interval", "0.1", columns=200)
    t.wait_for("running, process")
    busy.kill()
    t.wait_for(f"(process {busy.process.pid}) died")
    again = Daemon(shop)
    again("daemon", RUNNING)
    t.wait_for(f"running, process {again.process.pid}")
    t.press(b"q")
    t.end()
    again.close()


def test_ended_by_a_signal(terminal):
    t = terminal()
    t.wait_for("LAST ERROR")
    t.process.send_signal(signal.SIGTERM)
    assert t.end(code=130).endswith(LEAVE)


def test_stopped_and_continued(terminal):
    t = terminal("--interval", "0.2")
    t.wait_for("LAST ERROR")
    t.process.send_signal(signal.SIGTSTP)
    t.wait_for(LEAVE)
    end = time.monotonic() + TIMEOUT_S
    while pathlib.Path(f"/proc/{t.process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < end
        time.sleep(0.01)
    assert termios.tcgetattr(t.slave) == t.before
    t.process.send_signal(signal.SIGCONT)
    t.wait_for(ENTER)
    t.wait_for("LAST ERROR")
    t.press(b"q")
    t.end()


def test_no_daemon_on_a_terminal(shop):
    t = Terminal(shop)
    assert "no daemon runs" in t.end(code=1)
    assert ENTER not in t.written.decode()
    t.close()


# --- status ---


def test_status_of_a_daemon(shop, busy):
    status = shop.json("status")["daemon"]
    assert (status["state"], status["alive"], status["pid"]) == ("running", True, busy.process.pid)
    assert [source["state"] for source in status["sources"]] == ["running", "backing_off"]
    assert "per_second" not in status["sources"][0]
    assert status["sources"][0]["read_to_durable_us"]["lines"] == 1000
    text = shop.ok("status").out
    assert f"process {busy.process.pid}" in text
    assert "backing off" in text and r"no route to\n\x1B[2Jthe till" in text


def test_status_without_a_daemon(shop):
    assert shop.json("status")["daemon"] is None
    assert "none runs" in shop.ok("status").out
