"""simulate: the history under another programme, against two deployments that were run by each."""

import copy
import hashlib
import json
import random
import signal
import time
from decimal import Decimal

import pytest

from conftest import environment
from test_explain import adjust, ndjson, ndjson_shop, order, redeem, refund

TODAY = {
    "ledgers": [{"name": "points", "value": "0.05"}, {"name": "stamps"}],
    "earn": [
        {"name": "base", "per_amount": {"points": "1", "per": "10"}},
        {"name": "stamp", "ledger": "stamps", "per_visit": {"points": "1"}},
    ],
    "tiers": {
        "metric": "spend",
        "window": {"rolling_months": 12},
        "levels": [{"name": "member", "threshold": "0"}, {"name": "gold", "threshold": "300", "multiplier": "1.5"}],
    },
    "rewards": [{"id": "tea", "cost": "2"}, {"id": "cake", "cost": "3"}],
}
OTHER = {
    "ledgers": [{"name": "points", "value": "0.04", "expiry": {"days": 100}, "pending_days": 5}, {"name": "cash", "decimals": 2}],
    "earn": [
        {"name": "base", "per_step": {"points": "3", "step": "25"}},
        {"name": "back", "ledger": "cash", "per_amount": {"points": "1", "per": "50"}},
    ],
    "tiers": {
        "metric": "visits",
        "window": {"rolling_months": 6},
        "levels": [{"name": "guest", "threshold": "0"}, {"name": "gold", "threshold": "4", "multiplier": "2"}],
    },
    "rewards": [{"id": "tea", "cost": "1"}],
}
PEOPLE = '1,3,Anna,a@x.org,2019-01-04,"111",1990-05-29,F,1990\n2,3,Bo,b@x.org,2019-01-04,"222",1990-05-29,M,1990\n'
DAY = "2025-06-30"
PEOPLE_MAX = 16


def history(seed=1, customers=PEOPLE_MAX):
    rng = random.Random(seed)
    events = []
    for who in range(1, customers + 1):
        for i in range(rng.randrange(1, 9)):
            month, day = rng.randrange(1, 7), rng.randrange(1, 29)
            event_id = f"o-{who}-{i}"
            amount = rng.randrange(100, 15000) / 100
            events.append(order(event_id, f"2025-{month:02}-{day:02}T10:00:00Z", amount, customer=who))
            kind = rng.randrange(6)
            after = f"2025-{month:02}-{day:02}T11:00:00Z"
            if kind == 0:
                events.append(refund(f"f-{who}-{i}", event_id, after, amount, customer=who))
            elif kind == 1:
                events.append(redeem(f"x-{who}-{i}", after, rng.choice(["tea", "cake"]), customer=who))
            elif kind == 2:
                events.append(adjust(f"a-{who}-{i}", after, rng.choice([5, -3]), "why not", customer=who))
    rng.shuffle(events)
    return events


def whole(shop, programme):
    full = copy.deepcopy(shop.programme)
    for key in ("ledgers", "earn", "tiers", "rewards"):
        full.pop(key, None)
    full.update(programme)
    return full


