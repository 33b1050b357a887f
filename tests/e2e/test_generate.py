"""generate: orders of a shop that does not exist."""

import collections
import json
import os
import re
import signal
import time

import pytest

LINE = re.compile(r"(\d+)\|(espresso 65|flat white 3\.50)\|(\d{10})")
JANUARY = ("--from", "2021-01-01", "--to", "2021-01-31")


def generated(shop):
    return sorted(path.name for path in shop.spool.glob("orders-*"))


def test_writes_into_the_classic_source(shop):
    summary = shop.json("generate", "--orders", 500, "--customers", 50, "--files", 3, *JANUARY)
    assert generated(shop) == [f"orders-1-{i:06d}.txt" for i in (1, 2, 3)]
    text = "".join((shop.spool / name).read_text() for name in generated(shop))
    assert summary["orders"] == summary["lines"] == text.count("\n") == 500
    assert summary["bytes"] == len(text)
    assert summary["files"] == 3
    orders = [LINE.fullmatch(line) for line in text.splitlines()]
    assert all(orders)
    assert {int(order[1]) for order in orders} <= set(range(1, 51))
    times = [int(order[3]) for order in orders]
    assert times == sorted(times)
    assert 1609459200 <= times[0] and times[-1] < 1609459200 + 31 * 86400


def test_same_seed_same_bytes(shop, tmp_path):
    options = ["generate", "--orders", 2000, *JANUARY]
    first = shop.ok(*options, "--stdout").raw_out
    assert shop.ok(*options, "--stdout", "--seed", 1).raw_out == first
    shop.ok(*options, "--spool", tmp_path / "out")
    assert (tmp_path / "out/orders-1-000001.txt").read_bytes() == first
    other = shop.ok(*options, "--stdout", "--seed", 2).raw_out
    assert other != first and other.count(b"\n") == 2000


