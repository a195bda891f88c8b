"""One run as rows on one clock: what every picture of a case is drawn from, and what is read where none is seen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal

from lab.judging.calls import FOREVER, Call
from lab.judging.trace import Trace
from lab.records.landing import Landing
from lab.records.plan import Elapse, Inject, Step
from lab.records.record import Record
from lab.records.verdict import Finding, Verdict
from lab.report.pages.words import log_line, milliseconds, shown

SIGNS = {"ok": "✓", "fail": "✗", "info": "?", "skip": "–", "invoke": "…"}
MEANT = {
    "ok": "happened",
    "fail": "certainly did not happen",
    "info": "may have happened",
    "skip": "skipped",
    "invoke": "never returned",
}
LOG_LINES = 60
"""Lines of the server's log at most, the last ones: a page stays small."""
NEMESIS = "nemesis"
ROWS = 400
"""Rows of a timeline at most."""
PAUSE = 40_000_000
"""Nanoseconds without anything from which on a pause is shown as one."""

Kind = Literal["call", "return", "strike", "seen", "heal", "await", "elapse", "blocked", "log", "phase"]
_STAMP = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC (?:\[(\d+)\] )?(.*)$")
_PREFIX = re.compile(r"^(?:user=\S* )?(?:db=\S* )?(?:app=\S* )?")


@dataclass(frozen=True)
class Row:
    """One line of the story: when, whose, and what; `pause` is the time without anything before it, 0 where short."""

    time: int
    kind: Kind
    actor: str = ""
    text: str = ""
    call: Call | None = None
    landing: Landing | None = None
    step: int = -1
    named: bool = False
    pause: int = 0


@dataclass(frozen=True)
class LogLine:
    """A line of the server's log; `time` in nanoseconds since the run began, -1 where that is not known."""

    time: int
    pid: str
    text: str


@dataclass(frozen=True)
class Life:
    """What was seen of one server session: first and last time, when a fault struck it, and its states."""

    id: str
    first: int
    last: int
    struck: int = -1
    states: tuple[tuple[int, str], ...] = ()

    @property
    def pid(self) -> str:
        """Its server process."""
        return self.id.partition("@")[0]


@dataclass(frozen=True)
class Token:
    """What became of one write."""

    step: int
    actor: str
    kind: str
    told: str
    css: str
    held: int
    xact: str


