"""Lines by TCP, into the daemon: OK behind the flush, through a kill, a reload and consumers that are behind."""

import signal
import socket
import threading

import pytest
from conftest import classic, make_shop
from daemon import Daemon, wait_for

T0 = 1_700_000_000


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def order(number, lines='[{"menu":"latte","price":3.5}]'):
    return f'{{"event_id":"t-{number}","kind":"order","customer":{1 + number % 7},"time":{T0 + number},"lines":{lines}}}\n'


@pytest.fixture
def tills(pc, tmp_path):
    """A deployment with one tcp source; tills.port is its port."""
    shop = make_shop(pc, tmp_path / "shop")
    shop.port = free_port()
    shop.config["sources"] = [{"name": "tills", "type": "tcp", "listen": f"127.0.0.1:{shop.port}", "format": "ndjson"}]
    shop.write_config()
    return shop


class Till:
    """A connection that counts its answers."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)

    def say(self, text):
        self.socket.sendall(text.encode())

    def hear(self, n):
        """The next n answers, or fewer and the end."""
        answers = b""
        try:
            while len(answers) < 3 * n and (part := self.socket.recv(3 * n - len(answers))):
                answers += part
        except ConnectionResetError:
            pass
        assert answers == b"OK\n" * (len(answers) // 3), answers
        return len(answers) // 3

    def is_ended(self):
        return self.socket.recv(1) == b""

    def close(self):
        self.socket.close()


def count(shop):
    return shop.value("SELECT count(*) FROM transactions_cln WHERE source = 'tills'")


def test_killed_in_the_middle(tills):
    """Who sends again what was not answered has each event once."""
    orders = [order(i) for i in range(3000)]
    with Daemon(tills) as daemon:
        till = Till(tills.port)
        till.say("".join(orders[:2000]))
        heard = till.hear(500)
        assert heard == 500 and count(tills) >= 500
        daemon.kill()
        heard += till.hear(2000)  # what was on its way
        till.close()
        assert heard <= count(tills)
        daemon.start()
        till = Till(tills.port)
        till.say("".join(orders[heard:]))
        assert till.hear(3000 - heard) == 3000 - heard
        till.close()
        assert count(tills) == 3000
        assert tills.json("status")["sources"][0]["type"] == "tcp"
        wait_for("in the view", lambda: tills.json("customer", 1)["orders"] == 429)
    assert tills.value("SELECT count(DISTINCT event_id) FROM transactions_cln") == 3000
    tills.ok("audit")


def test_reload_and_stop(tills):
    with Daemon(tills) as daemon:
        till = Till(tills.port)
        till.say(order(1))
        assert till.hear(1) == 1
        daemon.signal(signal.SIGHUP)
        assert till.is_ended()
        till.close()
        daemon.wait_log("the new configuration is taken")
        till = Till(tills.port)
        till.say(order(2))
        assert till.hear(1) == 1
        daemon.signal(signal.SIGTERM)
        assert till.is_ended()
        till.close()
        assert daemon.process.wait(60) == 0
    assert count(tills) == 2


def test_consumers_are_behind(tills):
    """Nothing is read, so the sender's writes stall; nothing is answered that is not durable; and it goes on by itself."""
    tills.write_config(journal={"backlog_mib": 16}, tables={"max_delay_s": 1})
    table = tills.warehouse / "transactions_cln"
    large = "[" + ",".join(f'{{"menu":"{number:02}{"x" * 240}","price":1}}' for number in range(50)) + "]"
    orders = [order(i, large) for i in range(2000)]
    with Daemon(tills):
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_text("in the way of the table")  # which cannot be written now
        till = Till(tills.port)
        sender = threading.Thread(target=till.say, args=("".join(orders),), daemon=True)
        sender.start()
        wait_for("it waits", lambda: tills.json("status")["daemon"]["sources"][0]["state"] == "waiting")
        assert sender.is_alive()
        table.unlink()
        assert till.hear(2000) == 2000
        sender.join()
        till.close()
    assert count(tills) == 50 * 2000


def test_classic_lines_and_nobody_is_answered(tills):
    tills.config["sources"][0] |= {"format": "classic", "answer": False}
    tills.write_config()
    with Daemon(tills):
        till = Till(tills.port)
        till.say(classic(1, "latte", 70, T0) + "bad\n" + classic(1, "tea", 5, T0 + 1))
        wait_for("in SQL", lambda: count(tills) == 2)
        till.close()
    assert tills.reasons() == {"column_count": 1}
    labels = {event_id.split(":")[0] for (event_id,) in tills.sql("SELECT event_id FROM transactions_cln")}
    assert len(labels) == 1 and labels.pop().startswith("tcp-")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"listen": "127.0.0.1"}, "is no address"),
        ({"format": "csv"}, "expected classic or ndjson"),
        ({"token_file": "x"}, "has no such key"),
        ({"settle_ms": 5}, "has no such key"),
        ({"answer": "perhaps"}, "true or false"),
    ],
)
def test_configuration(tills, change, why):
    tills.config["sources"][0] |= change
    tills.write_config()
    result = tills.run("run")
    assert result.code == 2 and why in result.err, result
