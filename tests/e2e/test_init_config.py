"""init, and what is said about a configuration that is wrong."""

import json
import re

import pytest

from conftest import CONFIG, PROGRAMME

READ = ["generate", "--orders", "1", "--stdout"]  # a command that reads both files, and needs nothing else


def test_init_makes_a_deployment(pc, tmp_path):
    result = pc("init", tmp_path / "new/shop")
    assert result.code == 0, result
    made = {str(path.relative_to(tmp_path / "new/shop")) for path in (tmp_path / "new/shop").rglob("*")}
    assert {"punchcard.yaml", "programme.yaml", "models", "data", "spool"} <= made
    assert "models/customers_cln.sql" in made and "models/loyalty.sql" in made
    assert pc("-C", tmp_path / "new/shop", "status").code == 0


def test_every_key_is_explained(pc, tmp_path):
    pc("init", tmp_path / "shop")
    text = (tmp_path / "shop/punchcard.yaml").read_text()
    for key in (
        "customer_id sources name dir pattern format when_done suffix move_to settle_ms order_mappings event_id line"
        " customer guest date date_format time time_format store sku menu quantity price amount decimal_mark delimiter"
        " timezone customer_mappings full_name first_name last_name email since card birth_date birth_year gender"
        " gender_codes male female neither home_store limits future_hours journal retention_hours map_gib view engine"
        " memory_mib threads"
    ).split():
        assert re.search(rf"\b{key}\b", text), key
    assert text.count("#") > 30
    programme = (tmp_path / "shop/programme.yaml").read_text()
    for key in ("name", "currency", "timezone", "rounding", "earn", "per_amount", "points", "per"):
        assert re.search(rf"\b{key}:", programme), key


def test_init_changes_nothing_that_is_there(pc, shop):
    before = {path: path.read_bytes() for path in shop.dir.rglob("*") if path.is_file()}
    result = pc("init", shop.dir)
    assert result.code == 1, result
    assert "punchcard.yaml" in result.err
    assert {path: path.read_bytes() for path in shop.dir.rglob("*") if path.is_file()} == before


