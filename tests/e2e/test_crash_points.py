"""Each single system call that changes a file fails, or is the last one before SIGKILL: what is then found is a state that
was, and one more run makes of it what an untouched run would have made.

The calls are counted and broken by tests/crash/fail_call.c, preloaded into the release binary (PUNCHCARD_RELEASE): the
sanitizers' runtime and another library that must come first do not go together. Of many calls some are drawn
(PUNCHCARD_SEEDS), so that all of it stays within about a minute; PUNCHCARD_ALL_CALLS=1 takes each. It runs in memory where
there is such a file system: the order of the calls is what counts, not the disk.
"""

import concurrent.futures
import os
import pathlib
import random
import shutil
import subprocess
import tempfile

import pytest

from conftest import PUNCHCARD, ROOT, Punchcard, Shop, classic, environment, lines, make_shop

RELEASE = pathlib.Path(os.environ.get("PUNCHCARD_RELEASE", ROOT / "build/release/src/punchcard"))
FAIL_CALL = pathlib.Path(
    os.environ.get("PUNCHCARD_FAIL_CALL", pathlib.Path(PUNCHCARD).resolve().parent.parent / "tests/libfail_call.so")
)
SEED = os.environ.get("PUNCHCARD_SEEDS", "1").split()[0]
DRAWN = 14  # calls of one command that are broken in one way
WAYS = ["KILL", "EIO", "ENOSPC"]
PEOPLE = "".join(f'{i},3,Name {i},m{i}@x.org,2019-01-04,"1",1990-05-29,F,1990\n' for i in range(1, 40))
RECEIPTS = {
    "name": "receipts",
    "event_id": ["receipt"],
    "line": "line",
    "customer": "member",
    "date": "time",
    "date_format": "%s",
    "amount": "amount",
}
DAY = "2023-11-16"

# All that is served, without what differs from run to run (when a line was set aside). Hashes of rows: any order will do.
ALL = """
SELECT 'transactions_cln' AS name, count(*) AS n, sum(hash(t)::HUGEINT)::VARCHAR AS hash FROM transactions_cln AS t
UNION ALL SELECT 'quarantine', count(*), sum(hash(file, line, reason, text)::HUGEINT)::VARCHAR FROM quarantine
UNION ALL SELECT 'accounts', count(*), sum(hash(t)::HUGEINT)::VARCHAR FROM accounts AS t
UNION ALL SELECT 'account_balances', count(*), sum(hash(t)::HUGEINT)::VARCHAR FROM account_balances AS t
UNION ALL SELECT 'customers_cln', count(*), sum(hash(t)::HUGEINT)::VARCHAR FROM customers_cln AS t
UNION ALL SELECT 'loyalty', count(*), sum(hash(t)::HUGEINT)::VARCHAR FROM loyalty AS t
UNION ALL SELECT 'ledger', count(*), sum(hash(t)::HUGEINT)::VARCHAR FROM ledger AS t
UNION ALL SELECT 'balances', count(*), sum(hash(t)::HUGEINT)::VARCHAR FROM balances AS t
"""


@pytest.fixture(scope="module")
def release():
    if not RELEASE.exists() and (RELEASE.parent.parent / "build.ninja").exists():
        subprocess.run(["cmake", "--build", RELEASE.parent.parent, "--target", "punchcard"], check=True)
    assert RELEASE.exists(), f"{RELEASE} is missing: ./dev build release, or set PUNCHCARD_RELEASE"
    assert FAIL_CALL.exists(), f"{FAIL_CALL} is missing: ./dev build dev, or set PUNCHCARD_FAIL_CALL"
    return Punchcard(str(RELEASE))


def receipts(first, n):
    """Orders of two lines; every tenth one had already, every seventh with a bad line in it."""
    text = "receipt,line,member,time,amount\n"
    for i in range(first, first + n):
        order = f"r{i},1,{i % 30},{1_700_000_000 + i * 600},2.50\n"
        order += "torn,1\n" if i % 7 == 0 else ""
        order += f"r{i},2,{i % 30},{1_700_000_000 + i * 600},1.25\n"
        text += order * (2 if i % 10 == 0 else 1)
    return text


