"""demo: the main job on real input, and a summary that a shop owner understands."""

import json
import re
import shlex
import subprocess

import pytest

from conftest import environment


@pytest.fixture(scope="module")
def summary(demo):
    return demo.output.out


@pytest.mark.parametrize(
    "figure",
    ["2,246", "49,894", "233,635.95", "25,033", "119,312.72", "114,280.23", "2,245", "43.00", "8311", "459.75", "188.90", "168.75"],
)
def test_figures(summary, figure):
    assert re.search(rf"(?<![\d,.]){re.escape(figure)}(?![\d]|,\d|\.\d)", summary), figure


def test_tells_what_to_try_next(demo, summary):
    """Commands to try, and they work as they are written, whatever punchcard was called by."""
    commands = summary.split("\nTry next\n")[1].splitlines()
    assert len(commands) >= 6, summary
    for name in ("customer", "explain", "sql", "audit", "simulate", "status"):
        assert f" {name}" in summary.split("\nTry next\n")[1], name
    for command in commands:
        words = shlex.split(command)
        assert words[0] == demo.pc.binary
        run = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, env=environment())
        assert run.returncode == 0 and run.stdout, run


def test_the_figures_by_sql(demo):
    assert demo.value("SELECT count(*) FROM customers_cln") == 2246
    assert demo.sql("SELECT count(*), sum(odr_amt)::VARCHAR FROM transactions_cln") == [(49_894, "233635.95")]
    assert demo.sql("SELECT count(*), sum(odr_amt)::VARCHAR FROM transactions_cln WHERE cust_id IS NULL") == [
        (25_033, "119312.72")
    ]
    top = "SELECT cust_id, spnd_amt::VARCHAR FROM loyalty ORDER BY spnd_amt DESC LIMIT 3"
    assert demo.sql(top) == [(8311, "459.75"), (3, "188.90"), (5026, "168.75")]
    assert demo.value("SELECT count(*) FROM loyalty") == 2247
    assert demo.sql("SELECT * FROM loyalty WHERE cust_id IN (0, 5937)") == []
    assert demo.value("SELECT sum(spnd_amt)::VARCHAR FROM loyalty WHERE cust_name IS NOT NULL") == "114280.23"


def test_menu_names(demo):
    """Receipts name products by number; the summary and the tables may name them, but no row is lost."""
    assert demo.value("SELECT count(*) FROM transactions_cln WHERE odr_sku IS NULL") == 0


def test_into_a_directory_that_is_there(demo):
    before = {path: path.stat().st_mtime_ns for path in demo.dir.rglob("*") if path.is_file()}
    result = demo.pc("demo", demo.dir)
    assert result.code in (1, 2), result
    assert str(demo.dir) in result.err or "punchcard.yaml" in result.err
    assert {path: path.stat().st_mtime_ns for path in demo.dir.rglob("*") if path.is_file()} == before


def test_json_of_a_customer(demo):
    card = json.loads(demo.ok("customer", 8311, "--json").out)
    assert card["name"] and float(card["spend"]) == 459.75
