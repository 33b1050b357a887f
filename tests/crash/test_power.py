"""The model of a power loss (power.py), and that the harness notices when a program does not flush."""

import random

import harness
import power
import pytest
from power import Record

OLD, NEW = b"a" * 6000, b"b" * 6000


@pytest.fixture
def place(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/old").write_bytes(OLD)
    return tmp_path


def losses(place, records, n=60):
    """{path: content} after losses behind these records, of different seeds. Inode 7 is the new file, 8 a new directory."""
    found = []
    old, root = (place / "disk/old").stat().st_ino, (place / "disk").stat().st_ino
    inodes = {"old": old, "root": root, "new": 7, "dir": 8}
    for seed in range(n):
        disk = power.Disk(place / "disk")
        disk.play([Record(kind, inodes.get(inode, 0), at, a, b) for kind, inode, at, a, b in records])
        target = place / f"lost-{len(list(place.iterdir()))}"
        disk.write_survivors(target, random.Random(seed))
        found.append({str(p.relative_to(target)): p.read_bytes() for p in target.rglob("*") if p.is_file()})
    return found


def test_what_was_flushed_survives(place):
    made = [("C", "new", 0, b"new", b""), ("W", "new", 0, NEW, b"")]
    assert all(lost == {"old": OLD, "new": NEW} for lost in losses(place, [*made, ("S", "new", 0, b"", b""), ("S", "root", 0, b"", b"")]))
    assert {lost.get("new") for lost in losses(place, [*made, ("S", "new", 0, b"", b"")])} == {None, NEW}


def test_what_was_not_flushed_survives_in_parts(place):
    found = {lost["old"] for lost in losses(place, [("W", "old", 0, NEW, b"")])}
    assert OLD in found and NEW in found
    assert NEW[:4096] + OLD[4096:] in found and OLD[:4096] + NEW[4096:] in found, "pages on their own, in any order"
    assert any(content[:512] != content[512:1024] for content in found), "sectors on their own"
    assert {len(content) for content in found} == {6000}
    sizes = {len(lost["old"]) for lost in losses(place, [("W", "old", 6000, b"b" * 3000, b""), ("T", "old", 100, b"", b"")])}
    assert sizes == {100, 6000, 9000}


def test_durable_writes_are_that_alone(place):
    found = losses(place, [("W", "old", 4096, b"c" * 100, b""), ("V", "old", 0, b"d" * 100, b"")])
    assert {lost["old"][:100] for lost in found} == {b"d" * 100}
    assert {lost["old"][4096:4196] for lost in found} == {b"a" * 100, b"c" * 100}
    later = losses(place, [("V", "old", 0, b"d" * 100, b""), ("W", "old", 0, b"e" * 50, b"")])
    assert {lost["old"][:100] for lost in later} == {b"d" * 100, b"e" * 50 + b"d" * 50}


def test_names(place):
    made = [("C", "new", 0, b"new", b""), ("S", "new", 0, b"", b"")]
    replaced = [*made, ("N", "", 0, b"new", b"old")]
    assert {tuple(sorted(lost)) for lost in losses(place, replaced)} == {("old",), ("new", "old")}
    assert {lost["old"] for lost in losses(place, replaced)} == {OLD, b""}, "the name has the one or the other, never none"
    assert all(set(lost) == {"old"} and lost["old"] == b"" for lost in losses(place, [*replaced, ("S", "root", 0, b"", b"")]))
    moved = [("D", "dir", 0, b"dir", b""), ("N", "", 0, b"old", b"dir/old")]
    found = {tuple(sorted(lost)) for lost in losses(place, [*moved, ("S", "dir", 0, b"", b"")])}
    assert found <= {("dir/old",), ()} and ("dir/old",) in found, "a directory that is not flushed takes what is in it along"
    swapped = [*made, ("S", "root", 0, b"", b""), ("X", "", 0, b"new", b"old")]
    assert {(lost["new"], lost["old"]) for lost in losses(place, swapped)} == {(b"", OLD), (OLD, b"")}


def test_running_state(place):
    """What the model takes the running program to see is what is on the disk."""
    disk = power.Disk(place / "disk")
    assert power.difference(disk, place / "disk") == []
    (place / "disk/old").write_bytes(b"behind its back")
    assert power.difference(disk, place / "disk") == ["old"]


@pytest.mark.parametrize("what", ["files", "directories"])
def test_a_flush_that_does_nothing_is_noticed(tmp_path, what, capsys):
    assert harness.main(["--kinds", "power", "--seeds", "60", "--deaf-to", what, "--place", str(tmp_path)]) == 1
    assert "FAILED power" in capsys.readouterr().out
