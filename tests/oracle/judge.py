#!/usr/bin/env python3
"""Compares the C kernel with the oracle on random programmes and histories, and shrinks what they do not agree on.

    python3 tests/oracle/judge.py --seconds 600 --seed 1

KERNEL_CASES names the kernel's side (default: build/dev/tests/kernel_cases).
"""

import argparse
import copy
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import histories
import oracle

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KERNEL_CASES = os.environ.get("KERNEL_CASES", str(ROOT / "build/dev/tests/kernel_cases"))
HANG_S = 120
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./+-]*$")


# --- a case as text ---------------------------------------------------------------------------------------------------


def flow(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return text if PLAIN.match(text) else '"' + text + '"'


def yaml(programme):
    lines = []
    for key, value in programme.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines += [f"{key}:", *(f"  - {flow(item)}" for item in value)]
        elif isinstance(value, dict):
            lines.append(f"{key}:")
            for inner, item in value.items():
                if isinstance(item, list) and isinstance(item[0], dict):
                    lines += [f"  {inner}:", *(f"    - {flow(part)}" for part in item)]
                else:
                    lines.append(f"  {inner}: {flow(item)}")
        else:
            lines.append(f"{key}: {flow(value)}")
    return "\n".join(lines) + "\n"


def case_lines(case):
    lines = []
    for e in case.events:
        fields = ["event", e.kind, e.id, e.source, e.time, e.order, e.amount, e.points, e.ledger, e.reward, int(e.declined)]
        lines.append(fields)
        lines += [["line", line.sku, line.menu, line.quantity, line.amount] for line in e.lines]
    lines += [["advance", day] for day in case.advances]
    lines += [["arrive", i] for i in case.arrivals]
    return "".join("\t".join(map(str, fields)) + "\n" for fields in lines)


def show_time(programme, time_us):
    zone = oracle.zoneinfo.ZoneInfo(programme["timezone"])
    return (oracle.EPOCH + oracle.datetime.timedelta(microseconds=time_us)).astimezone(zone).isoformat(" ")


def show(case):
    """For people."""
    lines = [yaml(case.programme)]
    for i, e in enumerate(case.events):
        what = [f"{i}: {show_time(case.programme, e.time)} {oracle.KINDS[e.kind]} {e.id!r} from {e.source}"]
        for name in ("order", "amount", "points", "ledger", "reward", "declined"):
            if getattr(e, name):
                what.append(f"{name}={getattr(e, name)}")
        lines.append(" ".join(what))
        lines += [f"     {line}" for line in e.lines]
    lines.append(f"advance to {', '.join(f'{oracle.date_of(day)} ({day})' for day in case.advances)}")
    lines.append(f"arrivals {case.arrivals}")
    return "\n".join(lines)


# --- the two answers --------------------------------------------------------------------------------------------------


class Kernel:
    """The C side: started when it is needed, and again after it died."""

    def __init__(self, binary=KERNEL_CASES):
        self.binary = binary
        self.process = None
        self.errors = None

    def start(self):
        self.errors = tempfile.TemporaryFile()
        environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}
        self.process = subprocess.Popen(
            [self.binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, env=environment
        )

    def close(self):
        """Ends it; a leak or another complaint of a sanitizer is an error."""
        if self.process is None:
            return
        process, self.process = self.process, None
        process.stdin.close()
        process.wait(HANG_S)
        process.stdout.close()
        self.errors.seek(0)
        complaint = self.errors.read().decode("utf-8", "replace")
        self.errors.close()
        assert process.returncode == 0, complaint

    def answer(self, case):
        if self.process is None:
            self.start()
        programme, lines = yaml(case.programme).encode(), case_lines(case).encode()
        watch = threading.Timer(HANG_S, self.process.kill)
        watch.start()
        try:
            self.process.stdin.write(b"case\t%d\t%d\n" % (len(programme), len(lines)) + programme + lines)
            self.process.stdin.flush()
            answer = []
            while (line := self.process.stdout.readline()) != b"done\n":
                if not line:
                    raise BrokenPipeError
                answer.append(line.decode().rstrip("\n"))
            return answer
        except BrokenPipeError:
            self.process.wait()
            self.errors.seek(0)
            text = self.errors.read().decode("utf-8", "replace")
            self.process.stdout.close()
            self.process = None
            return ["died", *text.splitlines()[:40]]
        finally:
            watch.cancel()


def entry_line(entry):
    e = entry
    fields = [e.number, e.time, e.day, e.kind, e.ledger, e.points, e.lot, e.balance, e.level, e.level_after, e.reason]
    return "\t".join(map(str, ["entry", *fields, e.rules, e.promotions, e.id]))


def fold(case):
    programme = oracle.Programme(case.programme)
    account = oracle.Account(programme)
    events = sorted(case.events, key=oracle.order_of_events)
    advances = list(case.advances)
    for event in events:
        while advances and advances[0] <= oracle.local_day(programme.zone, event.time):
            account.advance(advances.pop(0))
        account.apply(event)
        account.check()
    for day in advances:
        account.advance(day)
    account.check()
    return account, events


def expected(case):
    account, events = fold(case)
    lines = [entry_line(entry) for entry in account.entries]
    lines.append("\t".join(map(str, ["totals", *account.totals().values()])))
    for i, pot in enumerate(account.pots):
        balance = account.balance(i)
        lines.append("\t".join(map(str, ["balance", i, *balance.values()])))
        lines += [f"lot\t{i}\t{lot.expires}\t{lot.available}\t{lot.remaining}" for lot in pot.lots]
        lines.append(f"can_redeem\t{i}\t{int(balance['balance'] > 0)}\t0")
    lines.append("\t".join(map(str, ["tier", *account.tier().values()])))
    lines += ["details\tsame", "stored\tsame"]
    if case.arrivals:
        lines.append(f"open\t{oracle.open_events(account.programme, events)}")
        lines.append(f"marked\t{int(oracle.is_marked(account.programme, case.events, case.arrivals))}")
        lines.append("record\tbytes same\tentries same\tstate same")
    return lines


def differences(case, kernel):
    """None, or the first line that is not alike: (expected, got)."""
    want, got = expected(case), kernel.answer(case)
    if want == got:
        return None
    for a, b in zip([*want, "(no more)"], [*got, "(no more)"]):
        if a != b:
            return a, b
    return want[-1], got[-1]


# --- shrinking --------------------------------------------------------------------------------------------------------


def without_events(case, gone):
    keep = [i for i in range(len(case.events)) if i not in gone]
    place = {old: new for new, old in enumerate(keep)}
    smaller = copy.deepcopy(case)
    smaller.events = [smaller.events[i] for i in keep]
    smaller.arrivals = [place.get(i, -1) for i in case.arrivals if i < 0 or i in place]
    return smaller


def smaller_programmes(programme):
    """Every programme with one thing less, or simpler; some of them may be wrong."""

    def walk(value, path):
        if isinstance(value, dict):
            for key in value:
                yield path, key, None
                yield from walk(value[key], (*path, key))
        elif isinstance(value, list):
            for i in reversed(range(len(value))):
                yield path, i, None
                yield from walk(value[i], (*path, i))
        elif isinstance(value, int) and not isinstance(value, bool) and value > 1:
            yield path[:-1], path[-1], 1
        elif isinstance(value, str) and re.fullmatch(r"[0-9.]+", value) and value not in ("0", "1"):
            yield path[:-1], path[-1], "1"

    for path, key, value in list(walk(programme, ())):
        smaller = copy.deepcopy(programme)
        place = smaller
        for step in path:
            place = place[step]
        if value is None:
            del place[key]
            if place == [] or place == {}:
                continue
        else:
            place[key] = value
        yield smaller


def smaller_cases(case):
    n = len(case.events)
    size = n // 2
    while size >= 1:
        for first in range(0, n, size):
            if n > size:
                yield without_events(case, set(range(first, min(n, first + size))))
        size //= 2
    for i in range(len(case.advances)):
        if len(case.advances) > 1:
            smaller = copy.deepcopy(case)
            del smaller.advances[i]
            yield smaller
    if case.arrivals:
        smaller = copy.deepcopy(case)
        smaller.arrivals = []
        yield smaller
        for i in range(len(case.arrivals)):
            smaller = copy.deepcopy(case)
            del smaller.arrivals[i]
            if set(range(n)) <= set(smaller.arrivals):
                yield smaller
    for programme in smaller_programmes(case.programme):
        smaller = copy.deepcopy(case)
        smaller.programme = programme
        yield smaller
    for i, event in enumerate(case.events):
        for k in range(len(event.lines)):
            if event.kind != oracle.ORDER or len(event.lines) > 1:
                smaller = copy.deepcopy(case)
                del smaller.events[i].lines[k]
                yield smaller
        for name, value in (("ledger", ""), ("reward", ""), ("declined", False), ("source", "a")):
            if getattr(event, name) != value and (name != "reward" or event.points):
                smaller = copy.deepcopy(case)
                setattr(smaller.events[i], name, value)
                yield smaller


def shrink(case, kernel, seconds=120):
    """The smallest case on which the two still disagree, as far as taking away one thing after the other leads."""

    def still(candidate):
        try:
            oracle.Programme(candidate.programme)
            keys = [oracle.order_of_events(event) for event in candidate.events]
            if len(set(keys)) < len(keys):
                return False
            found = differences(candidate, kernel)
        except (KeyError, ValueError, IndexError, AssertionError, TypeError, ZeroDivisionError):
            return False  # no programme any more
        return found is not None and refusal(found[1]) == refused

    def refusal(line):
        """Without numbers; empty when it is none."""
        return re.sub(r"[0-9]+", "", line) if line.startswith("refused") else ""

    refused = refusal(differences(case, kernel)[1])
    deadline = time.monotonic() + seconds
    shrunk = True
    while shrunk:
        shrunk = False
        for smaller in smaller_cases(case):
            if time.monotonic() > deadline:
                return case
            if still(smaller):
                case, shrunk = smaller, True
                break
    return case


def report(seed, case, kernel):
    case = shrink(case, kernel)
    want, got = differences(case, kernel)
    lines = [f"seed {seed}: the oracle and the kernel disagree. The smallest case:", "", show(case), ""]
    lines += ["expected: " + want, "got:      " + got, "", "all that was expected:", *expected(case)]
    lines += ["", "all that came:", *kernel.answer(case)]
    return "\n".join(lines)


def judge(first_seed, seconds, kernel, progress=None):
    """(how many histories agreed, how many events these had, the report of the first that did not)."""
    deadline = time.monotonic() + seconds
    n = n_events = 0
    while time.monotonic() < deadline:
        case = histories.make_case(first_seed + n)
        if differences(case, kernel):
            return n, n_events, report(first_seed + n, case, kernel)
        n, n_events = n + 1, n_events + len(case.events)
        if progress and n % 1000 == 0:
            progress(n)
    return n, n_events, None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1, help="of the first history; the others follow")
    parser.add_argument("--kernel", default=KERNEL_CASES, help="the program kernel_cases")
    args = parser.parse_args()
    kernel = Kernel(args.kernel)
    n, n_events, found = judge(args.seed, args.seconds, kernel, lambda n: print(f"{n} agree", file=sys.stderr))
    kernel.close()
    print(f"{n} histories with {n_events} events agree (seeds {args.seed} to {args.seed + n - 1})")
    if found:
        print(found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
