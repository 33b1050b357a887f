"""The program under test: how it is started, how one knows that it is done, and what may be done to it.

A driver has run(shop, disturbance), which lets a process take what is in the spool, and clean(shop, done), which runs undisturbed
until all is taken and exits 0. Once is `collect --once`; Daemon is `run`, which is told to stop by SIGTERM.
"""

import os
import pathlib
import signal
import subprocess
import time

from conftest import Punchcard, Result, environment

HANGS_S = 120
STOPPED_EARLY = 130  # something is left in the journal, for the next run
# Where it gets no descriptor, DuckDB may throw through its C interface, which nobody can catch; what is durable stays.
DUCKDB_ENDS = "terminate called after throwing an instance of 'duckdb::"


class Disturbance:
    """Libraries to be preloaded, and what they are told."""

    def __init__(self, libraries, log=None):
        self.libraries = pathlib.Path(libraries)
        self.log = log
        self.preload = []
        self.variables = {}
        self.kill_after = None  # seconds
        self.text = "nothing"
        self.fatal = False  # it may die by SIGKILL
        self.patience = 3.0  # seconds that a daemon gets to mend itself before it is told to stop
        self.end_by = "SIGTERM"  # how: also SIGKILL, or both
        self.end_after = 0.0  # both: seconds between the two

    def add(self, library, text, **variables):
        path = self.libraries / f"lib{library}.so"
        assert path.exists(), f"{path} is missing: ./dev build dev, or --libraries"
        self.preload.append(str(path))
        self.variables.update({f"PUNCHCARD_{name}": str(value) for name, value in variables.items()})
        self.text = text if self.text == "nothing" else f"{self.text}, {text}"
        return self

    def environment(self):
        env = environment(**self.variables)
        if self.preload:
            env["LD_PRELOAD"] = ":".join(self.preload)
        if self.log:
            env["PUNCHCARD_FAIL_LOG"] = str(self.log)
        return env

    def fired(self):
        return self.log is not None and self.log.exists()

    def __repr__(self):
        fired = f", which was {self.log.read_text().strip()}" if self.fired() else ""
        killed = f", SIGKILL after {self.kill_after:.3f} s" if self.kill_after is not None else ""
        return f"{self.text}{killed}{fired}"


def check(result, disturbance, allowed):
    """How it ended: exit 2 is that a file that the configuration needs could not be read."""
    if result.code == -signal.SIGABRT and disturbance.fired() and DUCKDB_ENDS in result.err:
        return result
    assert result.code in allowed or (disturbance.fatal and result.code == -signal.SIGKILL), f"ended so: {result!r}"
    if result.code > 0:
        assert result.code == 1 or disturbance.fired(), f"undisturbed: {result!r}"
        last = result.err.splitlines()[-1:]
        assert last and last[0].startswith("punchcard: ") and result.err.endswith("\n"), f"no message: {result!r}"
    return result


def waiting(shop):
    """Names in the spool directories that nobody has put away yet."""
    names = []
    for source in shop.config["sources"]:
        for entry in os.scandir(shop.dir / source["dir"]) if "dir" in source else ():
            if entry.is_file() and not entry.name.startswith(".") and ".COMPLETED" not in entry.name:
                names.append(entry.name)
    return names


def said_started(result):
    return " started" in result.err


class Once:
    """collect --once."""

    command = ("collect", "--once")
    ends_by_itself = True  # and what it leaves in the spool without an error it never takes

    def __init__(self, binary):
        self.pc = Punchcard(str(binary))
        self.senders = None  # of a world that has more than files

    def start(self, shop, disturbance):
        return self.pc.start("-C", shop.dir, *self.command, env=disturbance.environment())

    def run(self, shop, disturbance):
        """Lets it work, disturbed. Returns the Result; how it ended is checked."""
        process = self.start(shop, disturbance)
        if disturbance.kill_after is not None:
            try:
                process.wait(disturbance.kill_after)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        return check(self.pc.end(process, HANGS_S), disturbance, (0, 1, 2))

    def clean(self, shop, done):
        """Takes all there is. done() says, for a program that does not end by itself, whether nothing more is to come."""
        result = self.pc.end(self.start(shop, Disturbance(".")), HANGS_S)
        result.check_health()
        assert result.code == 0, f"a clean run fails: {result!r}"
        return result


class Daemon(Once):
    """run: it goes on until SIGTERM, then takes what is begun to its end, and exits 0. While it runs more is sent; it is killed
    at work, at rest and while it stops."""

    command = ("run",)
    ends_by_itself = False

    def start(self, shop, disturbance):
        log = (shop.dir.parent / f"{shop.dir.name}.log").open("w+b")  # a pipe would be full some day
        stdin = self.senders.start(shop) if self.senders else subprocess.DEVNULL
        process = self.pc.start("-C", shop.dir, *self.command, env=disturbance.environment(), stdin=stdin, stderr=log)
        process.log = log
        if self.senders:
            self.senders.started()
        return process

    def run(self, shop, disturbance, meanwhile=lambda: None):
        """Lets it work for a while, disturbed, until it is told to stop, or killed. Returns the Result."""
        process = self.start(shop, disturbance)
        meanwhile()
        if disturbance.kill_after is not None:
            self._wait(process, disturbance.kill_after, lambda: False)
            process.kill()
        else:
            self._wait(process, disturbance.patience, lambda: said_started(self._so_far(process)) and not self._waits(shop))
            self._stop(process, disturbance)
        result = self._end(process)
        # Before it has begun it takes signals as any process does, and while it ends by itself because of the fault.
        ends = disturbance.fired() and "must be opened anew" in result.err
        early = (-signal.SIGTERM,) if ends or not said_started(result) else ()
        return check(result, disturbance, (0, 1, 2, STOPPED_EARLY, *early))

    def clean(self, shop, done):
        process = self.start(shop, Disturbance("."))
        try:
            there = self._wait(process, HANGS_S, lambda: not self._waits(shop) and said_started(self._so_far(process)) and done())
            self._stop(process, Disturbance("."))
        except BaseException:
            process.kill()
            raise
        result = self._end(process)
        result.check_health()
        assert result.code == 0, f"a clean run fails: {result!r}"
        assert " error " not in result.err, f"errors in a clean run: {result!r}"
        assert there, f"is not done, {waiting(shop)} wait: {result!r}"
        return result

    def _waits(self, shop):
        return waiting(shop) or (self.senders and self.senders.waits())

    @staticmethod
    def _so_far(process):
        return Result(process.args, process.returncode, b"", os.pread(process.log.fileno(), 1 << 20, 0))

    def _end(self, process):
        try:
            self.pc.end(process, HANGS_S)
            if self.senders:
                self.senders.stop()
            return self._so_far(process)
        finally:
            process.log.close()
            if self.senders:
                self.senders.ends.set()

    @staticmethod
    def _stop(process, disturbance):
        if process.poll() is None:
            process.send_signal(signal.SIGKILL if disturbance.end_by == "SIGKILL" else signal.SIGTERM)
        if disturbance.end_by == "both":
            try:
                process.wait(disturbance.end_after)
            except subprocess.TimeoutExpired:
                process.kill()

    @staticmethod
    def _wait(process, limit_s, done):
        """Whether it was done, in time."""
        deadline = time.monotonic() + limit_s
        while process.poll() is None and time.monotonic() < deadline:
            if done():
                return True
            time.sleep(0.01)
        return done()


DRIVERS = {"once": Once, "daemon": Daemon}