def kinds(first, n, start):
    """An order, what of it came back, and what was redeemed, of some customers in turn."""
    text = ""
    for i in range(first, first + n):
        head = f'"customer":{1 + i % 5},"time":{start + i * 3600}'
        text += f'{{"event_id":"o{i}","kind":"order",{head},"lines":[{{"menu":"tea","amount":90}}]}}\n'
        if i % 3 == 0:
            text += f'{{"event_id":"r{i}","kind":"refund",{head},"order":"o{i - 6}","amount":20}}\n'
        if i % 4 == 0:
            text += f'{{"event_id":"p{i}","kind":"redeem",{head},"points":1.5}}\n'
    return text


def make_base(release, directory, with_history):
    """A deployment in use (or fresh), with files to be collected."""
    shop = make_shop(
        release,
        directory,
        order_mappings=[RECEIPTS],
        sources=[
            {"name": "till", "dir": "spool", "format": "classic", "settle_ms": 0},
            {"name": "web", "dir": "web", "format": "receipts", "settle_ms": 0, "when_done": "delete"},
            {"name": "kiosk", "dir": "kiosk", "format": "classic", "when_done": "move", "move_to": "done", "settle_ms": 0},
            {"name": "pos", "dir": "pos", "format": "ndjson", "settle_ms": 0},
        ],
        journal={"retention_hours": 0},
    )
    shop.programme["late"] = {"days": 1, "open_events": 4}
    shop.write_config()
    if with_history:
        (shop.dir / "people.csv").write_text(PEOPLE.replace("Name", "First"))
        shop.ok("load", "customers", shop.dir / "people.csv")
        shop.put("a.txt", lines(200, customers=20))
        shop.put("a.csv", receipts(0, 30), shop.dir / "web")
        shop.put("a.json", kinds(20, 40, 1_700_000_000), shop.dir / "pos")
        shop.collect()
        shop.ok("refresh", "--data-dt", DAY)
        os.rename(shop.spool / "a.txt.COMPLETED", shop.spool / "a.txt")  # comes again, and has grown
        with open(shop.spool / "a.txt", "a", encoding="utf-8") as file:
            file.write(lines(20, start=1_700_200_000) + "bad\n")
    (shop.dir / "people.csv").write_text(PEOPLE + "bad\n")
    shop.put("b.txt", lines(150, customers=25, start=1_700_050_000) + classic(3, "tea", "nan", 1_700_000_000))
    shop.put("b.csv", receipts(20, 40), shop.dir / "web")
    shop.put("c.csv", receipts(55, 30).replace("torn,1\n", ""), shop.dir / "web")
    # Too late for the accounts that are there: they are mended.
    shop.put("b.json", kinds(10, 20, 1_700_000_000).replace("o2", "late-2"), shop.dir / "pos")
    shop.put("k.txt", lines(50, customers=25, start=1_700_150_000), shop.dir / "kiosk")
    return shop


COMMANDS = {
    "load": ["load", "customers", "people.csv"],
    "collect": ["collect", "--once"],
    "collect from nothing": ["collect", "--once"],
    "refresh": ["refresh", "--data-dt", DAY],
    "rebuild": ["rebuild", "--data-dt", DAY],
}