def test_hours_are_those_of_the_programme(shop):
    shop.programme["timezone"] = "Asia/Bangkok"
    shop.write_config()
    out = shop.ok("generate", "--orders", 3000, *JANUARY, "--stdout").out
    hours = collections.Counter((int(line.rsplit("|", 1)[1]) // 3600 + 7) % 24 for line in out.splitlines())
    assert set(hours) <= set(range(6, 20))
    assert hours[8] > hours[15] > hours[19]


def test_default_days_are_the_last_thirty(shop):
    out = shop.ok("generate", "--orders", 3000, "--stdout").out
    days = {int(line.rsplit("|", 1)[1]) // 86400 for line in out.splitlines()}
    today = int(time.time()) // 86400
    assert days <= set(range(today - 31, today + 1))
    assert len(days) == 30


def test_overwrites_nothing(shop):
    shop.ok("generate", "--orders", 10)
    before = {name: (shop.spool / name).read_bytes() for name in generated(shop)}
    again = shop.ok("generate", "--orders", 20, code=1)
    assert "orders-1-000001.txt" in again.err and "--seed" in again.err
    os.rename(shop.spool / "orders-1-000001.txt", shop.spool / "orders-1-000001.txt.COMPLETED")
    again = shop.ok("generate", "--orders", 20, code=1)
    assert "orders-1-000001.txt.COMPLETED" in again.err
    assert [(shop.spool / name).read_bytes() for name in generated(shop)] == list(before.values())
    shop.ok("generate", "--orders", 20, "--seed", 2)


def test_dirty_counts_are_those_in_the_lines(shop):
    options = ["generate", "--orders", 5000, "--customers", 200, *JANUARY, "--stdout"]
    clean = shop.ok(*options).out.splitlines()
    result = shop.ok(*options, "--dirty", "0.2", "--json")
    dirty = result.out.splitlines()
    summary = json.loads(result.err)
    faults = summary["faults"]
    assert 800 < sum(faults.values()) < 1200
    assert min(faults.values()) > 150
    assert summary["lines"] == len(dirty) == 5000 + faults["duplicates"]
    whole = [line for line in dirty if LINE.fullmatch(line)]
    assert len(dirty) - len(whole) == faults["torn"]
    assert sum(int(line.split("|")[0]) > 200 for line in whole) == faults["unknown"]
    repeated = sum(a == b for a, b in zip(dirty, dirty[1:]) if LINE.fullmatch(a))
    assert repeated == faults["duplicates"]
    known = set(clean)
    changed = [line for line in whole if int(line.split("|")[0]) <= 200 and line not in known]
    assert abs(len(changed) - faults["late"]) <= 1  # a late one may look like another order
    assert len(known & set(dirty)) >= 5000 - sum(faults.values())


def test_dirty_summary_for_people(shop):
    result = shop.ok("generate", "--orders", 100, "--dirty", "1", *JANUARY)
    assert re.search(r"\d+ duplicates, \d+ late, \d+ torn, \d+ unknown", result.err)


def test_live_stamps_with_now(shop):
    start = int(time.time())
    result = shop.ok("generate", "--rate", 100, "--orders", 30, "--stdout")
    stamps = [int(line.rsplit("|", 1)[1]) for line in result.out.splitlines()]
    assert len(stamps) == 30
    assert start <= stamps[0] and stamps[-1] <= time.time()
    assert stamps == sorted(stamps)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_live_ends_well_on_a_signal(shop, pc, how):
    process = shop.start("generate", "--rate", 50, "--json")
    deadline = time.monotonic() + 30
    while not generated(shop):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(how)
    result = pc.end(process)
    result.check_health()
    assert result.code == 0, result
    text = "".join((shop.spool / name).read_text() for name in generated(shop))
    assert result.json()["lines"] == text.count("\n") > 0
    assert not [name for name in os.listdir(shop.spool) if name.startswith(".")]


def test_interrupted_leaves_no_half_file(shop, pc):
    process = shop.start("generate", "--orders", 10**11, "--files", 2)
    deadline = time.monotonic() + 30
    while not any(name.startswith(".orders") for name in os.listdir(shop.spool)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    result = pc.end(process)
    result.check_health()
    assert result.code == 130
    assert os.listdir(shop.spool) == []


@pytest.mark.parametrize(
    "options, complaint",
    [
        (["--orders", "0"], "--orders 0"),
        (["--orders", "many"], "--orders many"),
        (["--orders", "-5"], "--orders -5"),
        (["--orders"], "--orders"),
        (["--customers", "100000001"], "--customers"),
        (["--seed", "1.5"], "--seed"),
        (["--from", "2021-02-30"], "--from 2021-02-30"),
        (["--from", "yesterday"], "--from yesterday"),
        (["--to", "1969-12-31"], "--to 1969-12-31"),
        (["--from", "2021-02-02", "--to", "2021-02-01"], "--from is after --to"),
        (["--dirty", "1.5"], "--dirty"),
        (["--dirty", "nan"], "--dirty"),
        (["--dirty", "-0.1"], "--dirty"),
        (["--files", "0"], "--files"),
        (["--files", "11", "--orders", "10"], "--files 11"),
        (["--rate", "0"], "--rate"),
        (["--rate", "5", "--from", "2021-01-01"], "--rate"),
        (["--rate", "5", "--files", "2"], "--rate"),
        (["--stdout", "--spool", "x"], "--stdout"),
        (["--stdout", "--files", "2"], "--stdout"),
        (["--frobnicate"], "--frobnicate"),
        (["orders.txt"], "orders.txt"),
    ],
)
def test_wrong_options(shop, options, complaint):
    result = shop.ok("generate", *options, code=2)
    assert complaint in result.err
    assert "--help" in result.err
    assert result.out == ""
    assert os.listdir(shop.spool) == []


def test_without_a_deployment(pc, tmp_path):
    result = pc("generate", "--orders", 5, "--stdout", cwd=tmp_path)
    assert result.code == 0 and len(result.out.splitlines()) == 5
    assert pc("generate", "--orders", 5, "--spool", "spool", cwd=tmp_path).code == 0
    assert (tmp_path / "spool/orders-1-000001.txt").exists()
    result = pc("generate", cwd=tmp_path)
    assert result.code != 0 and "init" in result.err
    result = pc("-C", tmp_path / "nowhere", "generate", "--stdout", cwd=tmp_path)
    assert result.code != 0 and "nowhere" in result.err


def test_no_classic_source(shop):
    shop.write_config(sources=[])
    result = shop.ok("generate", code=2)
    assert "--spool" in result.err


def test_unwritable_target(shop, tmp_path):
    (tmp_path / "file").write_text("")
    result = shop.ok("generate", "--spool", tmp_path / "file", code=1)
    assert str(tmp_path / "file") in result.err


def test_full_output(shop):
    with open("/dev/full", "wb") as full:
        result = shop.run("generate", "--stdout", stdout=full)
    assert result.code == 1
    assert "No space left" in result.err


def test_full_disk(shop, small_disk):
    result = shop.ok("generate", "--orders", 1_000_000, "--files", 40, "--spool", small_disk, code=1)
    assert "No space left" in result.err
    whole = sorted(small_disk.iterdir())
    assert whole, result
    assert all(re.fullmatch(r"orders-1-\d{6}\.txt", path.name) for path in whole)
    assert all(path.read_text().count("\n") == 25_000 for path in whole)


def test_collect_takes_what_was_generated(shop):
    summary = shop.json("generate", "--orders", 3000, "--customers", 100, "--dirty", "0.1", *JANUARY)
    shop.collect()
    assert shop.value("SELECT count(*) FROM transactions_cln") == summary["lines"] - summary["faults"]["torn"]
    assert shop.value("SELECT count(*) FROM quarantine") == summary["faults"]["torn"]
    beyond = shop.value("SELECT count(*) FROM transactions_cln WHERE cust_id > 100")
    assert beyond == summary["faults"]["unknown"]
