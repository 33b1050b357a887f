"""An HTTP proxy in front of a real server that injects faults: delays, 503s, half answers, answers lost after the work was done.

    with FaultProxy(hdfs.url) as proxy:
        proxy.add(Fault("lose", method="PUT", match="op=RENAME"))     # once: the work is done, the answer is not told
        …proxy.url…
        assert proxy.happened("lose") == 1

It passes everything on as it is, but for URLs in answers (Location headers, and WebHDFS's JSON {"Location": …}) that lead to other servers:
these lead through the proxy too, under /-/<host>:<port>/…, so that DataNodes are behind it as well. Bodies with a Content-Length, GET,
PUT, POST, DELETE and HEAD; one thread a connection; loopback alone.

Kinds of faults:
    status   answers `status` (503) with `body`, and passes nothing on
    cut      passes on, and ends the connection in the middle of the answer
    lose     passes on, and ends the connection without an answer: the work was done
    drop     ends the connection without passing anything on
    break    reads half of the request's body, passes that on, and ends both connections
    delay    passes on after `delay_s`
    hang     says nothing for `delay_s`, and ends the connection
"""

import dataclasses
import http.client
import http.server
import random
import re
import socket
import socketserver
import threading
import time
import urllib.parse

KINDS = ("status", "cut", "lose", "drop", "break", "delay", "hang")
HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection"}
UPSTREAM_S = 120
CHUNK = 1 << 16


@dataclasses.dataclass
class Fault:
    """Happens to requests with this method (None: any) whose path and query have `match` (a regular expression): the first `times` of
    them (None: for ever), behind `skip` others."""

    kind: str
    method: str | None = None
    match: str = ""
    times: int | None = 1
    skip: int = 0
    status: int = 503
    body: bytes = b"injected"
    delay_s: float = 1.0
    call: object = None  # a function, called when it happens

    def __post_init__(self):
        assert self.kind in KINDS, self.kind

    def wants(self, method, path):
        return (self.method in (None, method)) and re.search(self.match, path) is not None


class FaultProxy(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, upstream):
        super().__init__(("127.0.0.1", 0), Handler)
        parsed = urllib.parse.urlsplit(upstream)
        self.upstream = (parsed.hostname, parsed.port)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.mutex = threading.Lock()
        self.faults = []
        self.random = None
        self.log = []  # (method, path, kind or None)
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
        self.thread.join()

    def add(self, fault):
        with self.mutex:
            self.faults.append(fault)

    def randomly(self, seed, one_in, kinds=("status", "cut", "lose", "drop", "break")):
        """From now on one in `one_in` requests has one of these faults."""
        with self.mutex:
            self.random = (random.Random(seed), one_in, kinds)

    def calm(self):
        """No more faults."""
        with self.mutex:
            self.faults = []
            self.random = None

    def happened(self, kind=None):
        """How many requests had this fault, or any."""
        with self.mutex:
            return sum(1 for *_, was in self.log if (was == kind if kind else was is not None))

    def choose(self, method, path):
        with self.mutex:
            fault = self._choose(method, path)
            self.log.append((method, path, fault.kind if fault else None))
            return fault

    def _choose(self, method, path):
        for fault in self.faults:
            if fault.times == 0 or not fault.wants(method, path):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        if self.random:
            generator, one_in, kinds = self.random
            if generator.randrange(one_in) == 0:
                return Fault(generator.choice(kinds))
        return None

    def handle_error(self, request, client_address):
        pass  # clients go away; that is what this is about


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "fault-proxy"

    def log_message(self, *_):
        pass

    def end(self):
        """The connection ends here, with what was sent so far and nothing more."""
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def target(self):
        """(host, port), path: of the server that is meant."""
        found = re.match(r"/-/([^/:]+):(\d+)(/.*)$", self.path)
        if found:
            return (found[1], int(found[2])), found[3]
        return self.server.upstream, self.path

    def through_proxy(self, url):
        parsed = urllib.parse.urlsplit(url)
        if not parsed.scheme or (parsed.hostname, parsed.port) == self.server.upstream:
            return url.replace(f"{parsed.scheme}://{parsed.netloc}", self.server.url, 1) if parsed.scheme else url
        return url.replace(f"{parsed.scheme}://{parsed.netloc}", f"{self.server.url}/-/{parsed.netloc}", 1)

    def body(self, n):
        while n > 0:
            piece = self.rfile.read(min(n, CHUNK))
            if not piece:
                raise ConnectionError("the client went away")
            n -= len(piece)
            yield piece

    def handle_any(self):
        fault = self.server.choose(self.command, self.path)
        kind = fault.kind if fault else None
        if fault and fault.call:
            fault.call()
        length = int(self.headers.get("Content-Length") or 0)
        if kind == "delay":
            time.sleep(fault.delay_s)
        if kind == "hang":
            time.sleep(fault.delay_s)
            return self.end()
        if kind == "drop":
            return self.end()
        if kind == "status":
            for _ in self.body(length):
                pass
            return self.answer(fault.status, [("Content-Type", "text/plain")], fault.body)
        try:
            return self.pass_on(kind, length)
        except (OSError, http.client.HTTPException):
            if not self.answered:
                self.answer(502, [("Content-Type", "text/plain")], b"the server behind the proxy does not answer")
            return self.end()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 (names of http.server)
    answered = False

    def pass_on(self, kind, length):
        self.answered = False
        (host, port), path = self.target()
        server = http.client.HTTPConnection(host, port, timeout=UPSTREAM_S)
        try:
            server.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
            server.putheader("Host", f"{host}:{port}")
            for name, value in self.headers.items():
                if name.lower() not in HOP | {"host"}:
                    server.putheader(name, value)
            server.endheaders()
            left = length // 2 if kind == "break" else length
            for piece in self.body(left):
                server.send(piece)
            if kind == "break":
                return self.end()
            answer = server.getresponse()
            return self.give(kind, answer)
        finally:
            server.close()

    def give(self, kind, answer):
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP | {"content-length"}]
        headers = [(name, self.through_proxy(value) if name.lower() == "location" else value) for name, value in headers]
        body = answer.read()
        if kind == "lose":
            return self.end()
        if body.startswith(b'{"Location"'):
            body = re.sub(rb'"(http[^"]*)"', lambda found: f'"{self.through_proxy(found[1].decode())}"'.encode(), body)
        self.answered = True
        if kind == "cut":
            self.answer(answer.status, headers, body, len(body) // 2 if body else None)
            return self.end()
        return self.answer(answer.status, headers, body)

    def answer(self, status, headers, body, only=None):
        self.answered = True
        lines = [f"HTTP/1.1 {status} Proxied"]
        lines += [f"{name}: {value}" for name, value in headers]
        lines += [f"Content-Length: {len(body)}"]
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        if self.command == "HEAD":
            body = b""
        self.wfile.write(head + body if only is None else head + body[:only])
        self.wfile.flush()
