"""The daemon: events as they come, from start to stop, and what happens to it in between."""

import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import time

import pytest
from conftest import classic, lines, make_shop
from daemon import Daemon, wait_for

T0 = 1_700_000_000


def card(shop, customer):
    result = shop.run("customer", "--json", customer)
    return result.json() if result.code == 0 else {"orders": 0, "points": 0}


def count(shop):
    return shop.value("SELECT count(*) FROM transactions_cln")


def orders_of(shop, customer):
    return card(shop, customer)["orders"]


def drained(shop):
    consumers = shop.json("status")["journal"]["consumers"]
    return all(c["lag_lines"] == 0 for c in consumers.values())


def test_orders_come_and_are_seen(shop):
    with Daemon(shop) as daemon:
        for i in range(3):
            shop.put(f"orders-{i}.txt", lines(20, start=T0 + i * 10_000))
            wait_for("in SQL", lambda n=(i + 1) * 20: count(shop) == n)
            wait_for("in the view", lambda n=(i + 1) * 4: orders_of(shop, 1) == n)
        assert shop.names() == [f"orders-{i}.txt.COMPLETED" for i in range(3)]
        assert daemon.errors() == []
    assert daemon.messages("stopped")
    # What was only in the journal is in files now: it was drained.
    assert drained(shop)
    assert count(shop) == 60
    shop.ok("audit")


def test_speed_is_batch(shop, pc, tmp_path):
    """Late, doubled and in any order, by the daemon: the same tables as in order and at once."""
    rng = random.Random(7)
    texts = [lines(50, customers=7, start=T0 + i * 86400 * 2, step=600) for i in range(8)]
    names = [f"orders-{i}.txt" for i in range(8)]
    order = list(range(8))
    rng.shuffle(order)
    with Daemon(shop):
        for i in order:
            shop.put(names[i], texts[i])
            if rng.random() < 0.5:  # sent again, perhaps before the first one was taken
                shop.put(names[i], texts[i])
        wait_for("all orders", lambda: count(shop) == 400)
        wait_for("no marks", lambda: shop.json("status")["tables"]["accounts_marked"] == 0)
    other = make_shop(pc, tmp_path / "other")
    for name, text in zip(names, texts):
        other.put(name, text)
    other.collect()
    query = "SELECT * FROM accounts ORDER BY cust_id"
    assert [str(row) for row in shop.sql(query)] == [str(row) for row in other.sql(query)]
    shop.ok("audit")


def test_old_orders_are_mended_while_it_runs(shop):
    with Daemon(shop) as daemon:
        shop.put("new.txt", classic(5, "latte", 70, T0))
        wait_for("the order", lambda: orders_of(shop, 5) == 1)
        settled = "".join(classic(5, "latte", 70, T0 + day * 86400) for day in range(20, 30))
        shop.put("newer.txt", settled)
        wait_for("these, too", lambda: orders_of(shop, 5) == 11)
        shop.put("old.txt", classic(5, "mocha", 80, T0 + 5 * 86400))
        daemon.wait_log("accounts were mended out of the history")
        wait_for("the old one", lambda: orders_of(shop, 5) == 12)
        # It goes on behind that.
        shop.put("more.txt", classic(5, "latte", 70, T0 + 31 * 86400))
        wait_for("one more", lambda: orders_of(shop, 5) == 13)
        assert shop.json("status")["tables"]["accounts_marked"] == 0
    shop.ok("audit")


def test_killed_and_started_again(shop):
    """SIGKILL at random moments: nothing lost, nothing twice."""
    rng = random.Random(11)
    n = 0
    for attempt in range(6):
        daemon = Daemon(shop)
        for _ in range(rng.randrange(1, 5)):
            shop.put(f"orders-{n}.txt", lines(30, start=T0 + n * 5_000))
            n += 1
            time.sleep(rng.random() * 0.2)
        daemon.kill()
    with Daemon(shop):
        wait_for("all orders", lambda: count(shop) == n * 30)
        wait_for("all in the view", lambda: sum(orders_of(shop, c) for c in range(1, 6)) == n * 30)
    assert shop.value("SELECT count(DISTINCT event_id) FROM transactions_cln") == n * 30
    shop.ok("audit")


def test_refresh_and_load_beside_it(shop):
    day = "2023-11-14"
    with Daemon(shop):
        shop.put("orders.txt", lines(10))
        wait_for("the orders", lambda: count(shop) == 10)
        shop.customers("1,1,Anna,a@example.org,2020-01-01,\"1\",1990-01-01,F,1990\n")
        shop.ok("refresh", "--data-dt", day)
        assert shop.value(f"SELECT count(*) FROM loyalty WHERE data_dt = DATE '{day}'") == 5
        shop.ok("audit")
        other = shop.run("collect", "--once")
        assert other.code == 4
        assert "run" in other.err


