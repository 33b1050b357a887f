"""What a program prints, into the daemon: started again, killed with it, and what status says of it."""

from conftest import classic
from daemon import Daemon, wait_for

T0 = 1_700_000_000


def is_there(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return " Z " not in stat.read()
    except (FileNotFoundError, ProcessLookupError):
        return False


def take_from(shop, script):
    (shop.dir / "script").write_text(script, encoding="utf-8")
    shop.config["sources"] = [{"name": "branch", "type": "exec", "format": "classic", "command": ["/bin/sh", "script"]}]
    shop.write_config()


def test_it_is_killed_with_the_daemon(shop):
    take_from(
        shop,
        f"printf '%s\\n' '{classic(1, 'latte', 3, T0).strip()}'\n"
        "sleep 1000 &\necho $! > its_own\necho $$ > pid\nexec sleep 1000\n",
    )
    pid_file = shop.dir / "pid"
    with Daemon(shop) as daemon:
        pid = int(wait_for("a program", lambda: pid_file.exists() and pid_file.read_text(encoding="utf-8").strip()))
        wait_for("its line", lambda: shop.value("SELECT count(*) FROM transactions_cln") == 1)
        (warning,) = [entry for entry in daemon.log if "counts again" in entry["message"]]
        assert warning["source"] == "branch"
        (source,) = shop.json("status")["sources"]
        assert (source["type"], source["lines"], bool(source["last_taken"])) == ("exec", 1, True)
        daemon.kill()
        wait_for("its end", lambda: not is_there(pid))
        its_own = int((shop.dir / "its_own").read_text(encoding="utf-8"))
        wait_for("the end of what it started", lambda: not is_there(its_own))