class Trial:
    """One copy of the deployment, in which a call of one command is broken."""

    def __init__(self, release, base, command, directory):
        shutil.copytree(base, directory, symlinks=True)
        self.shop = Shop(release, directory)
        self.command = [directory / word if word == "people.csv" else word for word in command]
        self.log = directory.parent / f"{directory.name}.log"

    def run(self, at=None, how=None):
        env = environment()
        if at is not None:
            env.update(
                LD_PRELOAD=str(FAIL_CALL),
                PUNCHCARD_FAIL_AT=str(at),
                PUNCHCARD_FAIL_HOW=how or "EIO",
                PUNCHCARD_FAIL_LOG=str(self.log),
            )
        pc = self.shop.pc
        return pc.end(pc.start("-C", self.shop.dir, *self.command, env=env))

    def told(self):
        name, number = self.log.read_text(encoding="utf-8").split()
        return name, int(number)

    def served(self):
        served = {name: (n, checksum) for name, n, checksum in self.shop.sql(ALL)}
        # In no catalog; its files have names of their contents.
        states = [path.name for path in (self.shop.warehouse / "account_state").rglob("*.parquet")]
        return {**served, "account_state": (len(states), sorted(states))}


@pytest.fixture(scope="module")
def place():
    """A directory in memory, if possible."""
    memory = pathlib.Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as directory:
        yield pathlib.Path(directory)


@pytest.fixture(scope="module", params=COMMANDS)
def case(request, release, place):
    """(command, the deployment before it, how many calls it makes, what is served before and after it)."""
    directory = place / "case"
    directory.mkdir()
    shop = make_base(release, directory / "base", "nothing" not in request.param)
    if request.param in ("refresh", "rebuild"):
        shop.collect()
    base = shop.dir
    command = COMMANDS[request.param]
    trial = Trial(release, base, command, directory / "whole")
    before = trial.served()
    assert trial.run(at=0).code == 0
    name, calls = trial.told()
    assert name == "calls" and calls > 5
    after = trial.served()
    assert after != before
    yield request.param, base, calls, before, after
    shutil.rmtree(directory)


def check(release, case, at, how, directory):
    """Breaks one call. Returns its name, or None when the run did not come to it (other threads were faster)."""
    _, base, _, before, after = case
    trial = Trial(release, base, COMMANDS[case[0]], directory)
    broken = trial.run(at, how)
    fired = trial.log.exists()
    where = f"{how} at call {trial.told() if fired else at}: {broken!r}"
    served = trial.served()
    if not fired:
        assert broken.code == 0 and served == after, where
    elif how == "KILL":
        assert broken.code == -9, where
    else:
        assert broken.code >= 0, f"killed: {where}"
        if broken.code == 0:
            assert served == after, f"exit 0, but it is not whole: {where}"
        else:
            assert broken.err.startswith("punchcard: ") and broken.err.endswith("\n"), where
    # Readers see what was or what is, table by table; orders come in batches that are whole.
    for name in ("customers_cln", "loyalty", "balances", "account_state"):
        assert served[name] in (before[name], after[name]), f"{name}: {served[name]}: {where}"
    for name in ("transactions_cln", "quarantine", "accounts", "account_balances"):
        assert before[name][0] <= served[name][0] <= after[name][0], f"{name}: {served[name]}: {where}"
    again = trial.run()
    assert again.code == 0, f"{again!r}\nafter {where}"
    assert trial.served() == after, f"{trial.served()}\nwanted {after}\nafter {where}"
    assert trial.shop.json("status")["tables"]["accounts_marked"] == 0, where
    left = [path for path in (trial.shop.dir / "data/tmp").rglob("*") if path.is_file()]
    assert left == [], where
    for name in ("spool", "web", "kiosk", "pos"):
        if "collect" in case[0]:
            kept = [path.name for path in (trial.shop.dir / name).iterdir() if ".COMPLETED" not in path.name]
            assert kept == [], where
    name = trial.told()[0] if fired else None
    shutil.rmtree(directory)
    trial.log.unlink(missing_ok=True)
    return name


@pytest.mark.parametrize("how", WAYS)
def test_any_call(release, case, how, place):
    calls = case[2]
    points = list(range(1, calls + 3))
    if not os.environ.get("PUNCHCARD_ALL_CALLS"):
        chance = random.Random(f"{SEED} {case[0]} {how}")
        points = sorted(chance.sample(points, min(DRAWN, len(points))))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = [pool.submit(check, release, case, at, how, place / f"{at}") for at in points]
        names = [run.result() for run in runs]
    assert any(names)