@dataclass
class Story:
    """One stored run, its findings, and what the server's log said about it."""

    record: Record
    findings: Sequence[Finding]
    log: str = ""
    trace: Trace = field(init=False)

    def __post_init__(self) -> None:
        self.trace = Trace(self.record)

    # -- what it is about -------------------------------------------------------------------------------------------

    @cached_property
    def broken(self) -> list[Finding]:
        """What was broken, the promise that the plan is about first."""
        found = [finding for finding in self.findings if finding.verdict is Verdict.BROKEN]
        return sorted(found, key=lambda finding: finding.promise != self.record.plan.promise)

    @cached_property
    def named(self) -> frozenset[int]:
        """The steps that the judges of broken promises name."""
        return frozenset(step for finding in self.broken for step in finding.steps)

    @cached_property
    def calls(self) -> list[Call]:
        """All calls, in the order in which they began."""
        return self.trace.calls

    @cached_property
    def actors(self) -> list[str]:
        """The actors that did something, in order of appearance."""
        return list(dict.fromkeys(call.actor for call in self.calls)) or list(self.record.plan.actors())

    # -- rows -------------------------------------------------------------------------------------------------------

    @cached_property
    def rows(self) -> list[Row]:
        """Everything in the order of time; a call that nothing overtakes is one row, any other a row for each end."""
        events = sorted([*self._call_rows(), *self._nemesis_rows(), *self._log_rows()], key=lambda row: row.time)
        return _paused(_joined(events)[:ROWS])

    def _call_rows(self) -> Iterator[Row]:
        live = False
        for call in self.calls:
            if call.phase == "liveness" and not live:
                live = True
                yield Row(call.begin - 1, "phase", text="after the heal: does it serve again?")
            named = call.step in self.named
            yield Row(call.begin, "call", call.actor, told(call), call, step=call.step, named=named)
            if call.ending != "skip" and call.end < FOREVER:
                yield Row(call.end, "return", call.actor, told(call), call, step=call.step, named=named)

    def _nemesis_rows(self) -> Iterator[Row]:
        for landing in self.record.landings:
            kind = shown(landing.kind, 40)
            row = Row(landing.time, "strike", NEMESIS, f"{kind} is applied", None, landing, landing.step)
            row = replace(row, named=landing.step in self.named)
            yield row
            if landing.landed and landing.seen > landing.time:
                yield replace(row, time=landing.seen, kind="seen", text=f"{kind} strikes")
            if landing.healed >= 0:
                yield replace(row, time=landing.healed, kind="heal", text=f"{kind} is over")
        for event in self.record.events:
            if event.f == "blocked":
                yield Row(
                    event.time, "blocked", event.actor, f"waits in the {event.where or 'client'}", step=event.step
                )
            elif event.f == "await":
                yield Row(event.time, "await", NEMESIS, "every fault has been seen to land", step=event.step)
            elif event.f == "elapse":
                yield Row(event.time, "elapse", NEMESIS, _passed(self.record.plan.steps, event.step), step=event.step)

    def _log_rows(self) -> Iterator[Row]:
        return (Row(line.time, "log", line.pid, line.text) for line in self.log_lines if line.time >= 0)

    # -- what the server held and said ------------------------------------------------------------------------------

    @cached_property
    def sessions(self) -> list[Life]:
        """Its sessions in the order in which they were first seen, by the census, by a call or by a fault."""
        seen: dict[str, list[int]] = {}
        states: dict[str, list[tuple[int, str]]] = {}
        for call in self.calls:
            if call.session and call.end < FOREVER:
                seen.setdefault(call.session, []).extend((call.begin, call.end))
        for census in self.record.census:
            for session in census.sessions:
                seen.setdefault(session.id, []).append(census.time)
                states.setdefault(session.id, []).append((census.time, session.state))
        for landing in self.record.landed:
            for one in landing.struck:
                if one in seen:
                    seen[one].append(landing.at)
        return [
            Life(one, min(times), max(times), self._struck(one), tuple(states.get(one, ())))
            for one, times in sorted(seen.items(), key=lambda each: min(each[1]))
        ]

    def _struck(self, session: str) -> int:
        times = [landing.at for landing in self.record.landed if session in landing.struck]
        return min(times, default=-1)

    @cached_property
    def log_lines(self) -> list[LogLine]:
        """The server's log about this run, without what a statement or a message quotes of rows."""
        lines = []
        for line in self.log.splitlines():
            found = _STAMP.match(line)
            if found is None:
                continue  # DETAIL, CONTEXT and further lines of a statement: they are what quotes rows
            stamp, pid, rest = found.groups()
            lines.append(LogLine(self._since(stamp), pid or "", log_line(_PREFIX.sub("", rest), 300)))
        return lines[-LOG_LINES:]

    def _since(self, stamp: str) -> int:
        """Nanoseconds from the run's beginning to a time of the log, both by the wall clock of one machine."""
        if not self.record.began:
            return -1
        try:
            at = datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC).timestamp()
            return max(int((at - self.record.began) * 1e9), -1)
        except (ValueError, OverflowError):
            return -1

    @cached_property
    def tokens(self) -> list[Token]:
        """Every write: what the application was told, and what the server holds at the end."""
        found = []
        for unit in self.trace.units:
            for token in unit.tokens:
                told_it, css = _told_of(unit.outcome, token.undone, token.call)
                xact = self.record.xacts.get(str(token.call.value.get("xid", "")), "")
                held = self.trace.present.get(token.name, 0)
                kind = "by hand" if unit.kind == "by hand" else unit.kind
                found.append(Token(token.call.step, unit.actor, kind, told_it, css, held, shown(xact, 20)))
        return sorted(found, key=lambda token: token.step)

    def fault(self, step: int) -> str:
        """The fault of an inject step with its parameters, as one text."""
        steps = self.record.plan.steps
        if not 0 <= step < len(steps):
            return ""
        planned = steps[step]
        if not isinstance(planned, Inject):
            return ""
        params = ", ".join(f"{key}={value}" for key, value in planned.fault.params.items())
        return shown(f"{planned.fault.kind}({params})" if params else planned.fault.kind, 120)

    def lines(self) -> Iterator[tuple[Row, str]]:
        """The rows as sentences, for the text beside the picture."""
        for row in self.rows:
            if row.kind == "return" or (row.call is not None and row.kind == "call"):
                who = row.actor
            else:
                who = {"log": f"server [{row.actor}]", "phase": "", "blocked": row.actor}.get(row.kind, "nemesis")
            yield row, f"{milliseconds(row.time)}  {who}{': ' if who else ''}{row.text}"


