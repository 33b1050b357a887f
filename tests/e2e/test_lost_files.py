"""Files of the history that are lost, or come from elsewhere: whoever folds it refuses, and says what to do."""

import hashlib
import json
import os
import shutil

import pytest

from conftest import lines

DAY = "2023-12-31"
N_LINES = 400


@pytest.fixture
def used(shop):
    """Two files of orders over several days, and the tables of a day behind them."""
    shop.put("a.txt", lines(N_LINES // 2, step=1800))
    shop.collect()
    shop.put("b.txt", lines(N_LINES // 2, start=1_700_000_007, step=1800))
    shop.collect()
    shop.ok("refresh", "--data-dt", DAY)
    (shop.dir / "other.yaml").write_text(
        json.dumps({**shop.programme, "earn": [{"per_amount": {"points": "2", "per": "25"}}]}), encoding="utf-8"
    )
    return shop


def tables(shop):
    """Names and contents of what the batch layer makes."""
    return {
        str(path.relative_to(shop.warehouse)): hashlib.sha256(path.read_bytes()).hexdigest()
        for table in ("ledger", "balances", "loyalty", "account_state")
        for path in (shop.warehouse / table).rglob("*")
        if path.is_file()
    }


def folds(shop):
    return (
        ("refresh", "--data-dt", DAY),
        ("refresh", "--data-dt", "2024-01-02"),
        ("rebuild", "--data-dt", "2024-01-02"),
        ("simulate", "--programme", shop.dir / "other.yaml", "--data-dt", DAY),
        ("audit", "--reserve", "--data-dt", "2023-12-01"),
    )


def check_refused(shop, *messages):
    before = tables(shop)
    for command in folds(shop):
        result = shop.run(*command)
        assert result.code == 1, result
        for message in messages:
            assert message in result.err, result
    assert tables(shop) == before


def check_accepted(shop):
    for command in folds(shop):
        shop.ok(*command)
    assert shop.value("SELECT count(*) FROM transactions_cln") == N_LINES


def partitions(shop):
    return sorted((shop.warehouse / "transactions_cln").glob("data_dt=*"))


def test_all_is_there(used):
    check_accepted(used)


def test_journal_lost(used, tmp_path):
    os.rename(used.dir / "data/journal", tmp_path / "journal")
    check_refused(used, "another journal", "put the journal back")
    # Nobody made one on the way: it can be moved back.
    assert not any((used.dir / "data/journal").glob("*"))
    os.rename(tmp_path / "journal", used.dir / "data/journal")
    check_accepted(used)


def test_journal_of_before(used, tmp_path, pc):
    """An old copy of the journal knows less than the files."""
    shutil.copytree(used.dir / "data/journal", tmp_path / "journal")
    used.put("c.txt", lines(10, start=1_701_000_003))
    used.collect()
    os.rename(used.dir / "data/journal", tmp_path / "newest")
    os.rename(tmp_path / "journal", used.dir / "data/journal")
    check_refused(used, "another journal", "put the journal back")


def test_partition_lost(used, tmp_path):
    partition = partitions(used)[2]
    n = used.value(f"SELECT count(*) FROM transactions_cln WHERE data_dt = '{partition.name[8:]}'")
    assert 0 < n < N_LINES
    os.rename(partition, tmp_path / "away")
    check_refused(used, f"{n} rows fewer", f"{N_LINES - n} instead of {N_LINES}", "backup", "punchcard audit")
    os.rename(tmp_path / "away", partition)
    check_accepted(used)


def test_all_partitions_lost(used, tmp_path):
    os.rename(used.warehouse / "transactions_cln", tmp_path / "away")
    check_refused(used, f"{N_LINES} rows fewer", "backup")


def test_file_lost(used):
    sorted(partitions(used)[1].glob("*.parquet"))[0].unlink()
    check_refused(used, "rows fewer", "backup")


def test_file_of_elsewhere(used):
    """A copy of a file in another partition: its rows count twice."""
    copied = sorted(partitions(used)[1].glob("*.parquet"))[0]
    target = used.warehouse / "transactions_cln/data_dt=2023-10-01"
    target.mkdir()
    shutil.copy(copied, target / copied.name)
    check_refused(used, "rows more", "backup")


@pytest.mark.parametrize("why", ["programme", "view", "late"])
def test_accounts_are_not_made_of_less(used, tmp_path, why):
    """Accounts that are made again out of the history."""
    partition = partitions(used)[2]
    os.rename(partition, tmp_path / "away")
    if why == "programme":
        shutil.copy(used.dir / "other.yaml", used.dir / "programme.yaml")
    elif why == "view":
        os.rename(used.dir / "data/view", tmp_path / "view")
    else:
        # Far before all that the accounts still have: they are marked.
        used.put("late.txt", "1|latte 70|1600000000\n")
    result = used.run("collect", "--once")
    assert result.code == 1 and "rows fewer" in result.err and "backup" in result.err, result
    os.rename(tmp_path / "away", partition)
    used.ok("collect", "--once")
    n = N_LINES + (why == "late")
    assert used.value("SELECT count(*) FROM transactions_cln") == n
    used.ok("rebuild", "--data-dt", DAY)
    used.ok("audit")