def write_programme(shop, programme, name="other.yaml"):
    path = shop.dir.parent / name
    path.write_text(json.dumps(whole(shop, programme)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def shops(pc, tmp_path_factory):
    """The same events in two deployments, by one programme each."""
    both = []
    for name, programme in (("today", TODAY), ("other", OTHER)):
        shop = ndjson_shop(pc, tmp_path_factory.mktemp(name) / "shop", programme)
        shop.customers(PEOPLE)
        shop.put("a.json", ndjson(history()))
        assert shop.collect()["quarantined"] == 0
        both.append(shop)
    return both


@pytest.fixture(scope="module")
def report(shops):
    other = write_programme(shops[0], OTHER)
    return shops[0].json("simulate", "--programme", other, "--data-dt", DAY)


def explained(shop, who):
    report = shop.json("explain", who, "--as-of", DAY)
    return report


@pytest.fixture(scope="module")
def people(shops):
    """What explain has of every customer under each programme."""
    return [[explained(shop, who) for who in range(1, PEOPLE_MAX + 1)] for shop in shops]


def ledger(report, name):
    return next((one for one in report["ledgers"] if one["ledger"] == name), None)


def total(people, name, key):
    return sum(Decimal(ledger(one, name)[key]) for one in people)


def holds(one):
    mine = ledger(one, "points")
    return sum(Decimal(lot["points"]) for lot in mine["lots"]) - Decimal(mine["debt"])


def test_sums_of_each_side(report, people):
    assert report["customers"] == PEOPLE_MAX and report["events"] == len(history())
    assert [one["ledger"] for one in report["ledgers"]] == ["points", "stamps", "cash"]
    for side, name in enumerate(("today", "other")):
        for one in report["ledgers"]:
            if one[name] is None:
                continue
            for key in ("issued", "reversed", "redeemed", "expired", "pending", "debt"):
                assert Decimal(one[name][key]) == total(people[side], one["ledger"], key), (name, one["ledger"], key)
            lots = sum(Decimal(lot["points"]) for who in people[side] for lot in ledger(who, one["ledger"])["lots"])
            assert Decimal(one[name]["outstanding"]) == lots
    assert ledger(report, "stamps")["other"] is None and ledger(report, "cash")["today"] is None
    assert Decimal(ledger(report, "points")["other"]["expired"]) > 0 and Decimal(ledger(report, "points")["other"]["pending"]) >= 0


def test_costs(report):
    for name, value in (("today", "0.05"), ("other", "0.04")):
        side = ledger(report, "points")[name]
        net = Decimal(side["issued"]) - Decimal(side["reversed"])
        assert abs(Decimal(side["cost"]) - net * Decimal(value)) <= Decimal("0.005")
        assert abs(Decimal(side["liability"]) - Decimal(side["outstanding"]) * Decimal(value)) <= Decimal("0.005")


def test_value_per_point(shops):
    other = write_programme(shops[0], OTHER)
    report = shops[0].json("simulate", "--programme", other, "--data-dt", DAY, "--value-per-point", "2")
    for one in report["ledgers"]:
        for side in (one["today"], one["other"]):
            if side:
                assert Decimal(side["liability"]) == (Decimal(side["outstanding"]) * 2).quantize(Decimal("0.01"), "ROUND_HALF_UP")


def test_rewards_that_are_gone(report):
    cakes = sum(event.get("reward") == "cake" for event in history())
    assert cakes > 0
    assert report["rejected"]["today"]["all"] == 0
    assert report["rejected"]["other"] == {
        "unknown_order": 0,
        "over_refund": 0,
        "unknown_reward": cakes,
        "unknown_ledger": 0,
        "overflow": 0,
        "all": cakes,
    }


def test_tiers(report, people):
    moves = {}
    for today, other in zip(*people):
        key = (today["tier"]["level"], other["tier"]["level"])
        moves[key] = moves.get(key, 0) + 1
    assert {(one["today"], one["other"]): one["customers"] for one in report["tiers"]} == moves


def test_gains_and_losses(report, people):
    changes = sorted(holds(other) - holds(today) for today, other in zip(*people))
    counted = {one["change"]: one["customers"] for one in report["changes"]}
    assert sum(counted.values()) == PEOPLE_MAX
    assert counted["loses 10 to 100"] == sum(-100 <= change <= -10 for change in changes)
    assert counted["loses 1 to 10"] == sum(-10 < change <= -1 for change in changes)
    assert counted["no change"] == sum(change == 0 for change in changes)
    assert counted["gains 1 to 10"] == sum(1 <= change < 10 for change in changes)
    for one in report["quantiles"]:
        rank = -(-PEOPLE_MAX * one["percent"] // 100)
        assert Decimal(one["change"]) == changes[rank - 1]
    lost = sorted(
        (holds(other) - holds(today), who + 1) for who, (today, other) in enumerate(zip(*people)) if holds(other) < holds(today)
    )
    assert [one["cust_id"] for one in report["losers"]] == [who for _, who in lost[:20]]
    for one in report["losers"]:
        assert one["name"] == {1: "Anna", 2: "Bo"}.get(one["cust_id"])


def test_the_same_changes_nothing(shops):
    same = write_programme(shops[0], TODAY, "same.yaml")
    report = shops[0].json("simulate", "--programme", same, "--data-dt", DAY)
    assert report["same"] is True and report["losers"] == []
    for one in report["ledgers"]:
        assert one["today"] == one["other"]
    assert report["rejected"]["today"] == report["rejected"]["other"]
    assert {one["change"]: one["customers"] for one in report["changes"] if one["customers"]} == {"no change": PEOPLE_MAX}
    assert all(Decimal(one["change"]) == 0 for one in report["quantiles"])
    assert all(one["today"] == one["other"] for one in report["tiers"])


def test_parquet(shops, people, tmp_path):
    shop = shops[0]
    other = write_programme(shop, OTHER)
    # Where queries may read: a table of its own beside the others.
    path = shop.warehouse / "quarantine.parquet"
    target = tmp_path / "out.parquet"
    report = shop.json("simulate", "--programme", other, "--data-dt", DAY, "--parquet", target)
    assert target.read_bytes()[:4] == b"PAR1" and [file.name for file in tmp_path.iterdir()] == ["out.parquet"]
    try:
        path.write_bytes(target.read_bytes())
        rows = shop.sql(
            "SELECT cust_id, points_today::VARCHAR, points_other::VARCHAR, tier_today, tier_other"
            f" FROM read_parquet('{path}') WHERE ledger = 'points' ORDER BY cust_id"
        )
        assert rows == [
            (who + 1, *(f"{holds(one[who]):.3f}" for one in people), *(one[who]["tier"]["level"] for one in people))
            for who in range(PEOPLE_MAX)
        ]
        sums = shop.sql(
            "SELECT ledger, sum(issued_today)::VARCHAR, sum(issued_other)::VARCHAR"
            f" FROM read_parquet('{path}') GROUP BY ledger ORDER BY ledger"
        )
        for name, today, other_side in sums:
            for text, side in ((today, "today"), (other_side, "other")):
                mine = ledger(report, name)[side]
                assert (text is None) == (mine is None)
                assert text is None or Decimal(text) == Decimal(mine["issued"])
    finally:
        path.unlink(missing_ok=True)
    # What is there is left alone; again gives the same file.
    first = target.read_bytes()
    refused = shop.ok("simulate", "--programme", other, "--data-dt", DAY, "--parquet", target, code=1)
    assert "is there already" in refused.err and target.read_bytes() == first
    target.unlink()
    shop.ok("simulate", "--programme", other, "--data-dt", DAY, "--parquet", target)
    assert target.read_bytes() == first


def test_parquet_that_cannot_be_written(shops, tmp_path):
    other = write_programme(shops[0], OTHER)
    result = shops[0].ok("simulate", "--programme", other, "--parquet", tmp_path / "no/such/out.parquet", code=1)
    assert "no/such" in result.err and result.out == ""


def test_for_people(shops):
    other = write_programme(shops[0], OTHER)
    out = shops[0].ok("simulate", "--programme", other, "--data-dt", DAY).out
    for text in (f"{PEOPLE_MAX} customers", "Redemptions are taken as they happened", "outstanding", "unknown_reward", "member", "loses"):
        assert text in out, out
    assert "difference" in out and "who loses most" in out


def test_nothing_is_touched(shops):
    shop = shops[0]

    def state():
        return {
            path.relative_to(shop.dir): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(shop.dir.rglob("*"))
            if path.is_file() and path.name != "lock.mdb"
        }

    before = state()
    shop.ok("simulate", "--programme", write_programme(shop, OTHER), "--data-dt", DAY)
    assert state() == before


def test_only_days_up_to_the_one(shops):
    other = write_programme(shops[0], OTHER)
    early = [event for event in history() if event["time"] < "2025-02-01"]
    report = shops[0].json("simulate", "--programme", other, "--data-dt", "2025-01-31")
    assert report["events"] == len(early)
    assert report["customers"] == len({event["customer"] for event in early})
    assert shops[0].json("simulate", "--programme", other, "--data-dt", "2024-12-31")["customers"] == 0


def test_nothing_was_collected(shop):
    report = shop.json("simulate", "--programme", shop.dir / "programme.yaml")
    assert report["customers"] == 0 and report["quantiles"] == []
    assert "0 customers" in shop.ok("simulate", "--programme", shop.dir / "programme.yaml").out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"earn": []}, "earn"),
        ({"earn": [{"per_amount": {"points": "1", "per": "0"}}]}, "per"),
        ({"currency": "USD"}, "USD"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_wrong_programme(shops, change, words):
    path = write_programme(shops[0], {**OTHER, **change}, "wrong.yaml")
    result = shops[0].ok("simulate", "--programme", path, code=2)
    assert words in result.err and result.out == ""


def test_no_programme(shops):
    assert "such.yaml" in shops[0].ok("simulate", "--programme", "such.yaml", code=1).err
    assert "--programme" in shops[0].ok("simulate", code=2).err


@pytest.mark.parametrize(
    "args", [["--data-dt", "2025-02-30"], ["--value-per-point", "a"], ["--value-per-point", "-1"], ["more"], ["--parquet", ""]]
)
def test_usage(shops, args):
    path = write_programme(shops[0], OTHER)
    result = shops[0].ok("simulate", "--programme", path, *args, code=2)
    assert "simulate" in result.err and result.out == ""


def test_text_ids(pc, tmp_path):
    shop = ndjson_shop(pc, tmp_path / "shop", TODAY)
    shop.write_config(customer_id="text")
    shop.put("a.json", ndjson([order(f"e-{who}", "2025-01-05T03:00:00Z", 100, customer=who) for who in ("b\x1b", "a'", "ä")]))
    shop.collect()
    other = write_programme(shop, {**TODAY, "earn": [{"per_visit": {"points": "1"}}]})
    report = shop.json("simulate", "--programme", other, "--parquet", tmp_path / "out.parquet")
    assert [one["cust_id"] for one in report["losers"]] == ["a'", "b\x1b", "ä"]
    assert "\x1b" not in shop.ok("simulate", "--programme", other).out


def test_while_another_process_writes(shops):
    other = write_programme(shops[0], OTHER)
    writer = shops[0].start("collect", "--once")
    assert shops[0].json("simulate", "--programme", other, "--data-dt", DAY)["customers"] == PEOPLE_MAX
    shops[0].pc.end(writer)


def test_interrupted(pc, tmp_path):
    """Ctrl-C ends it soon, and leaves no files behind."""
    shop = ndjson_shop(pc, tmp_path / "shop", TODAY)
    shop.put("a.json", ndjson(history(2, 3000)))
    shop.collect()
    other = write_programme(shop, OTHER)
    tmp = tmp_path / "tmp"
    tmp.mkdir()
    codes = []
    # It may be done before it hears of it.
    while 130 not in codes and len(codes) < 10:
        (tmp_path / "out.parquet").unlink(missing_ok=True)
        process = shop.start(
            "simulate", "--programme", other, "--parquet", tmp_path / "out.parquet", env=environment(TMPDIR=str(tmp))
        )
        while process.poll() is None and not any(tmp.iterdir()):
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        result = pc.end(process)
        result.check_health()
        codes.append(result.code)
        assert result.code in (0, 130) and list(tmp.iterdir()) == [], result
        if result.code == 130:
            assert result.out == "" and "interrupted" in result.err
            assert [path.name for path in tmp_path.iterdir() if ".tmp" in path.name] == []
    assert 130 in codes


def test_days_at_the_ends_of_the_calendar(shops):
    other = write_programme(shops[0], OTHER)
    assert shops[0].json("simulate", "--programme", other, "--data-dt", "0001-01-01")["customers"] == 0
    report = shops[0].json("simulate", "--programme", other, "--data-dt", "9999-12-31")
    assert report["customers"] == PEOPLE_MAX
    assert Decimal(ledger(report, "points")["other"]["outstanding"]) == 0