def _passed(steps: Sequence[Step], number: int) -> str:
    step = steps[number] if 0 <= number < len(steps) else None
    seconds = f"{step.seconds:g} s" if isinstance(step, Elapse) else "time"
    return f"{seconds} pass by the subject's clocks"


def told(call: Call) -> str:
    """A call in a few words: its step, what it was and how it ended."""
    error = f" {error_of(call)}" if call.failed else ""
    return f"{call.step} {what(call)} {SIGNS[call.ending]}{error}"


def what(call: Call) -> str:
    """What a call was, as a person says it."""
    step = call.plan
    if call.f == "leave":
        return "leaves, rolling back" if getattr(step, "outcome", "") == "rollback" else "leaves: COMMIT"
    alias = getattr(step, "alias", "default")
    return NAMES.get(call.f, shown(call.f, 20)) + (f" on {shown(alias, 20)}" if alias not in ("", "default") else "")


NAMES = {
    "begin": "request begins",
    "end": "request ends",
    "enter": "enters atomic()",
    "write": "writes a row",
    "read": "reads",
    "fail": "is refused",
    "sql": "SQL by hand",
    "look": "looks",
    "commit": "commit()",
    "rollback": "rollback()",
    "close": "close()",
    "autocommit": "set_autocommit()",
    "stop": "thread stops",
    "fork": "forks",
    "exit": "process exits",
}


def error_of(call: Call) -> str:
    """The class of the error that left a call, and its SQLSTATE."""
    if not call.chain:
        return ""
    first = call.chain[0]
    state = next((cause.sqlstate for cause in call.chain if cause.sqlstate), "")
    name = "gave up waiting" if first.cls == "lab.Hung" else shown(first.cls.rpartition(".")[2], 40)
    return f"{name} {shown(state, 8)}".strip()


def _told_of(outcome: str, undone: bool, call: Call) -> tuple[str, str]:
    if call.ending == "skip":
        return "never asked for", "skip"
    if call.ending == "fail":
        return "refused", "fail"
    if undone or outcome == "aborted":
        return "rolled back", "skip"
    return {
        "acked": ("acknowledged", "ok"),
        "doubt": ("in doubt", "info"),
        "closed": ("closed while pending", "info"),
    }.get(outcome, ("left open", "info"))


def _joined(events: Sequence[Row]) -> list[Row]:
    """Without the return of a call that nothing came between; skipped calls of one actor in a row are one."""
    rows: list[Row] = []
    for row in events:
        last = rows[-1] if rows else None
        if row.kind == "return" and last is not None and last.call is row.call:
            continue
        if row.call is None or row.call.ending != "skip":
            rows.append(row)
        elif last is not None and _skips(last) and last.actor == row.actor:
            named = last.named or row.named
            rows[-1] = replace(last, text=f"{last.text.rstrip(' –')}, {row.step} {row.call.f} –", named=named)
        else:
            rows.append(replace(row, text=f"skipped: {row.step} {row.call.f} –"))
    return rows


def _skips(row: Row) -> bool:
    return row.call is not None and row.call.ending == "skip"


def _paused(rows: Sequence[Row]) -> list[Row]:
    """Each with the pause before it, counted from the end of what stands above it."""
    apart = {id(row.call) for row in rows if row.kind == "return"}
    found: list[Row] = []
    until = 0
    for row in rows:
        pause = row.time - until
        found.append(replace(row, pause=pause) if pause >= PAUSE and found else row)
        whole = row.call is not None and row.call.end < FOREVER and id(row.call) not in apart
        until = max(until, row.call.end if whole and row.call is not None else row.time)
    return found
