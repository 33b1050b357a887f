"""What a power loss may leave: a model of a file system, fed with the record that tests/crash/power.c made.

    before = power.Disk(directory)                  # reads the state before, which is on the disk
    ... the program runs on the directory, with libpower.so ...
    records = power.read_log(log)
    before.play(records[:n])                        # until the moment of the loss
    before.write_survivors(another_directory, random.Random(seed))

What was flushed survives: fsync and fdatasync of a file its data and size, a write through O_DSYNC that write, fsync of a
directory its names (syncfs: all). Of the rest a random part does:

- data by page (4096 bytes) or by sector (512), each unit as it was at some moment since it was last flushed, so writes are torn
  and reordered; a size as it was at some moment since, zeros where it is larger than what was written;
- names in one of two ways. *ordered*: all changes up to some moment, as a file system with one journal has it. *loose*: any
  subset in which no change survives that stands on one that did not (of the same name, or of the same file), as little as
  POSIX promises. A rename is one change in both.
"""

import os
import pathlib
import struct

PAGE = 4096
SECTOR = 512
_RECORD = struct.Struct("=IIIIQq")


class Record:
    __slots__ = ("kind", "inode", "at", "a", "b")

    def __init__(self, kind, inode, at, a, b):
        self.kind, self.inode, self.at, self.a, self.b = kind, inode, at, a, b

    def __repr__(self):
        if self.kind in "WV":
            return f"{self.kind} {self.inode} {self.at}+{len(self.a)}"
        return f"{self.kind} {self.inode} {self.at} {self.a.decode()} {self.b.decode()}"


def read_log(path):
    data = pathlib.Path(path).read_bytes() if os.path.exists(path) else b""
    records, at = [], 0
    while at + _RECORD.size <= len(data):
        kind, a_len, b_len, _, inode, where = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        if at + a_len + b_len > len(data):
            break  # the process was killed in it
        records.append(Record(chr(kind), inode, where, data[at : at + a_len], data[at + a_len : at + a_len + b_len]))
        at += a_len + b_len
    return records


class Change:
    """Of a file's content, not flushed as a whole."""

    __slots__ = ("start", "end", "data", "size", "durable")

    def __init__(self, start, end, data, size, durable):
        self.start, self.end, self.data, self.size, self.durable = start, end, data, size, durable


