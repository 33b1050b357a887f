"""Who sends to a daemon other than by files of the spool: by http, by the output of a program, by the standard input.

A sender keeps what it sent until it knows that it was taken, as the documents ask it to: a request is sent again until it is answered
by 200, and what came through a pipe is sent from its beginning to each new process. Events bring ids, so nothing comes twice.
"""

import http.client
import json
import random
import socket
import subprocess
import threading

STREAMS = [
    {"name": "net", "type": "http"},
    {"name": "exe", "type": "exec", "format": "ndjson", "restart_s": 1},
    {"name": "std", "type": "stdin", "format": "ndjson"},
]
TRY_AGAIN = (429, 500, 503)
ANSWER_S = 20
PAUSE_S = 0.03


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def stream(source, chance):
    """A source as the configuration has it; paths are below the deployment."""
    made = dict(source)
    if made["type"] == "http":
        made["listen"] = f"127.0.0.1:{free_port()}"
    if made["type"] == "exec":
        made["command"] = chance.choice((["cat", path_of("exe")], ["tail", "-n", "+1", "-F", path_of("exe")]))
    return made


def path_of(name):
    return f"streams/{name}.ndjson"


class Senders:
    """All of a world's. start and stop go around each process; what it returns is the process's standard input."""

    def __init__(self, sources, seed):
        self.kinds = {source["type"]: source for source in sources}
        self.chance = random.Random(f"senders {seed}")  # of the thread
        self.requests = []  # Files; `done` of one that was answered is all of it
        self.wrong = []  # answers that there should not be
        self.answers = 0
        self.cat = None
        self.thread = None
        self.ends = threading.Event()

    def waits(self):
        """Whether requests have no answer yet."""
        return any(file.done < len(file.places) for file in self.requests)

    def start(self, shop):
        self.ends.clear()
        if "http" in self.kinds:
            self.thread = threading.Thread(target=self._post_all, daemon=True)
            self.thread.start()
        if "stdin" not in self.kinds:
            return subprocess.DEVNULL
        path = shop.dir / path_of("std")
        self.cat = subprocess.Popen(["cat", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return self.cat.stdout

    def started(self):
        """The process has its standard input: nobody else holds it."""
        if self.cat:
            self.cat.stdout.close()

    def stop(self):
        """When the process has ended. Says what was answered and should not have been."""
        self.ends.set()
        if self.thread:
            self.thread.join(2 * ANSWER_S)
            assert not self.thread.is_alive(), "a sender hangs"
        if self.cat:
            self.cat.wait(ANSWER_S)
        self.thread = self.cat = None
        assert self.wrong == [], f"answers: {self.wrong}"

    # -- http

    def _post_all(self):
        host, port = self.kinds["http"]["listen"].split(":")
        connection = None
        while not self.ends.is_set() and not self.wrong:
            waiting = [file for file in self.requests if file.done < len(file.places)]
            if waiting:
                file = self.chance.choice(waiting[:3])
            elif self.requests and self.chance.random() < 0.1:
                file = self.chance.choice(self.requests)  # it may be that its answer was lost
            else:
                self.ends.wait(PAUSE_S)
                continue
            try:
                connection = connection or http.client.HTTPConnection(host, int(port), timeout=ANSWER_S)
                connection.request("POST", "/v1/events", file.text.encode())
                answer = connection.getresponse()
                self._was_answered(file, answer.status, answer.read())
            except (OSError, http.client.HTTPException):
                if connection:
                    connection.close()
                connection = None
                self.ends.wait(PAUSE_S)

    def _was_answered(self, file, status, body):
        if status == 200:
            taken = json.loads(body)
            n = taken["accepted"] + taken["duplicates"]
            if n != len(file.places) or (taken["accepted"] and file.done):
                self.wrong.append((file.name, file.done, len(file.places), body))
            file.done = len(file.places)
            self.answers += 1
        elif status in TRY_AGAIN:
            self.ends.wait(PAUSE_S)
        else:
            self.wrong.append((file.name, status, body[:500]))
