"""The program under test: how it is started, how one knows that it is done, and what may be done to it.

A driver has start(shop, disturbance) for a process that takes what is in the spool, wait(process, …), and clean(shop), which
runs undisturbed until all is taken and exits 0. Once is `collect --once`; Daemon is `run`, which is told to stop by SIGTERM.
"""

import os
import pathlib
import signal
import subprocess
import time

from conftest import Punchcard, Result, environment

HANGS_S = 120
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


class Once:
    """collect --once."""

    command = ("collect", "--once")

    def __init__(self, binary):
        self.pc = Punchcard(str(binary))

    def start(self, shop, disturbance):
        return self.pc.start("-C", shop.dir, *self.command, env=disturbance.environment())

    def until_done(self, shop, process):
        """Waits until it has taken what there is; `collect --once` ends by itself."""
        return self.pc.end(process, HANGS_S)

    def run(self, shop, disturbance):
        """Lets it work, disturbed. Returns the Result; how it ended is checked."""
        process = self.start(shop, disturbance)
        if disturbance.kill_after is not None:
            try:
                process.wait(disturbance.kill_after)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
            out, err = process.communicate()
            result = Result(process.args, process.returncode, out, err)
        else:
            result = self.until_done(shop, process)
        # 2: a file that the configuration needs could not be read.
        allowed = (0, 1, 2, -signal.SIGKILL) if disturbance.fatal else (0, 1, 2)
        if result.code == -signal.SIGABRT and disturbance.fired() and DUCKDB_ENDS in result.err:
            return result
        assert result.code in allowed, f"ended by {result.code}: {result!r}"
        if result.code > 0:
            assert result.code == 1 or disturbance.fired(), f"exit 2, undisturbed: {result!r}"
            assert result.err.startswith("punchcard: ") and result.err.endswith("\n"), f"no message: {result!r}"
        return result

    def clean(self, shop):
        result = self.until_done(shop, self.start(shop, Disturbance(".")))
        result.check_health()
        assert result.code == 0, f"a clean run fails: {result!r}"
        return result


class Daemon(Once):
    """run: it goes on until SIGTERM, then takes what is begun to its end, and exits 0."""

    command = ("run",)

    def until_done(self, shop, process):
        deadline = time.monotonic() + HANGS_S
        while process.poll() is None and self._waiting(shop):
            assert time.monotonic() < deadline, f"does not take {self._waiting(shop)}"
            time.sleep(0.01)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        return self.pc.end(process, HANGS_S)

    @staticmethod
    def _waiting(shop):
        """Names in the spool directories that nobody has put away yet."""
        waiting = []
        for source in shop.config["sources"]:
            for entry in os.scandir(shop.dir / source["dir"]):
                if entry.is_file() and not entry.name.startswith(".") and ".COMPLETED" not in entry.name:
                    waiting.append(entry.name)
        return waiting


DRIVERS = {"once": Once, "daemon": Daemon}