def test_who_waits_for_nobody_yields(shop):
    """The table's writer and the keeper have a lower priority than sources and the view."""
    with Daemon(shop) as daemon:
        shop.put("orders.txt", lines(20))
        wait_for("in the view", lambda: orders_of(shop, 1) == 4)
        threads = pathlib.Path(f"/proc/{daemon.process.pid}/task").glob("*/stat")
        nice = sorted(int(thread.read_text().rpartition(")")[2].split()[16]) for thread in threads)
    assert nice[0] == os.getpriority(os.PRIO_PROCESS, 0)
    assert nice.count(nice[0] + 5) == 2, nice


def test_a_second_daemon_is_refused(shop):
    with Daemon(shop) as daemon:
        second = shop.run("run", timeout=60)
        assert second.code == 4
        assert str(daemon.process.pid) in second.err


def replace(path, text):
    """A whole file at once, as editors and configuration tools do."""
    staged = path.with_suffix(".new")
    staged.write_text(text)
    os.replace(staged, path)


def test_programme_changes_while_it_runs(shop):
    with Daemon(shop) as daemon:
        shop.put("orders.txt", lines(10))
        wait_for("the orders", lambda: orders_of(shop, 1) == 2)
        before = card(shop, 1)["points"]
        programme = shop.dir / "programme.yaml"
        text = programme.read_text()
        replace(programme, text.replace('"timezone"', '"timezoned"'))
        refused = daemon.wait_log("the new configuration is not taken, all goes on with the old one")
        assert "timezoned" in refused["error"]
        # Who only reads goes on with it, too, and says so; who computes does not.
        for args in (["customer", 1], ["sql", "SELECT 1"], ["status"], ["top", "--once"], ["explain", 1]):
            result = shop.ok(*args)
            assert "programme.yaml:" in result.err and "the programme of before serves" in result.err, result
        assert card(shop, 1)["points"] == before
        shop.ok("audit", code=2)
        shop.ok("simulate", "--programme", programme, code=2)
        daemon.signal(signal.SIGSTOP)
        replace(programme, text.replace('"points": "1"', '"points": "2"'))
        assert "; the daemon is making it again)" in shop.ok("customer", 1).out
        assert "the collector is making them again" in shop.ok("status").out
        daemon.signal(signal.SIGCONT)
        daemon.wait_log("the new configuration is taken")
        wait_for("twice the points", lambda: card(shop, 1)["points"] == 2 * before)
        shop.put("more.txt", lines(10, start=T0 + 100_000))
        wait_for("more orders", lambda: orders_of(shop, 1) == 4)
    shop.ok("audit")


def test_another_timezone_is_warned_of(shop):
    shop.put("orders.txt", lines(10))
    shop.collect()
    programme = shop.dir / "programme.yaml"
    text = programme.read_text()
    replace(programme, text.replace('"UTC"', '"America/New_York"'))
    said = shop.ok("collect", "--once").err
    assert "timezone has changed" in said and "America/New_York" in said and "UTC" in said
    assert "timezone" not in shop.ok("collect", "--once").err


def test_reload(shop):
    with Daemon(shop) as daemon:
        config = shop.dir / "punchcard.yaml"
        right = json.loads(config.read_text())
        replace(config, json.dumps({**right, "nonsense": 1}))
        daemon.signal(signal.SIGHUP)
        refused = daemon.wait_log("the new configuration is not taken, all goes on with the old one")
        assert "nonsense" in refused["error"]
        (shop.dir / "second").mkdir()
        second = {"name": "second", "dir": "second", "format": "classic"}
        replace(config, json.dumps({**right, "sources": [*right["sources"], second]}))
        daemon.signal(signal.SIGHUP)
        daemon.wait_log("the new configuration is taken")
        shop.put("orders.txt", lines(10), directory=shop.dir / "second")
        wait_for("the orders", lambda: count(shop) == 10)
        assert shop.sql("SELECT DISTINCT source FROM transactions_cln") == [("second",)]