class File:
    def __init__(self, content=b""):
        self.base = content  # flushed
        self.size = len(content)
        self.changes = []

    def write(self, at, data, durable):
        self.size = max(self.size, at + len(data))
        self.changes.append(Change(at, at + len(data), data, self.size, durable))

    def resize(self, size):
        start, end = min(size, self.size), max(size, self.size)
        self.size = size
        self.changes.append(Change(start, end, None, size, False))

    def now(self):
        content = bytearray(self.base)
        content.extend(bytes(max([len(content), *(change.size for change in self.changes)]) - len(content)))
        for change in self.changes:
            _apply(content, change, 0)
        return bytes(content[: self.size])

    def size_now(self):
        return self.size

    def flush(self):
        if self.changes:
            self.base, self.changes = self.now(), []

    def survivor(self, chance):
        """As some loss leaves it."""
        if not self.changes:
            return self.base
        unit = chance.choice((PAGE, PAGE, SECTOR))
        how = chance.choice(("nothing", "everything", "half", "some"))
        p = {"nothing": 0.0, "everything": 1.0, "half": 0.5, "some": chance.random()}[how]
        last = max((i for i, change in enumerate(self.changes) if change.durable), default=-1)
        sizes = [len(self.base)] + [change.size for change in self.changes]
        size = sizes[_moment(chance, p, last + 1, len(self.changes))]
        content = bytearray(self.base)
        content.extend(bytes(max(sizes) - len(content)))
        touching = {}
        for i, change in enumerate(self.changes):
            for at in range(change.start // unit, -(-change.end // unit)):
                touching.setdefault(at, []).append(i)
        for at, places in touching.items():
            floor = max((n + 1 for n, i in enumerate(places) if self.changes[i].durable), default=0)
            start = at * unit
            piece = content[start : start + unit]
            for i in places[: _moment(chance, p, floor, len(places))]:
                _apply(piece, self.changes[i], start)
            content[start : start + unit] = piece
        return bytes(content[:size])


def _moment(chance, p, floor, top):
    """How many of so many changes in a row survive, at least `floor`."""
    if chance.random() < p:
        return top if p == 1.0 else chance.randint(floor, top)
    return floor


def _apply(piece, change, offset):
    """Lays a change over a piece of the file that begins at `offset`."""
    low, high = max(change.start - offset, 0), min(change.end - offset, len(piece))
    if low < high:
        data = change.data
        piece[low:high] = bytes(high - low) if data is None else data[low + offset - change.start : high + offset - change.start]


class Directory:
    def __init__(self):
        self.names = {}


class Rename:
    """A change of names: [(directory, name, what it is then, or None)]."""

    __slots__ = ("parts", "durable")

    def __init__(self, *parts):
        self.parts, self.durable = parts, False

    def keys(self):
        for directory, name, node in self.parts:
            yield (id(directory), name)
            if node is not None:
                yield id(node)


class Disk:
    """The names as they are now, those that are flushed, and the changes between."""

    def __init__(self, root, deaf_to=()):
        """deaf_to: of File and Directory; as if flushes of these did nothing. What stands on them must then be seen to break."""
        self.deaf_to = deaf_to
        self.root = Directory()
        self.by_inode = {os.stat(root).st_ino: self.root}
        self.changes = []
        self._read(pathlib.Path(root), self.root)
        self.flushed = {id(d): (d, dict(d.names)) for d in self._directories()}

    def _read(self, path, directory):
        for entry in os.scandir(path):
            if entry.is_symlink():
                raise ValueError(f"a symbolic link: {entry.path}")
            node = Directory() if entry.is_dir() else File(pathlib.Path(entry.path).read_bytes())
            self.by_inode[entry.inode()] = node
            directory.names[entry.name] = node
            if entry.is_dir():
                self._read(pathlib.Path(entry.path), node)

    def _directories(self):
        return [node for node in self.by_inode.values() if isinstance(node, Directory)]

    def _find(self, path):
        *parents, name = path.decode().split("/")
        directory = self.root
        for parent in parents:
            directory = directory.names[parent]
        return directory, name

    def _change(self, *parts):
        for directory, name, node in parts:
            if node is None:
                del directory.names[name]
            else:
                directory.names[name] = node
        self.changes.append(Rename(*parts))

    def play(self, records):
        for record in records:
            self._play(record)
        return self

    def _play(self, r):
        node = self.by_inode.get(r.inode)
        if r.kind in "WV":
            if isinstance(node, File):
                node.write(r.at, r.a, r.kind == "V")
        elif r.kind == "T":
            if isinstance(node, File):
                node.resize(r.at)
        elif r.kind == "S":
            self._flush(node)
        elif r.kind == "A":
            for each in list(self.by_inode.values()):
                self._flush(each)
        elif r.kind in "CD":
            node = File() if r.kind == "C" else Directory()
            self.by_inode[r.inode] = node
            self._change((*self._find(r.a), node))
        elif r.kind == "U":
            self._change((*self._find(r.a), None))
        elif r.kind in "NXL":
            (from_dir, from_name), (to_dir, to_name) = self._find(r.a), self._find(r.b)
            source, target = from_dir.names[from_name], to_dir.names.get(to_name)
            if r.kind == "L":
                self._change((to_dir, to_name, source))
            else:
                first = (from_dir, from_name, target if r.kind == "X" else None)
                self._change(first, (to_dir, to_name, source))
        else:
            raise ValueError(f"no such record: {r!r}")

    def _flush(self, node):
        if isinstance(node, self.deaf_to):
            return
        if isinstance(node, File):
            node.flush()
        elif node is not None:
            for change in self.changes:
                if any(directory is node for directory, _, _ in change.parts):
                    change.durable = True

    def tree_names(self):
        """Paths of files, as the running program sees them."""
        return set(self.tree(File.size_now))

    def tree(self, what=None):
        """{path: content} as the running program sees it."""
        what = what or File.now
        found = {}

        def walk(directory, prefix):
            for name, node in directory.names.items():
                if isinstance(node, Directory):
                    walk(node, f"{prefix}{name}/")
                else:
                    found[prefix + name] = what(node)

        walk(self.root, "")
        return found

    def _forced(self):
        """Which changes survive in any case: those flushed, and those they stand on."""
        forced, needed = set(), set()
        for i in range(len(self.changes) - 1, -1, -1):
            change = self.changes[i]
            keys = set(change.keys())
            if change.durable or keys & needed:
                forced.add(i)
                needed |= keys
        return forced

    def surviving_names(self, chance):
        """{id of a directory: its names} after the loss."""
        names = {key: dict(flushed) for key, (_, flushed) in self.flushed.items()}
        forced = self._forced()
        p = chance.choice((0.0, 1.0, 0.5, chance.random()))
        if chance.random() < 0.5:
            last = max(forced, default=-1) + 1
            until = _moment(chance, p, last, len(self.changes))
            kept = range(until)
        else:
            kept, lost = [], set()
            for i, change in enumerate(self.changes):
                keys = set(change.keys())
                if i in forced or (chance.random() < p and not keys & lost):
                    kept.append(i)
                else:
                    lost |= keys
        for i in kept:
            for directory, name, node in self.changes[i].parts:
                of = names.setdefault(id(directory), {})
                if node is None:
                    of.pop(name, None)
                else:
                    of[name] = node
        return names

    def write_survivors(self, target, chance):
        """Makes a directory as a power loss now may leave this one."""
        names = self.surviving_names(chance)

        def write(directory, path):
            path.mkdir()
            for name, node in sorted(names.get(id(directory), {}).items()):
                if isinstance(node, Directory):
                    write(node, path / name)
                else:
                    (path / name).write_bytes(node.survivor(chance))

        write(self.root, pathlib.Path(target))


def moments(records, chance, n):
    """Where to cut: half of them at a change of names or a flush, or beside one; the others anywhere."""
    edges = [i for i, record in enumerate(records) if record.kind not in "WVT"]
    found = set()
    for _ in range(n):
        if edges and chance.random() < 0.5:
            found.add(min(len(records), max(0, chance.choice(edges) + chance.choice((0, 1, 1, 2)))))
        else:
            found.add(chance.randint(0, len(records)))
    return sorted(found)


def difference(disk, directory):
    """Paths whose content is another in the model than in the directory: what the record has not. lock.mdb and metrics are maps."""
    model = disk.tree()
    real = {
        str(path.relative_to(directory)): path.read_bytes() for path in pathlib.Path(directory).rglob("*") if path.is_file()
    }
    names = {name for name in model.keys() | real.keys() if not name.endswith(("lock.mdb", "data/run/metrics"))}
    return sorted(name for name in names if model.get(name) != real.get(name))
