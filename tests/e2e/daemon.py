"""A daemon under test: `punchcard run` of a shop, started, waited for and stopped by its process id."""

import json
import os
import signal
import subprocess
import threading
import time

from conftest import PUNCHCARD

LIMIT_S = 60  # what takes longer has hung; the machine may be slow


def wait_for(what, condition, limit_s=LIMIT_S):
    """Until condition() is true; its value."""
    end = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {limit_s} s: {what}"
        time.sleep(0.05)


class Daemon:
    """with Daemon(shop) as daemon: … (it must have stopped in good order at the end, unless it was killed)"""

    def __init__(self, shop, *args, binary=PUNCHCARD, env=None, stdin=subprocess.DEVNULL, start=True):
        self.shop = shop
        self.words = [binary, "-C", str(shop.dir), "run", "--log-format", "json", *args]
        self.env = {**os.environ, **(env or {})}
        self.stdin = stdin
        self.log = []
        self.process = None
        if start:
            self.start()

    def start(self, ready=True):
        self.process = subprocess.Popen(
            self.words, stdin=self.stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=self.env
        )
        self.log = []
        self.reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self.reader.start()
        if ready:
            self.wait_log("started")

    def _read(self, stream):
        for line in stream:
            try:
                self.log.append(json.loads(line))
            except ValueError:
                self.log.append({"message": line.decode(errors="replace").strip(), "level": "text"})

    def messages(self, message):
        return [entry for entry in self.log if entry["message"] == message]

    def wait_log(self, message, n=1, limit_s=LIMIT_S):
        def there():
            assert self.process.poll() is None or len(self.messages(message)) >= n, (self.process.poll(), self.log)
            return len(self.messages(message)) >= n

        wait_for(f"{n} x {message} in {self.log[-5:]}", there, limit_s)
        return self.messages(message)[-1]

    def errors(self):
        return [entry for entry in self.log if entry["level"] in ("error", "text")]

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()

    def stop(self, code=0, limit_s=LIMIT_S):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            assert self.process.wait(limit_s) == code, self.log
        finally:
            if self.process.poll() is None:
                self.process.kill()
            self.reader.join()
        return self

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            if self.process.returncode is None:
                self.stop()
        elif self.process.poll() is None:
            self.process.kill()
