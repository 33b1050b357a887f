"""Random deployments for the fault harness, and what must be in them at the end: a plain model that knows only what was sent.

A World makes files of events (all kinds, out of order, late, doubled, contradicting, torn lines, files that come again, that
have grown, whose name is used twice), puts them into the spool, and says what each table must hold when all is collected.
"""

import copy
import gzip
import json
from collections import Counter

import events
import senders
from events import judge

END_S = 1_760_000_000  # a day of October 2025: long settled, whatever a clock that jumps says
RECEIPTS = {
    "name": "receipts",
    "event_id": ["receipt"],
    "line": "line",
    "customer": "member",
    "date": "time",
    "date_format": "%s",
    "menu": "menu",
    "quantity": "qty",
    "amount": "amount",
}
# Names of three letters: the judge knows no longer ones.
SOURCES = [
    {"name": "til", "dir": "til", "format": "classic"},
    {"name": "kio", "dir": "kio", "format": "classic", "when_done": "move", "move_to": "done"},
    {"name": "pos", "dir": "pos", "format": "ndjson"},
    {"name": "app", "dir": "app", "format": "ndjson"},
    {"name": "web", "dir": "web", "format": "receipts", "when_done": "delete"},
]
# A file that grows, for a program that follows it.
LOG = {"name": "log", "type": "tail", "path": "log/orders.log", "format": "classic"}
BAD = {"classic": ("bad\n", "column_count"), "ndjson": ('{"x"\n', "json"), "receipts": ("torn,1\n", "column_count")}
HEADER = "receipt,line,member,time,menu,qty,amount\n"
ROWS_SQL = """SELECT source, event_id, line_no::VARCHAR, kind, cust_id::VARCHAR, odr_menu, odr_qty::VARCHAR, odr_amt::VARCHAR,
    epoch_us(odr_tms)::VARCHAR, order_id, points::VARCHAR, ledger, reward, decision FROM transactions_cln ORDER BY ALL"""
QUARANTINE_SQL = "SELECT file, line::VARCHAR, reason FROM quarantine"


def rows_of(source, event, customer):
    """As ROWS_SQL gives them."""

    def row(n, menu, quantity, amount):
        points = events.number(event.points, 3) if event.points else None
        decision = None
        if event.kind == judge.REDEEM:
            decision = "declined" if event.declined else "accepted"
        kind = judge.KINDS[event.kind]
        parts = (source, event.id, str(n), kind, str(customer) if customer else None, menu, quantity, amount)
        return (*parts, str(event.time), event.order or None, points, event.ledger or None, event.reward or None, decision)

    if event.lines:
        return [
            row(n, line.menu, events.number(line.quantity, 3), events.number(line.amount, 2))
            for n, line in enumerate(event.lines, 1)
        ]
    return [row(1, None, None, events.number(-event.amount, 2) if event.kind == judge.REFUND else None)]


class File:
    """One that was sent: its text, and the places of its events, (event, customer, first line, lines)."""

    def __init__(self, source, name):
        self.source, self.name = source, name
        self.text = ""
        self.lines = 0
        self.places = []
        self.bad = []  # (line, reason)
        self.played_out = False  # nothing more is done with its name
        self.packed = False
        self.done = 0  # so many of its places were acknowledged
        self.waits_behind_its_name = False  # lines were put to a file that had been put away
        self.in_spool = True  # it has a place there, and goes away when it is done


class Log:
    """The file of LOG, as somebody writes it: lines, now and then half a one, and from time to time it begins anew."""

    def __init__(self, chance):
        self.chance = chance
        self.generation = 0
        self.file = None
        self.is_known = False  # a clean run has seen it: if it is renamed now, it is found under the other name
        self.half = ""  # of its last line, which is to come

    def begin(self, path):
        """Begins another, when it can be; the one before keeps another name."""
        if self.file and (not self.is_known or self.half or self.chance.random() < 0.5):
            return None
        if self.file:
            path.rename(path.with_name(f"orders.log.{self.generation}"))
        path.parent.mkdir(exist_ok=True)
        self.generation += 1
        self.is_known = False
        self.file = File("log", "orders.log" if self.generation == 1 else f"orders.log#{self.generation}")
        self.file.played_out, self.file.in_spool = True, False
        return self.file

    def write(self, path, text, whole):
        """Appends what is new, `text`; unless it must be whole some of it may wait for the next time."""
        text = self.half + text
        cut = len(text) if whole or self.chance.random() < 0.7 else self.chance.randrange(len(text) + 1)
        with path.open("a", encoding="utf-8") as out:
            out.write(text[:cut])
        self.half = text[cut:]


