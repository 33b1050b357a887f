"""programme check and programme new."""

import json
import re
from decimal import Decimal

import pytest

from conftest import PROGRAMME

EXAMPLES = ["cashback", "points-and-tiers", "stamp-card"]


def write(path, **changes):
    path.write_text(json.dumps({**PROGRAMME, **changes}))
    return path


def check(pc, path, *args, code=0):
    result = pc("programme", "check", path, *args)
    assert result.code == code, result
    return result


def test_check_of_a_deployment(shop):
    result = shop.ok("programme", "check")
    assert "Test" in result.out and "THB" in result.out and "UTC" in result.out
    assert "1 for each 25.00 THB" in result.out and "always" in result.out
    assert "nothing odd" in result.out and result.err == ""
    assert shop.json("programme", "check")["hash"] in result.out


def test_check_changes_nothing(shop):
    before = {path: path.read_bytes() for path in shop.dir.rglob("*") if path.is_file()}
    shop.ok("programme", "check")
    assert {path: path.read_bytes() for path in shop.dir.rglob("*") if path.is_file()} == before


def test_check_needs_no_deployment(pc, tmp_path):
    check(pc, write(tmp_path / "other.yaml"))
    result = pc("-C", tmp_path, "programme", "check")
    assert result.code == 1 and "programme.yaml" in result.err
    result = pc("programme", "check", tmp_path / "missing.yaml")
    assert result.code == 1 and "missing.yaml" in result.err
    assert pc("programme", "check", tmp_path).code == 2


def test_words(pc, tmp_path):
    path = write(
        tmp_path / "p.yaml",
        categories=[{"name": "hot", "items": list("abcdefgh")}, {"name": "gift", "items": ["card"]}],
        exclude=["gift"],
        ledgers=[
            {"name": "points", "unit": "Stars", "expiry": {"months_after_month": 1}, "value": "0.0125", "pending_days": 1},
            {"name": "stamps", "decimals": 0, "expiry": {"inactivity": 6}, "negative": "forgive", "max_per_order": 1000},
            {"name": "cash", "rounding": "half_even", "decimals": 2, "expiry": {"days": 1}, "value": 1},
        ],
        earn=[
            {"name": "base", "per_amount": {"points": 1, "per": 1000}, "until": "2026-02-28"},
            {"name": "base", "per_step": {"points": 0.5, "step": 100}, "from": "2026-03-01", "until": "2026-03-31"},
            {"name": "visit", "ledger": "stamps", "per_visit": {"points": 1, "min": 5}, "from": "2026-01-01"},
            {"name": "hot", "ledger": "cash", "per_item": {"points": 2, "categories": ["hot"]}},
        ],
        promotions=[
            {"name": "week", "multiplier": 1.25, "weekdays": ["sat", "mon", "sun"], "group": "g", "ledger": "points"},
            {"name": "xmas", "multiplier": 3, "group": "g", "min": 10, "from": "2026-12-24", "until": "2026-12-24"},
        ],
        tiers={
            "metric": "visits",
            "window": {"calendar_year": "true"},
            "valid_months": 12,
            "downgrade": "one_down",
            "levels": [{"name": "guest", "threshold": 0}, {"name": "friend", "threshold": 12, "multiplier": 1.5}],
        },
        rewards=[{"id": "Free coffee", "ledger": "stamps", "cost": 10}],
        segments={"window_months": 6},
        late={"days": 1, "open_events": 9},
    )
    out = check(pc, path).out
    for words in (
        "Stars, rounded down to 0.001",
        "expire 1 month after the end of the month in which they were earned",
        "can be spent 1 day after they were earned",
        "becomes debt",
        "each is worth 0.0125 THB",
        "rounded down to 1\n",
        "expire 6 months after the last order",
        "is forgiven",
        "at most 1,000 an order",
        "rounded to the nearest, half to even to 0.01",
        "expire 1 day after they were earned",
        "each is worth 1.00 THB",
        "1 for each 1,000.00 THB, also for a part of it, in points; until 28 February 2026",
        "0.5 for each whole 100.00 THB, in points; from 1 March 2026 to 31 March 2026",
        "1 for each order of at least 5.00 THB, in stamps; from 1 January 2026 on",
        "2 for each of a, b, c, d, e, f and 2 more, in cash; always",
        "nothing is earned by the amount of card",
        "× 1.25 on Mondays, Saturdays and Sundays, in points; always",
        "× 3, on orders of at least 10.00 THB; on 24 December 2026",
        "of week and xmas only the greatest holds",
        "tiers, by the days with an order in the calendar year",
        "from 12 visits: × 1.5",
        "reviewed after 12 months; who does not reach it any more falls one level",
        "10 stamps",
        "look back 6 months",
        "at most 1 day late, and among the last 9",
    ):
        assert words in out, (words, out)