def test_what_cannot_be_opened_is_not_taken(shop):
    """A configuration that reads well and cannot be run: the old one goes on."""
    with Daemon(shop) as daemon:
        config = shop.dir / "punchcard.yaml"
        right = json.loads(config.read_text())
        web = {"name": "web", "type": "http", "listen": "127.0.0.1:1", "token_file": "no-such-token"}
        replace(config, json.dumps({**right, "sources": [*right["sources"], web]}))
        daemon.signal(signal.SIGHUP)
        refused = daemon.wait_log("the new configuration is not taken, all goes on with the old one")
        assert "no-such-token" in refused["error"]
        shop.put("orders.txt", lines(10))
        wait_for("the orders", lambda: count(shop) == 10)


def test_service_manager_is_told(shop, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(60)
        with Daemon(shop, env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"}) as daemon:
            told = [manager.recv(1000).decode()]
            assert told == ["READY=1"]
            while "WATCHDOG=1" not in told:
                told.append(manager.recv(1000).decode())
            daemon.signal(signal.SIGHUP)
            while told[-1] != "READY=1":
                told.append(manager.recv(1000).decode())
            assert any(message.startswith("RELOADING=1\nMONOTONIC_USEC=") for message in told)
            daemon.signal(signal.SIGTERM)
            while told[-1] != "STOPPING=1":
                told.append(manager.recv(1000).decode())
            assert daemon.process.wait(60) == 0


def test_full_disk_and_room_again(shop, small_disk):
    """Back-pressure and a clear state; it goes on by itself when there is room."""
    ballast = shop.move_data(small_disk, 600_000)
    with Daemon(shop) as daemon:
        for i in range(40):
            shop.put(f"orders-{i:02}.txt", lines(2000, start=T0 + i * 200_000))
        wait_for("a full disk", lambda: [e for e in daemon.log if "no space" in e.get("error", "").lower()])
        assert daemon.process.poll() is None
        ballast.unlink()
        wait_for("all orders", lambda: count(shop) == 80_000, limit_s=120)
        wait_for("in the view", lambda: drained_view(shop))
    assert shop.value("SELECT count(DISTINCT event_id) FROM transactions_cln") == 80_000


def drained_view(shop):
    return shop.json("status")["journal"]["consumers"]["view"]["lag_lines"] == 0


def test_without_sources(shop):
    shop.write_config(sources=[])
    result = shop.run("run", timeout=60)
    assert result.code == 2
    assert "no sources" in result.err


@pytest.mark.parametrize("words", [["--log-format", "xml"], ["--log-level", "loud"], ["now"], ["--once"]])
def test_wrong_command_line(shop, words):
    result = shop.run("run", *words, timeout=60)
    assert result.code == 2
    assert "--help" in result.err


def test_reload_while_stdin_is_read(shop):
    """What came of a line before the reload goes on behind it, and the numbers of lines do."""
    shop.config["sources"] = [{"name": "pipe", "type": "stdin", "format": "classic", "settle_ms": 0}]
    shop.write_config()
    with Daemon(shop, stdin=subprocess.PIPE) as daemon:

        def say(text):
            daemon.process.stdin.write(text.encode())
            daemon.process.stdin.flush()

        say(classic(1, "latte", 70, 1_700_000_000) + "2|moc")
        wait_for("the first", lambda: count(shop) == 1)
        shop.programme["name"] = "Another"
        shop.write_config()
        daemon.signal(signal.SIGHUP)
        daemon.wait_log("the new configuration is taken")
        say("ha 80|1700000001\n")
        wait_for("the second", lambda: count(shop) == 2)
        for change in ({"name": "other"}, {"format": "ndjson"}, {"type": "exec", "command": ["cat"]}):
            n = len(daemon.messages("the new configuration is not taken, all goes on with the old one"))
            good = dict(shop.config["sources"][0])
            shop.config["sources"] = [good | change]
            shop.write_config()
            daemon.signal(signal.SIGHUP)
            said = daemon.wait_log("the new configuration is not taken, all goes on with the old one", n + 1)
            assert "source pipe reads the standard input" in json.dumps(said), said
            shop.config["sources"] = [good]
        shop.write_config()
        say(classic(3, "tea", 5, 1_700_000_002) + "4|cut")
        daemon.process.stdin.close()
        daemon.wait_log("a source has ended: nothing more will come of it")
    rows = shop.sql("SELECT event_id, odr_menu FROM transactions_cln ORDER BY event_id")
    starts = {event_id.split(":")[0] for event_id, _ in rows}
    assert len(starts) == 1
    assert [(event_id.split(":")[1], menu) for event_id, menu in rows] == [("1", "latte"), ("2", "mocha"), ("3", "tea")]
    assert shop.reasons() == {"column_count": 1}
    shop.ok("audit")