def test_init_beside_other_files(pc, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert pc("init", tmp_path).code == 0
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_init_where_it_cannot(pc, tmp_path):
    (tmp_path / "file").write_text("")
    result = pc("init", tmp_path / "file/shop")
    assert result.code == 1 and str(tmp_path / "file") in result.err


MAPPING = {
    "name": "receipts",
    "event_id": ["no"],
    "customer": "member",
    "date": "day",
    "date_format": "%Y-%m-%d",
    "amount": "total",
}


def with_mapping(**changes):
    return {"order_mappings": [{**MAPPING, **changes}]}


def with_source(**changes):
    return {"sources": [{**CONFIG["sources"][0], **changes}]}


@pytest.mark.parametrize(
    "changes, key, expected",
    [
        ({"version": 2}, "version", "expected 1"),
        ({"customer_id": "uuid"}, "customer_id", "integer or text"),
        ({"colour": "green"}, "colour", ""),
        (with_source(format="clasic"), r"sources\[0\].format", "'clasic'"),
        (with_source(nmae="x"), r"sources\[0\].nmae", ""),
        (with_source(name="Till 1"), r"sources\[0\].name", "a-z"),
        (with_source(when_done="burn"), r"sources\[0\].when_done", "rename, move or delete"),
        (with_source(when_done="move"), r"sources\[0\]", "move_to"),
        (with_source(settle_ms="soon"), r"sources\[0\].settle_ms", "milliseconds"),
        (with_source(settle_ms=-1), r"sources\[0\].settle_ms", "milliseconds"),
        ({"sources": [CONFIG["sources"][0]] * 2}, r"sources\[1\].name", "till"),
        ({"sources": [{"name": "till", "format": "classic"}]}, r"sources\[0\]", "dir"),
        ({"sources": {"name": "till"}}, "sources", "list"),
        ({"order_mappings": [{"name": "receipts"}]}, r"order_mappings\[0\]", "event_id"),
        (with_mapping(date_format="%Q"), r"order_mappings\[0\].date_format", "%Q"),
        (with_mapping(timezone="Mars/Base"), r"order_mappings\[0\].timezone", "Mars/Base"),
        (with_mapping(delimiter=",,"), r"order_mappings\[0\].delimiter", "character"),
        (with_mapping(decimal_mark="'"), r"order_mappings\[0\].decimal_mark", ""),
        ({"menu": [{"name": "latte", "price": "cheap"}]}, r"menu\[0\].price", "cheap"),
        ({"menu": [{"name": "a|b", "price": "1"}]}, r"menu\[0\].name", ""),
        ({"engine": {"memory_mib": 1}}, "engine.memory_mib", "MiB"),
        ({"customers": {"format": "csv"}}, "customers.format", "csv"),
    ],
)
def test_wrong_configuration(shop, changes, key, expected):
    shop.write_config(**{key: value for key, value in changes.items() if key != "sources"})
    shop.config.update(changes)
    (shop.dir / "punchcard.yaml").write_text(json.dumps(shop.config, indent=1) + "\n")
    result = shop.ok(*READ, code=2)
    assert re.search(rf"punchcard\.yaml:\d+: {key}(?!\w)", result.err), result
    assert expected in result.err, result


@pytest.mark.parametrize("command", [["collect", "--once"], ["status"], ["sql", "SELECT 1"], ["customer", "1"]])
def test_every_command_reads_it(shop, command):
    shop.write_config(customer_id="uuid")
    assert "punchcard.yaml:" in shop.ok(*command, code=2).err


def test_a_cluster_is_checked(shop):
    cluster = {"edge": "till-1", "hdfs": {"url": "http://nn:9870"}, "hbase": {"url": "http://gateway:8080"}}
    shop.write_config(cluster={**cluster, "edge": "till 1"})
    assert "cluster.edge: 'till 1' is no name" in shop.ok("status", code=2).err


def test_the_line_is_that_of_the_key(shop):
    text = "version: 1\n# a comment\nsources:\n  - name: till\n    dir: spool\n    format: clasic\n"
    (shop.dir / "punchcard.yaml").write_text(text)
    assert "punchcard.yaml:6: sources[0].format" in shop.ok(*READ, code=2).err


@pytest.mark.parametrize(
    "changes, key",
    [
        ({"timezone": "Europe/Atlantis"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"currency": "euro"}, "currency"),
        ({"earn": []}, "earn"),
        ({"earn": [{"per_amount": {"points": "0", "per": "25"}}]}, r"earn\[0\].per_amount.points"),
        ({"earn": [{"per_amount": {"points": "1", "per": "-25"}}]}, r"earn\[0\].per_amount.per"),
        ({"earn": [{"per_amount": {"points": "1"}}]}, r"earn\[0\].per_amount"),
        ({"rounding": "up"}, "rounding"),
        ({"tires": []}, "tires"),
    ],
)
def test_wrong_programme(shop, changes, key):
    shop.programme = {**PROGRAMME, **changes}
    shop.write_config()
    result = shop.ok(*READ, code=2)
    assert re.search(rf"programme\.yaml:\d+: {key}", result.err), result


@pytest.mark.parametrize(
    "content",
    [b"", b"# only a comment\n", b"[", b"a: b: c\n", b"\xff\xfe\x00", b"version: 1\n\tsources: []\n", b"- 1\n", b"a: *b\n", b"%"],
)
def test_no_yaml_at_all(shop, content):
    (shop.dir / "punchcard.yaml").write_bytes(content)
    result = shop.ok(*READ, code=2)
    assert re.search(r"punchcard\.yaml:\d+: ", result.err), result


def test_missing_key(shop):
    (shop.dir / "punchcard.yaml").write_text("sources: []\n")
    result = shop.ok(*READ, code=2)
    assert "version" in result.err


def test_programme_is_missing(shop):
    (shop.dir / "programme.yaml").unlink()
    result = shop.run(*READ)
    assert result.code in (1, 2) and "programme.yaml" in result.err


def test_reads_what_init_writes(pc, tmp_path):
    """The template itself is a valid configuration, with its own classic source."""
    pc("init", tmp_path / "shop")
    assert pc("-C", tmp_path / "shop", "generate", "--orders", 5).code == 0
    result = pc("-C", tmp_path / "shop", "collect", "--once")
    assert result.code == 0, result