class World:
    def __init__(self, chance, days=None, follows=False):
        self.chance = chance
        self.files = []
        n = chance.randrange(1, 4)
        names = set(chance.sample([source["name"] for source in SOURCES], n)) | {chance.choice(("pos", "til", "web"))}
        self.sources = [dict(source, settle_ms=0) for source in SOURCES if source["name"] in names]
        self.log = Log(chance) if follows and chance.random() < 0.7 else None
        if self.log:
            self.sources.append(dict(LOG))
        streams = [source for source in senders.STREAMS if follows and chance.random() < 0.5]
        self.sources += [senders.stream(source, chance) for source in streams]
        self.senders = senders.Senders(self.sources[len(self.sources) - len(streams) :], chance.random()) if streams else None
        self.piped = {}  # name: the File of what comes through a pipe
        self.programme = copy.deepcopy(events.PROGRAMME)
        self.programme["late"] = {"days": chance.randrange(1, 6), "open_events": chance.randrange(1, 9)}
        self.programme["timezone"] = chance.choice(("UTC", "Asia/Bangkok", "America/New_York"))
        self.n_files = 0
        self._make_events(days or chance.choice((1, 2, 4, 9)))

    def _make_events(self, days):
        """Each with its source; in the order in which they are sent, which is mostly that of time."""
        chance = self.chance
        n = chance.choice((8, 30, 90))
        made = events.make(chance.randrange(10**9), n, chance.randrange(1, 9), END_S, days)
        by_id = {event.id: event for _, event in made}
        drawn = []
        for customer, event in made:
            source = chance.choice(self.sources)
            if source.get("format", "ndjson") != "ndjson":
                event = self._plain_order(event, source)
            elif event.kind == judge.REFUND and event.order in by_id and by_id[event.order].source in ("til", "kio", "log"):
                event.order = "order-77777777"  # a line has no id before it is in a file
            event.source = source["name"]
            by_id[event.id] = event
            if event.kind == judge.ORDER and chance.random() < 0.15:
                customer = None
            drawn.append((event.time if chance.random() < 0.7 else chance.randrange(event.time), customer, event))
        self.coming = [(customer, event) for _, customer, event in sorted(drawn, key=lambda each: each[0])]

    def _plain_order(self, event, source):
        chance = self.chance
        plain = judge.Event(judge.ORDER, event.id, event.time)
        for _ in range(1 if source["format"] == "classic" else chance.randrange(1, 4)):
            menu, amount = chance.choice(("mocha", "tea", "card")), chance.randrange(1, 9000)
            quantity = 1000 if source["format"] == "classic" else chance.randrange(1, 4) * 1000
            plain.lines.append(judge.Line("", menu, quantity, amount))
        return plain

    # -- configuration

    def configure(self, shop):
        chance = self.chance
        shop.programme = self.programme
        shop.write_config(
            sources=self.sources,
            order_mappings=[RECEIPTS],
            journal={"retention_hours": chance.choice((0, 24))},
        )
        for source in self._piped_sources():
            path = shop.dir / senders.path_of(source["name"])
            path.parent.mkdir(exist_ok=True)
            path.touch()

    # -- files

    def _source(self, name):
        return next(source for source in self.sources if source["name"] == name)

    def _add(self, file, customer, event):
        """An event to the end of a file."""
        how = self._source(file.source).get("format", "ndjson")
        if file.text and not file.text.endswith("\n"):
            file.text += "\n"
        if how == "receipts" and not file.text:
            file.text, file.lines = HEADER, 1
        first = file.lines + 1
        if how == "classic":
            event = copy.copy(event)
            event.id = f"{file.name}:{first}"
            line = event.lines[0]
            text = f"{customer or 0}|{line.menu} {events.number(line.amount, 2)}|{event.time // 1_000_000}\n"
        elif how == "ndjson":
            text = events.line(customer or 0, event)
        else:
            text = ""
            for n, line in enumerate(event.lines, 1):
                numbers = f"{events.number(line.quantity, 3)},{events.number(line.amount, 2)}"
                text += f"{event.id},{n},{customer or ''},{event.time // 1_000_000},{line.menu},{numbers}\n"
        file.text += text
        file.lines += text.count("\n")
        file.places.append((event, customer, first, text.count("\n")))

    def _add_bad(self, file):
        how = self._source(file.source)["format"]
        if how == "receipts" and not file.text:
            return
        text, reason = BAD[how]
        file.text += ("" if not file.text or file.text.endswith("\n") else "\n") + text
        file.lines += 1
        file.bad.append((file.lines, reason))

    def _new_file(self, source):
        self.n_files += 1
        file = File(source, f"{source}-{self.chance.randrange(100):02d}-{self.n_files}")
        file.packed = self.chance.random() < 0.1
        self.files.append(file)
        return file

    def _write(self, shop, file):
        content = file.text.encode()
        shop.put(file.name, gzip.compress(content) if file.packed else content, shop.dir / file.source)

    def _fill(self, shop, file, part):
        for customer, event in part:
            if self.chance.random() < 0.05:
                self._add_bad(file)
            self._add(file, customer, event)
        if not file.bad and self.chance.random() < 0.1:
            file.text = file.text[:-1]  # its last line has no end
        self._write(shop, file)

    def feed(self, shop, share):
        """Sends this share of what is still to come, and some of what was sent once more."""
        n = max(1, round(len(self.coming) * share))
        part, self.coming = self.coming[:n], self.coming[n:]
        for source in self.sources:
            own = [(customer, event) for customer, event in part if event.source == source["name"]]
            if own and source["name"] == "log":
                self._write_log(shop, own)
                continue
            if own and "dir" not in source:
                self._write_stream(shop, source, own)
                continue
            while own:
                size = self.chance.choice((1, 5, 20, len(own)))
                grown = self._known(shop, source["name"]) if self.chance.random() < 0.2 else []
                file = self.chance.choice(grown) if grown else self._new_file(source["name"])
                if not (grown and self._grow_put_away(shop, file, own[:size])):
                    self._fill(shop, file, own[:size])
                own = own[size:]
        for tricks in (self._send_again, self._send_copies, self._contradict, self._reuse_name, self._send_nothing):
            if self.chance.random() < 0.2:
                tricks(shop)

    def _write_log(self, shop, part):
        path = shop.dir / LOG["path"]
        begun = self.log.begin(path)
        if begun:
            self.files.append(begun)
        file = self.log.file
        before = len(file.text)
        for customer, event in part:
            if self.chance.random() < 0.05:
                self._add_bad(file)
            self._add(file, customer, event)
        self.log.write(path, file.text[before:], False)

    def _piped_sources(self):
        return [source for source in self.sources if source.get("type") in ("exec", "stdin")]

    def _stream_file(self, source):
        self.n_files += 1
        file = File(source, f"{source}-{self.n_files}")
        file.played_out, file.in_spool = True, False
        self.files.append(file)
        return file

    def _write_stream(self, shop, source, part):
        """Requests, or more of what comes through a pipe. Of bad lines nothing is known twice, so there are none."""
        name = source["name"]
        if source["type"] != "http":
            file = self.piped.get(name) or self.piped.setdefault(name, self._stream_file(name))
            before = len(file.text)
            for customer, event in part:
                self._add(file, customer, event)
            with (shop.dir / senders.path_of(name)).open("a", encoding="utf-8") as out:
                out.write(file.text[before:])
            return
        while part:
            size = self.chance.choice((1, 5, 20, len(part)))
            file = self._stream_file(name)
            for customer, event in part[:size]:
                self._add(file, customer, event)
            self.senders.requests.append(file)  # the last thing: another thread looks at it
            part = part[size:]

    def end_lines(self, shop):
        """Whoever was writing has written all of it."""
        if self.log and self.log.half:
            self.log.write(shop.dir / LOG["path"], "", True)

    def was_settled(self):
        """A clean run has taken all there is."""
        for file in self.files:
            file.waits_behind_its_name = False
        for file in self.piped.values():
            file.done = len(file.places)
        if self.log and self.log.file:
            self.log.is_known = True

    def _spools(self):
        return [source["name"] for source in self.sources if "dir" in source]

    def _known(self, shop, source):
        """Files that were put away, and may come again."""
        files = [file for file in self.files if file.source == source and not file.played_out]
        # The same name in two lengths at once: lines of the shorter one that only the longer one brought are set aside.
        files = [file for file in files if file.text and not file.waits_behind_its_name]
        return [file for file in files if not (shop.dir / source / file.name).exists()]

    def _grow_put_away(self, shop, file, part):
        """More lines for a file that has been renamed already."""
        path = shop.dir / file.source / f"{file.name}.COMPLETED"
        others = list(path.parent.glob(f"{file.name}.COMPLETED.*"))
        if file.packed or not path.exists() or others or not file.text.endswith("\n") or self.chance.random() < 0.5:
            return False
        for customer, event in part:
            self._add(file, customer, event)
        path.write_text(file.text, encoding="utf-8")
        file.waits_behind_its_name = True
        return True

    def _send_again(self, shop):
        known = self._known(shop, self.chance.choice(self._spools()))
        if known:
            self._write(shop, self.chance.choice(known))

    def _with_ids(self):
        return [source["name"] for source in self.sources if "dir" in source and source["format"] != "classic"]

    def _sent(self, source):
        return [place for file in self.files if file.source == source for place in file.places]

    def _send_copies(self, shop):
        """The same events in another file."""
        for source in self._with_ids():
            sent = self._sent(source)
            if sent:
                part = self.chance.sample(sent, min(len(sent), 5))
                self._fill(shop, self._new_file(source), [(customer, event) for event, customer, _, _ in part])

    def _contradict(self, shop):
        """Another event under an id that was had: whichever comes first is the one."""
        for source in self._with_ids():
            sent = self._sent(source)
            if sent and self._source(source)["format"] == "ndjson":
                event, customer, _, _ = self.chance.choice(sent)
                other = copy.copy(event)
                other.time += 1_000_000
                self._fill(shop, self._new_file(source), [(customer, other)])

    def _reuse_name(self, shop):
        """Other lines under a name that was had: where lines have no ids of their own, they are set aside."""
        for source in map(self._source, self._spools()):
            known = [file for file in self._known(shop, source["name"]) if file.places and not file.waits_behind_its_name]
            if source["format"] == "classic" and known:
                old = self.chance.choice(known)
                old.played_out = True
                file = File(source["name"], old.name)
                file.played_out = True
                n = self.chance.randrange(1, 4)
                file.text = "".join(f"999|tea 1.00|{END_S - i}\n" for i in range(n))
                file.bad = [(i, "file_name_reused") for i in range(1, n + 1)]
                self.files.append(file)
                self._write(shop, file)

    def _send_nothing(self, shop):
        file = self._new_file(self.chance.choice(self._spools()))
        file.played_out = True
        file.text = self.chance.choice(("", "\n", "\n\n"))
        self._write(shop, file)

    # -- what was acknowledged

    def unread(self, shop):
        """Files that wait in the spool."""
        return [file.name for file in self.files if file.in_spool and (shop.dir / file.source / file.name).exists()]

    def acknowledge(self, names):
        """The running state has these paths: whatever is no longer there under its own name was acknowledged."""
        for file in self.files:
            if file.in_spool and f"{file.source}/{file.name}" not in names and not file.waits_behind_its_name:
                file.done = len(file.places)

    def acknowledge_by(self, shop):
        self.acknowledge({f"{f.source}/{f.name}" for f in self.files if (shop.dir / f.source / f.name).exists()})

    # -- what must be

    def variants(self):
        """{(source, id): [(rows, customer, event)]} of all that was sent."""
        found = {}
        for file in self.files:
            for event, customer, _, _ in file.places:
                each = found.setdefault((file.source, event.id), [])
                rows = rows_of(file.source, event, customer)
                if all(rows != other for other, _, _ in each):
                    each.append((rows, customer, event))
        return found

    def match(self, rows):
        """Which variant of each event the table has, {(source, id): (rows, customer, event)}; none twice, none invented."""
        grouped = {}
        for row in rows:
            grouped.setdefault((row[0], row[1]), []).append(tuple(row))
        variants = self.variants()
        chosen = {}
        for key, own in grouped.items():
            own.sort(key=lambda row: int(row[2]))
            assert key in variants, f"invented: {own}"
            fitting = [variant for variant in variants[key] if variant[0] == own]
            assert fitting, f"twice, or not as it was sent: {own}\nsent: {[v[0] for v in variants[key]]}"
            chosen[key] = fitting[0]
        return chosen

    def check_acknowledged(self, rows):
        """In a table that may lag behind: what was acknowledged is there."""
        chosen = self.match(rows)
        for file in self.files:
            for event, _, _, _ in file.places[: file.done]:
                assert (file.source, event.id) in chosen, f"acknowledged and lost: {event} of {file.name}"

    def check_all(self, rows, quarantined):
        chosen = self.match(rows)
        for key in self.variants():
            assert key in chosen, f"lost: {key}"
        expected = Counter()
        for file in self.files:
            expected.update((file.name, str(line), reason) for line, reason in file.bad)
            for event, customer, first, n in file.places:
                if rows_of(file.source, event, customer) != chosen[file.source, event.id][0]:
                    expected.update((file.name, str(line), "id_conflict") for line in range(first, first + n))
        found = Counter(map(tuple, quarantined))
        assert found == expected, f"quarantine: too many {found - expected}, missing {expected - found}"
        return chosen

    def expected_accounts(self, chosen):
        made = [(customer, event) for _, customer, event in chosen.values() if customer]
        accounts = events.fold(made, self.programme)
        return events.account_rows(accounts, self.programme), events.balance_rows(accounts, self.programme)


def parse_all(text):
    """What `sql --json` prints for several statements: rows as tuples, a list for each."""
    decoder, at, results = json.JSONDecoder(), 0, []
    while at < len(text):
        rows, at = decoder.raw_decode(text, at)
        results.append([tuple(row.values()) for row in rows])
        while at < len(text) and text[at].isspace():
            at += 1
    return results
