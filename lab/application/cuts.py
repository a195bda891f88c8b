"""every_cut: one call, cut at each of its statements, judged after each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from logging import LogRecord
from typing import Any, Final

from lab.application import clock, evidence, logs, watchers
from lab.application.case import Answer, CutCase, swallowed
from lab.application.failure import Broken, Outcome, Unfit
from lab.application.ground import Call, Case, Ground, Invariant, Seen
from lab.application.judge import judge
from lab.application.points import Point, alike, commits, exchanges, messages_of, points
from lab.application.session import Every, Session, Way, every_of, ways_of
from lab.application.text import Clean, Judged, headline, notes, report, story
from lab.records.own_test import Example, Statement
from lab.wire.journal import Act, Record, describe
from lab.wire.rule import Rule

WAY_OF_RULE: Final[dict[Way, str]] = {"kill": "stall"}
"""What the tap does in a way, where it is not the way of the same name."""


def every_cut(
    session: Session,
    call: Call,
    invariant: Invariant | None = None,
    *,
    aliases: Collection[str] = ("default",),
    before: Call | None = None,
    then: Call | None = None,
    retry: bool = False,
    atomic: bool = False,
    ignore: Iterable[str] = (),
    ways: str | Sequence[Way] | None = None,
    every: Every | None = None,
) -> Outcome:
    """Run `call` cleanly, then once for each place at which its connection can be lost. Raises Broken, or Unfit.

    `invariant` asserts what must hold after each case; it takes nothing, or what was seen (`Seen`). `before` runs
    before each case: it puts back what is outside the database. `then` is the client's next request. With `retry` the
    client sends the request again when it got an error. With `atomic` half of the clean run's rows is broken. `ignore`
    names tables that may have more or fewer rows. `ways` and `every` override the session's options.
    """
    chosen = _ways(session, ways)
    place: Every = every_of(every) if every else session.options.every
    begun = clock.now()
    with Ground(session, aliases, before=before, ignore=ignore) as ground:
        run = _Run(ground, call, invariant, then, retry=retry, atomic=atomic)
        found = run.clean(place)
        if session.options.cut:
            return _one(run, found, session.options.cut)
        judged = [run.judged(point, way) for way in chosen for point in _fitting(found, way)]
        clean = replace(run.was, past=ground.past())
    seconds = clock.now() - begun
    if any(each.verdict.kind == "broken" for each in judged):

        def replay(address: str) -> str:
            return session.replay("--lab-cut", address)

        text = report(clean, judged, seconds, replay)
        raise Broken(text, evidence.of_cuts(session.test, clean, judged, run.examples, seconds, replay))
    return Outcome("; ".join([headline(clean, judged, seconds), *notes(clean)]))


def _ways(session: Session, ways: str | Sequence[Way] | None) -> tuple[Way, ...]:
    if ways is None:
        return session.options.ways
    return ways_of(ways if isinstance(ways, str) else ",".join(ways))


def _fitting(found: Sequence[Point], way: Way) -> list[Point]:
    """The points at which a way is another question: silence is one for the whole call, a lost answer one for each."""
    answers = [point for point in found if point.answer]
    if way == "stall":
        return answers[-1:]
    return answers if way == "drop-reply" else list(found)


def _one(run: _Run, found: Sequence[Point], address: str) -> Outcome:
    """The one case that the command line names, told; it fails as it would among the others."""
    text, _, way = address.strip().rpartition(" ")
    if not text:
        raise Unfit(f"{address!r} names no cut", "write --lab-cut 'MOMENT WAY', as a report prints it")
    (chosen,) = ways_of(way) or ("fin",)
    known = {point.address: point for point in found}
    on, _, moment = text.rpartition("/")
    point = known.get(text) or Point(moment, moment, "", int(on) - 1 if on.isdigit() else 0, answer=False)
    one, told = run.told(point, chosen)
    if one.verdict.kind == "broken":
        raise Broken(told)
    return Outcome(f"every_cut: {address}: {one.verdict.kind}", told)


class _Run:
    """One call under cuts."""

    def __init__(
        self,
        ground: Ground,
        call: Call,
        invariant: Invariant | None,
        then: Call | None,
        *,
        retry: bool,
        atomic: bool,
    ) -> None:
        self._ground = ground
        self._call = call
        self._invariant = invariant
        self._then = then
        self._retry = retry
        self._atomic = atomic
        self.examples: dict[str, Example] = {}
        """By reason the first case that was broken for it, in full."""
        self._tell: Callable[[], Example] = Example
        """The last case in full, worked out only where its story is told."""
        self.was: Clean

    def clean(self, every: Every) -> list[Point]:
        """Run it three times without a cut: to warm up, to record it, and to see whether it does the same again.

        Returns its points. Raises Broken when it is wrong without any cut, Unfit when there is nothing to cut.
        """
        with self._ground.case() as case:
            case.call(self._call)
        first, _, _ = self._record(every)
        second, found, clean = self._record(every)
        differs = next(filter(None, (alike(a, b) for a, b in zip(first, second, strict=True))), "")
        if not found:
            raise Unfit(
                "nothing that this call says to the database came through the tap, so there is nothing to cut",
                "call what uses Django's connections, in this process",
            )
        self.was = replace(clean, differs=differs)
        return found

    def _record(self, every: Every) -> tuple[list[Any], list[Point], Clean]:
        with self._ground.case() as case:
            begun = clock.now_ns()
            answer = case.call(self._call)
            if answer.exception is not None:
                raise answer.exception
            case.settle()
            if not answer.served:
                raise Unfit(f"the call answers {answer} without any cut: {answer.error or 'no error'}", "mend it first")
            if self._ground.sources.swallowed:
                raise Broken(f"{swallowed(self._ground.sources.swallowed[0][1])}, without any cut")
            records = [port.records for port in case.ports]
            if case.left_open():
                raise Broken("left open: a session waits inside a transaction after the answer, without any cut")
            if (following := case.probe()) and self._then is None:
                raise Broken(f"next request: {following}, without any cut")
            case.sever()
            rows = case.tally()
            seen = Seen(answer.value, None, answer.status, served=True, rows=rows)
            if told := case.check(self._invariant, seen):
                raise Broken(f"the invariant fails without any cut: {told}")
            found = [
                point
                for number, each in enumerate(records)
                for point in points(each, self._ground.sources, begun, every, number)
            ]
            statements = sum(
                not exchange.connecting for each in records for exchange in exchanges(each, self._ground.sources, begun)
            )
            return records, found, Clean(_light(answer), rows, statements)

    def judged(self, point: Point, way: Way) -> Judged:
        """One cut; run again once when it was not seen to land."""
        one = self._judged(point, way)
        return one if one.case.landed else self._judged(point, way)

    def told(self, point: Point, way: Way) -> tuple[Judged, str]:
        """One cut, and its story."""
        one = self.judged(point, way)
        return one, story(one, self._tell())

    def _judged(self, point: Point, way: Way) -> Judged:
        case = self._cut(point, way)
        verdict = judge(case, atomic=self._atomic)
        if verdict.kind == "broken" and verdict.reason not in self.examples:
            self.examples[verdict.reason] = self._tell()
        return Judged(case, verdict, point.says, point.place)

    def _cut(self, point: Point, way: Way) -> CutCase:
        rule = Rule.parse(point.moment, WAY_OF_RULE.get(way, way))
        alias = self._ground.servers[point.on].aliases[0]
        with self._ground.case([rule], on=alias, warm=way != "kill") as case:
            port = case.ports[point.on]
            begun = clock.now()
            with _watched(way, port, self._ground.session.options.bound) as watcher:
                answer = watchers.killed(case, port, self._call) if way == "kill" else case.call(self._call)
            waited = clock.now() - begun
            case.settle()
            first = None
            if self._retry and not answer.served:
                first, answer = answer, case.call(self._call)
                case.settle()
            records = port.records
            act = next((each for each in records if isinstance(each, Act)), None)
            committed = act is not None and any(
                commits(each) for each in messages_of(records) if each.at_ns <= act.at_ns
            )
            made = CutCase(
                address=f"{point.address} {way}",
                landed=act is not None,
                committed=committed,
                answer=_light(answer),
                clean=self.was.rows,
                rows={},
                left_open=case.left_open(),
                first=_light(first) if first is not None else None,
                waited=waited,
                gave_up=watcher is None or watcher.gave_up,
            )
            found = self._end(case, made, answer)
            self._tell = lambda: _example(self._ground, found, records, act, case.logs)
            return found

    def _end(self, case: Case, made: CutCase, answer: Answer) -> CutCase:
        """Rows, invariant and the next request; the probe leaves no rows, so that the sessions may end before rows are
        read.
        """
        following = ""
        if self._then is None:
            following = case.probe() if not answer.silent else ""
            case.sever()
        rows = case.tally()
        in_doubt = made.committed and not answer.served
        seen = Seen(answer.value, answer.exception, answer.status, served=answer.served, rows=rows, in_doubt=in_doubt)
        told = case.check(self._invariant, seen)
        if self._then is not None:
            after = case.call(self._then)
            following = (after.error or str(after)) if after.server_error else ""
        return replace(made, rows=rows, invariant=told, next=following)


def _light(answer: Answer) -> Answer:
    """Without the objects, whose tracebacks would keep every case's cursors alive."""
    return replace(answer, value=None, exception=None)


def _watched(way: Way, port: Any, bound: float) -> AbstractContextManager[watchers.Watcher | None]:
    if way == "drop-reply":
        return watchers.Watcher(port, patience=0.0)
    if way == "stall":
        return watchers.Watcher(port, patience=bound)
    return nullcontext()


def _example(
    ground: Ground, case: CutCase, records: Sequence[Record], act: Act | None, logged: Sequence[LogRecord]
) -> Example:
    """The case in full: what the call said up to the cut, each with its line. For the time until the next case."""
    until = act.at_ns if act is not None else clock.now_ns()
    passed = [each for each in records if each.at_ns <= until]
    return Example(
        statements=tuple(Statement(each.says or "connect", each.place) for each in exchanges(passed, ground.sources)),
        answers=(evidence.answer_in_full(case.answer),),
        wire=tuple(map(describe, records)),
        logged=logs.lines(logged),
    )