def test_json(pc, tmp_path):
    path = write(tmp_path / "p.yaml", rewards=[{"id": "x", "cost": "2.5"}], tires=[])
    assert "tires" in check(pc, path, code=2).err
    path = write(tmp_path / "p.yaml", rewards=[{"id": "x", "cost": "2.5"}])
    report = check(pc, path, "--json").json()
    assert re.fullmatch("[0-9a-f]{16}", report["hash"])
    assert report["file"] == str(path) and report["name"] == "Test" and report["timezone"] == "UTC"
    (ledger,) = report["ledgers"]
    assert ledger["name"] == "points" and ledger["decimals"] == 3 and ledger["rounding"] == "floor"
    assert ledger["expiry"] is None and ledger["max_per_order"] is None and ledger["value"] is None
    (rule,) = report["earn"]
    assert rule["name"] == "earn-1" and rule["per_amount"] == {"points": 1, "per": 25} and rule["from"] is None
    assert report["tiers"] is None and report["promotions"] == [] and report["excluded_items"] == []
    assert report["rewards"] == [{"id": "x", "ledger": "points", "cost": Decimal("2.5")}]
    assert report["late"] == {"days": 7, "open_events": 64} and report["segments"] == {"window_months": 12}
    assert report["warnings"] == []


def test_warnings_are_no_errors(pc, tmp_path):
    directory = tmp_path / ("long" * 50)
    directory.mkdir()
    path = write(
        directory / "p.yaml",
        earn=[
            {"name": "base", "per_visit": {"points": "1"}, "until": "2026-01-31"},
            {"name": "base", "per_visit": {"points": "2"}, "from": "2026-02-03"},
        ],
        ledgers=[{"name": "points"}, {"name": "stamps"}],
        rewards=[{"id": "x", "ledger": "stamps", "cost": "1"}],
    )
    out = check(pc, path).out
    assert "warnings" in out and "from 2026-02-01 to 2026-02-02" in out
    warnings = check(pc, path, "--json").json()["warnings"]
    assert len(warnings) == 2 and all(text.startswith(f"{path}:1: ") for text in warnings)
    assert "earn[0].until" in warnings[0] and "rewards[0]" in warnings[1]


@pytest.mark.parametrize(
    "changes, where, what",
    [
        ({"earn": [{"per_amount": {"points": "1001", "per": "1"}}]}, "earn[0].per_amount.points", "1001"),
        ({"exclude": ["cake"]}, "exclude[0]", "no category"),
        ({"ledgers": [{"name": "a", "pending_days": 3, "expiry": {"days": 3}}]}, "ledgers[0].pending_days", "spent"),
        ({"rewards": [{"id": "x", "cost": "1"}, {"id": "x", "cost": "2"}]}, "rewards[1].id", "twice"),
    ],
)
def test_what_is_wrong(pc, tmp_path, changes, where, what):
    result = check(pc, write(tmp_path / "p.yaml", **changes), code=2)
    assert f"p.yaml:1: {where}: " in result.err and what in result.err and result.out == "", result
    # --json does not hide it.
    assert check(pc, tmp_path / "p.yaml", "--json", code=2).err == result.err


def test_versions_that_overlap_name_both_lines(pc, tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text(
        "version: 1\nname: a\ncurrency: EUR\ntimezone: UTC\nearn:\n"
        "  - name: base\n    per_visit: {points: 1}\n    until: 2026-05-31\n"
        "  - name: base\n    per_visit: {points: 2}\n    from: 2026-05-31\n"
    )
    err = check(pc, path, code=2).err
    assert "p.yaml:9: earn[1]" in err and "line 6" in err and "2026-05-31" in err


def test_list_of_examples(pc):
    result = pc("programme", "new")
    assert result.code == 0
    for name in EXAMPLES:
        assert name in result.out


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(pc, tmp_path, name):
    path = tmp_path / "programme.yaml"
    result = pc("programme", "new", name, path)
    assert result.code == 0 and str(path) in result.out
    text = path.read_text()
    assert text == pc("programme", "new", name).out
    assert text.count("#") > 10
    assert "nothing odd" in check(pc, path).out


def test_an_example_is_a_whole_programme(pc, shop):
    (shop.dir / "programme.yaml").unlink()
    assert shop.ok("programme", "new", "stamp-card", shop.dir / "programme.yaml")
    shop.ok("generate", "--orders", "1", "--stdout")


def test_new_never_overwrites(pc, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("mine")
    result = pc("programme", "new", "cashback", path)
    assert result.code == 1 and "mine.yaml is there already" in result.err
    assert path.read_text() == "mine"
    link = tmp_path / "link.yaml"
    link.symlink_to(tmp_path / "nowhere.yaml")
    assert pc("programme", "new", "cashback", link).code == 1
    assert not (tmp_path / "nowhere.yaml").exists()


def test_new_where_it_cannot(pc, tmp_path):
    result = pc("programme", "new", "cashback", tmp_path / "no/such/file.yaml")
    assert result.code == 1 and "no/such/file.yaml" in result.err


@pytest.mark.parametrize(
    "args",
    [
        ["programme"],
        ["programme", "verify"],
        ["programme", "check", "a", "b"],
        ["programme", "check", "--all"],
        ["programme", "check", ""],
        ["programme", "new", "points"],
        ["programme", "new", "--json"],
        ["programme", "new", "cashback", "a", "b"],
        ["programme", "new", "cashback", ""],
    ],
)
def test_wrong_command_lines(pc, args):
    result = pc(*args)
    assert result.code == 2 and result.err and result.out == "", result


def test_an_unknown_example_is_told_what_there_is(pc):
    result = pc("programme", "new", "stamps")
    assert "'stamps'" in result.err and all(name in result.err for name in EXAMPLES)


def test_help(pc):
    result = pc("programme", "--help")
    assert result.code == 0 and "check" in result.out and "new" in result.out
