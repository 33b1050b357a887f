"""The front door: commands, options, exit codes."""

import re

import pytest

COMMANDS = ["init", "demo", "generate", "load", "collect", "refresh", "customer", "sql", "status"]
READERS = [["status"], ["sql", "SELECT 42"], ["customer", "1"]]


def test_help_lists_every_command(pc):
    for words in (["--help"], ["-h"], ["help"]):
        result = pc(*words)
        assert result.code == 0 and result.err == ""
        listed = re.findall(r"^  ([a-z]+) ", result.out, re.MULTILINE)
        assert set(COMMANDS) <= set(listed)
        for code in ("0", "1", "2", "3", "4", "130"):
            assert re.search(rf"\b{code} ", result.out), code


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(pc, tmp_path, command):
    for words in ([command, "--help"], ["-C", "x", command, "-h"], [command, "--whatever", "--help"]):
        result = pc(*words, cwd=tmp_path)
        assert result.code == 0 and result.err == ""
        assert result.out.startswith("usage: punchcard") and command in result.out.splitlines()[0]
        assert max(map(len, result.out.splitlines())) <= 120
        assert not list(tmp_path.iterdir())


def test_no_command(pc):
    result = pc()
    assert result.code == 2 and result.out == ""
    assert "usage: punchcard" in result.err


def test_unknown_command(pc):
    result = pc("reload")
    assert result.code == 2
    assert "'reload'" in result.err and "--help" in result.err


def test_version(pc):
    result = pc("--version")
    assert result.code == 0
    assert re.fullmatch(r"punchcard \d+\.\d+\.\d+\n", result.out)


def test_directory_may_stand_anywhere(shop, pc, tmp_path):
    for words in (
        ["-C", shop.dir, "sql", "--csv", "SELECT 42 AS a"],
        ["sql", "-C", shop.dir, "--csv", "SELECT 42 AS a"],
        ["sql", "--csv", "SELECT 42 AS a", "-C", shop.dir],
    ):
        result = pc(*words, cwd=tmp_path)
        assert result.code == 0 and result.out == "a\n42\n", result
    assert pc("sql", "--csv", "SELECT 42 AS a", cwd=shop.dir).code == 0


def test_directory_is_missing(pc):
    result = pc("status", "-C")
    assert result.code == 2 and "-C" in result.err


@pytest.mark.parametrize("command", [*READERS, ["collect", "--once"], ["refresh", "--data-dt", "2024-01-01"]])
def test_no_deployment(pc, tmp_path, command):
    for directory in (tmp_path, tmp_path / "nowhere"):
        result = pc("-C", directory, *command)
        assert result.code == 2
        assert str(directory) in result.err and "punchcard init" in result.err
    assert not list(tmp_path.iterdir())


def test_no_such_format(shop):
    result = shop.ok("load", "customers", "--format", "zz", "x.csv", code=2)
    assert "'zz'" in result.err and "classic" in result.err


@pytest.mark.parametrize(
    "words",
    [
        ["init", "a", "b"],
        ["demo"],
        ["load"],
        ["load", "customers"],
        ["load", "orders", "x.csv"],
        ["collect", "--twice"],
        ["collect", "--once", "x"],
        ["refresh", "--data-dt"],
        ["refresh", "--data-dt", "2024-13-01"],
        ["refresh", "--data-dt", "today-ish"],
        ["customer"],
        ["customer", "--stdin", "1"],
        ["doctor", "x"],
        ["migrate"],
        ["customer", "--frobnicate", "1"],
        ["sql", "SELECT 1", "SELECT 2"],
        ["sql", "--xml", "SELECT 1"],
        ["sql", "--csv", "--json", "SELECT 1"],
        ["status", "now"],
    ],
)
def test_wrong_usage(shop, words):
    result = shop.run(*words)
    assert result.code == 2, result
    assert result.out == ""
    assert result.err.startswith(f"punchcard {words[0]}: ")
    assert f"punchcard {words[0]} --help" in result.err


@pytest.mark.parametrize("command", [["--help"], ["--version"], ["sql", "SELECT 42"], ["status"], ["sql", "--help"]])
def test_output_that_does_not_arrive_is_a_failure(shop, command):
    with open("/dev/full", "wb") as full:
        result = shop.run(*command, stdout=full)
    assert result.code == 1, result
    assert "No space left" in result.err


def test_closed_output(shop, pc):
    """A reader that goes away, as `| head` does: an error at most, never a crash."""
    process = shop.start("sql", "--csv", "SELECT * FROM range(3000000)")
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    result = pc.end(process)
    result.check_health()
    assert result.code in (0, 1)
