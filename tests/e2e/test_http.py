"""Events by HTTP, into the daemon: as a shop's server would send them, by curl, or by Python."""

import gzip
import http.client
import json
import shutil
import signal
import socket
import subprocess

import pytest
from conftest import make_shop
from daemon import Daemon, wait_for

T0 = 1_700_000_000
TOKEN = "a-token-of-the-tests"


def event(number, customer=7, price="3.50"):
    lines = f'[{{"menu":"latte","qty":1,"price":{price}}}]'
    return f'{{"event_id":"w-{number}","kind":"order","customer":{customer},"time":{T0 + number},"lines":{lines}}}'


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def web(pc, tmp_path):
    """A deployment with one http source; web.port is its port."""
    shop = make_shop(pc, tmp_path / "shop")
    shop.port = free_port()
    source = {"name": "web", "type": "http", "listen": f"127.0.0.1:{shop.port}", "token_file": "token"}
    shop.config["sources"] = [source]
    (shop.dir / "punchcard.yaml").write_text(json.dumps(shop.config), encoding="utf-8")
    token = shop.dir / "token"
    token.write_text(TOKEN + "\n", encoding="utf-8")
    token.chmod(0o600)
    return shop


def post(shop, body, path="/v1/events", method="POST", **headers):
    """Status, headers and body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", shop.port, timeout=60)
    headers = {"Authorization": f"Bearer {TOKEN}", **{k.replace("_", "-"): v for k, v in headers.items()}}
    connection.request(method, path, body.encode() if isinstance(body, str) else body, headers)
    answer = connection.getresponse()
    result = answer.status, answer.headers, json.loads(answer.read())
    connection.close()
    return result


def send(shop, body, **headers):
    status, _, answer = post(shop, body, **headers)
    return status, answer


def taken(accepted, duplicates=0):
    return 200, {"accepted": accepted, "duplicates": duplicates}


def count(shop):
    return shop.value("SELECT count(*) FROM transactions_cln WHERE source = 'web'")


def test_requests_are_seen_and_outlive_a_kill(web):
    batch = "\n".join(event(i) for i in range(100))
    with Daemon(web) as daemon:
        assert send(web, batch, Content_Type="application/x-ndjson") == taken(100)
        assert count(web) == 100  # durable is visible
        wait_for("in the view", lambda: web.run("customer", "--json", 7).code == 0)
        wait_for("all orders", lambda: web.json("customer", 7)["orders"] == 100)
        daemon.kill()  # right behind the answer: the sender has not heard, and sends again
        daemon.start()
        assert send(web, f"[{batch.replace(chr(10), ',')}]", Content_Type="application/json") == taken(0, 100)
        assert send(web, gzip.compress(event(100).encode()), Content_Encoding="gzip") == taken(1)
        status, answer = send(web, event(101) + "\n" + event(5, price="9.00"))
        assert (status, answer["error"]["code"]) == (409, "id_conflict")
        assert answer["error"]["events"] == [answer["error"]["events"][0] | {"index": 1, "event_id": "w-5"}]
        assert send(web, event(101)) == taken(1)
        assert send(web, event(102), Authorization="Bearer x")[0] == 401
    assert count(web) == 102
    assert web.value("SELECT count(DISTINCT event_id) FROM transactions_cln") == 102
    (source,) = web.json("status")["sources"]
    assert (source["type"], source["configured"], source["lines"], source["rows"]) == ("http", True, 202, 102)
    assert (source["orders"], source["duplicates"], bool(source["last_taken"])) == (102, 100, True)
    assert "202 read = 102 taken + 100 had already" in web.ok("status").out
    web.ok("audit")


def test_reload_and_stop(web):
    with Daemon(web) as daemon:
        assert send(web, event(1)) == taken(1)
        (web.dir / "token").write_text("another-token-of-the-tests\n", encoding="utf-8")
        daemon.signal(signal.SIGHUP)
        daemon.wait_log("the new configuration is taken")
        assert send(web, event(2))[0] == 401
        assert send(web, event(2), Authorization="Bearer another-token-of-the-tests") == taken(1)
    with pytest.raises(OSError):
        send(web, event(3))
    assert count(web) == 2


def test_consumers_are_behind(web):
    """journal: backlog_mib. Who sends is told to come again, and when; what was taken stays, and it goes on by itself."""
    web.write_config(journal={"backlog_mib": 16}, tables={"max_delay_s": 1})
    table = web.warehouse / "transactions_cln"
    large = ",".join(f'{{"menu":"{number:02}{"x" * 240}","price":1}}' for number in range(50))

    def request(number):
        ids = range(number * 200, number * 200 + 200)
        return "\n".join(
            f'{{"event_id":"w-{i}","kind":"order","customer":{1 + i % 50},"time":{T0 + i},"lines":[{large}]}}' for i in ids
        )

    with Daemon(web) as daemon:
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_text("in the way of the table")  # which cannot be written now
        n = 0
        while (answer := post(web, request(n)))[0] == 200:
            n += 1
            assert n < 50
        status, headers, body = answer
        assert (status, body["error"]["code"], headers["Retry-After"]) == (429, "backlog", "1")
        assert n > 1
        assert post(web, None, path="/healthz", method="GET")[::2] == (503, {"status": "backlog"})
        assert web.json("status")["journal"]["backlog_bytes"] >= 16 << 20
        daemon.wait_log("requests are told to come again")
        table.unlink()
        wait_for("room", lambda: post(web, None, path="/healthz", method="GET")[0] == 200)
        assert send(web, request(n)) == taken(200)
        assert send(web, request(0)) == taken(0, 200)
    assert count(web) == 50 * 200 * (n + 1)
    web.ok("audit")


def test_port_is_taken(web):
    with socket.socket() as other:
        other.bind(("127.0.0.1", web.port))
        other.listen()
        result = web.run("run")
    assert result.code == 1, result
    assert f"another program listens at 127.0.0.1:{web.port}" in result.err


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_curl(web, tmp_path):
    """As docs/http.md has it."""
    orders = tmp_path / "orders.ndjson"
    orders.write_text("".join(event(i) + "\n" for i in range(3000)), encoding="utf-8")
    curl = ["curl", "-sS", "--max-time", "60", "-H", f"Authorization: Bearer {TOKEN}"]
    url = f"http://127.0.0.1:{web.port}"

    def run(*args):
        return subprocess.run([*curl, *args], capture_output=True, text=True, check=True).stdout

    with Daemon(web):
        assert json.loads(run(f"{url}/healthz")) == {"status": "ok"}
        # Over a megabyte, curl asks first (Expect: 100-continue).
        body = ["-H", "Content-Type: application/x-ndjson", "--data-binary", f"@{orders}", f"{url}/v1/events"]
        assert json.loads(run(*body)) == {"accepted": 3000, "duplicates": 0}
        assert json.loads(run("-H", "Transfer-Encoding: chunked", *body)) == {"accepted": 0, "duplicates": 3000}
        assert json.loads(run("-d", event(1), f"{url}/v1/events"))["error"]["code"] == "content_type"
        bad = run("--json", f"[{event(4000)}, {{}}]", f"{url}/v1/events")
        assert json.loads(bad)["error"]["events"][0]["index"] == 1
    assert count(web) == 3000
