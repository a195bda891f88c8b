"""every_order: a few calls at the same time, their statements in every order, judged after each."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, get_args

from lab.application import clock, evidence, logs
from lab.application.actors import Played, Stage, Wanted
from lab.application.case import Answer, Tables
from lab.application.failure import Broken, Outcome, Unfit
from lab.application.ground import Call, Ground, Invariant, Seen
from lab.application.order_case import Content, OrderCase, Step, address_of, letter, read_address
from lab.application.order_content import content, drawn_by_models, volatile
from lab.application.order_judge import Errors, judge
from lab.application.order_text import Judged, headline, notes, report, story
from lab.application.session import Session
from lab.application.state import Change
from lab.explore.frontier import Choice, Frontier
from lab.records.own_test import Example
from lab.wire.journal import Record

FEWEST: Final = 2
MOST: Final = 3
"""How many requests can be interleaved: of four, the orders are too many."""

LIMIT: Final = 2000
"""Orders after which an exploration stops, and says so."""

TICK: Final = 1.1
"""Seconds after which values that hold a time of day in seconds (signed sessions do) are seen to differ."""

YIELDS: Final = re.compile(r"\b(SKIP\s+LOCKED|NOWAIT|pg_try_advisory|lock_timeout)\b", re.IGNORECASE)
"""SQL by which a request does something else when another one is at work, on purpose."""

CUT_PREEMPTIONS: Final = 1
"""Preemptions of the orders that are run with a cut at every statement."""


def every_order(
    session: Session,
    *calls: Call,
    invariant: Invariant | None = None,
    aliases: Collection[str] = ("default",),
    before: Call | None = None,
    preemptions: int | None = 2,
    errors: Errors = "broken",
    ignore: Iterable[str] = (),
    cut: bool = False,
) -> Outcome:
    """Run two or three calls at the same time, in every order of their statements. Raises Broken, or Unfit.

    `invariant` asserts what must hold after each order; it takes nothing, or what was seen (`Seen`, whose answer is the
    list of all answers). Without it an order is broken whose answers and rows are those of no serial order. `before`
    runs before each order: it puts back what is outside the database. `preemptions` bounds how often a call may be
    interrupted (None: any number; the session's option goes first). With `errors="allow"` a server error that only some
    orders have is counted and fails nothing. `ignore` names tables whose rows do not count. With `cut`, the orders with
    at most one preemption run again, with a connection lost before each of their statements.
    """
    _check(calls, errors)
    bound = session.options.preemptions if session.options.preemptions is not None else preemptions
    begun = clock.now()
    with Ground(session, aliases, before=before, ignore=ignore) as ground:
        run = Orders(ground, calls, invariant, errors)
        run.begin()
        if session.options.order:
            return run.one(session.options.order)
        judged = run.all(bound)
        cuts = run.cuts(judged) if cut else []
        said = [*run.said, *_past(ground)]
    everything = [*judged, *cuts]
    first = headline(everything, len(calls), bound, clock.now() - begun, len(cuts))
    if any(each.verdict.kind == "broken" for each in everything):

        def replay(address: str) -> str:
            return session.replay("--lab-order", address)

        found = evidence.of_orders(session.test, first, everything, said, run.examples, replay)
        raise Broken(report(first, everything, said, replay), found)
    return Outcome("; ".join([first, *notes(everything, said)]))


def _check(calls: Sequence[Call], errors: str) -> None:
    if not FEWEST <= len(calls) <= MOST or not all(map(callable, calls)):
        raise Unfit(
            f"every_order takes {FEWEST} or {MOST} callables, not {len(calls)}",
            "give calls: every_order(one, other, invariant=check)",
        )
    if errors not in get_args(Errors):
        raise Unfit(f"errors={errors!r} is not known", f"use one of {', '.join(get_args(Errors))}")


def _past(ground: Ground) -> list[str]:
    past = ground.past()
    return [f"{past} sessions did not come through the tap and were in no order"] if past else []


@dataclass(frozen=True)
class Ran:
    """One order with its rows as they are, and its choices up to the one that the server made itself."""

    case: OrderCase
    changes: dict[str, Change]
    choices: tuple[Choice, ...]
    records: tuple[Record, ...] = ()
    logged: tuple[str, ...] = ()


class Orders:
    """The calls of one test in one order after the other."""

    def __init__(self, ground: Ground, calls: Sequence[Call], invariant: Invariant | None, errors: Errors) -> None:
        self.said: list[str] = []
        self.examples: dict[str, Example] = {}
        """By reason the first order that was broken for it, in full."""
        self._ground = ground
        self._stage = Stage(ground, calls, patience=ground.session.options.bound)
        self._invariant = invariant
        self._errors: Errors = errors
        self._drawn = drawn_by_models()
        self._volatile: dict[str, frozenset[str]] = {}
        self._serially_ran: list[Ran] = []
        self._serial: list[OrderCase] = []
        self._began = 0.0
        """When the serial orders had run."""
        self._sure = False
        """Whether all that is volatile is known, times in seconds too."""
        self._yields = ""
        """How the calls do something else when another one is at work, "" when they do not."""

    def begin(self) -> None:
        """Warm up, and run each serial order twice: what differs between the two is volatile.

        Raises Unfit when one of them cannot be followed or a call fails in each of them, Broken when the application
        is wrong in one already.
        """
        self.play(Wanted())
        frontier = Frontier(0)
        for prefix in frontier:
            one = self._serially(Wanted(prefix.actors))
            other = self._serially(Wanted(_actors(one.case), one.case.steps))
            frontier.ran(prefix, one.choices)
            self._serially_ran.append(one)
            self._learn(one, other)
            if one.case.invariant:
                raise Broken(
                    f"every_order: the invariant fails in the serial order {one.case.address}: {one.case.invariant}"
                )
        self._refuse_what_always_fails()
        self._compare_with(self._serially_ran)
        self._began = clock.now()

    def _refuse_what_always_fails(self) -> None:
        """A request that fails in every serial order, also where it runs first, fails by itself: no order is to blame.
        Raises Unfit, or with errors="allow" says so in the summary line.
        """
        for actor in range(len(self._stage.calls)):
            answers = [ran.case.answers[actor] for ran in self._serially_ran]
            if all(answer.server_error for answer in answers):
                first = answers[0].error.partition("\n")[0]
                what = f"request {letter(actor)} answers {answers[0]} in every serial order" + (first and f": {first}")
                if self._errors == "broken":
                    raise Unfit(what, 'mend it first, or give errors="allow" where it is to fail')
                self.said.append(what)

    def _learn(self, one: Ran, other: Ran) -> None:
        """What differs between two runs of the same order is volatile."""
        for table, columns in volatile(one.changes, other.changes).items():
            self._volatile[table] = self._volatile.get(table, frozenset()) | columns

    def _compare_with(self, serial: Sequence[Ran]) -> None:
        self._serial = [replace(ran.case, content=self._content(ran.changes)) for ran in serial]

    def _make_sure(self) -> None:
        """Run the serial orders a third time, when the clock has gone on: before the first accusation by rows alone."""
        clock.pause(max(0.0, self._began + TICK - clock.now()))
        for ran in self._serially_ran:
            self._learn(ran, self._serially(Wanted(_actors(ran.case), ran.case.steps)))
        self._compare_with(self._serially_ran)
        self._sure = True

    def _serially(self, wanted: Wanted) -> Ran:
        ran = self._settled(wanted)
        if ran.case.diverged:
            raise Unfit(
                f"the calls cannot be put into an order: {ran.case.diverged}",
                "let `before` put back what differs between two runs of the same call",
            )
        return ran

    def all(self, preemptions: int | None) -> list[Judged]:
        """Every order within the bound, the simplest first."""
        frontier = Frontier(preemptions)
        steps: list[tuple[Step, ...]] = []
        judged: list[Judged] = []
        for prefix in frontier:
            if len(judged) >= LIMIT:
                self.said.append(
                    f"stopped after {LIMIT} orders, there are more; give --lab-preemptions a smaller number"
                )
                break
            expected = steps[prefix.of][: len(prefix.actors) - 1] if prefix.of >= 0 else ()
            ran = self._settled(Wanted(prefix.actors, expected))
            judged.append(self._judged(ran))
            if not ran.case.diverged:
                frontier.ran(prefix, ran.choices, len(steps))
            steps.append(ran.case.steps)
        return judged

    def cuts(self, judged: Sequence[Judged]) -> list[Judged]:
        """The simpler of the orders again, with a cut before each statement."""
        return [
            self._judged(self._settled(Wanted(_actors(case)[: number + 1], case.steps[:number], number)))
            for case in (each.case for each in judged)
            if case.preemptions <= CUT_PREEMPTIONS and not case.diverged and not case.deadlock
            for number, step in enumerate(case.steps)
            if step.says
        ]

    def one(self, text: str) -> Outcome:
        """The one order that the command line names, told; it fails as it would among the others."""
        actors, cut_at = read_address(text, len(self._stage.calls))
        one = self._judged(self._settled(Wanted(actors, cut_at=cut_at)))
        if one.verdict.kind == "broken":
            raise Broken(story(one))
        return Outcome(f"every_order: {text}: {one.verdict.kind}", story(one))

    def _judged(self, ran: Ran) -> Judged:
        found = self._judge(ran)
        if found.verdict.by_rows and not self._sure:
            self._make_sure()
            found = self._judge(ran)
        if found.verdict.kind == "broken" and found.verdict.reason not in self.examples:
            self.examples[found.verdict.reason] = evidence.of_order(found.case, ran.records, ran.logged)
        return found

    def _judge(self, ran: Ran) -> Judged:
        case = replace(ran.case, content=self._content(ran.changes))
        by_rows = self._invariant is None and not self._yields
        return Judged(case, judge(case, self._serial, errors=self._errors, by_rows=by_rows))

    def _settled(self, wanted: Wanted) -> Ran:
        """Play an order; once more when it could not be followed."""
        ran = self.play(wanted)
        return self.play(wanted) if ran.case.diverged else ran

    def play(self, wanted: Wanted) -> Ran:
        """Play one order, once."""
        with self._stage.play(wanted) as (case, played):
            changes = case.changes()
            rows = {name: change.rows for name, change in changes.items()}
            told = case.check(self._invariant, _seen(played, rows)) if not played.astray else ""
            self._look_for_yields()
            records = tuple(record for port in case.ports for record in port.records)
            logged = logs.lines(case.logs)
        made = OrderCase(
            address=played.address if not played.astray else address_of(wanted.actors),
            steps=played.steps,
            choices=played.choices,
            answers=tuple(replace(answer, exception=None, value=_light(answer)) for answer in played.answers),
            rows=rows,
            content=self._content(changes),
            preemptions=sum(choice.preempts(choice.chosen) for choice in played.choices),
            deadlock=played.deadlock_at is not None,
            held_open=played.held_open,
            swallowed=played.swallowed,
            invariant=told,
            diverged=played.astray,
        )
        return Ran(made, changes, played.choices[: played.deadlock_at], records, logged)

    def _look_for_yields(self) -> None:
        found = (YIELDS.search(note.sql) for note in self._ground.sources.notes)
        if not self._yields and self._invariant is None and (one := next(filter(None, found), None)) is not None:
            self._yields = one[0]
            self.said.append(f"not compared with serial orders, because of {one[0].upper()}: give an invariant")

    def _content(self, changes: dict[str, Change]) -> Content:
        return content(changes, self._drawn, self._volatile)


def _actors(case: OrderCase) -> tuple[int, ...]:
    return tuple(step.actor for step in case.steps)


def _seen(played: Played, rows: Tables) -> Seen:
    """What an invariant that takes an argument is told: all answers, the first exception."""
    raised = next((answer.exception for answer in played.answers if answer.exception is not None), None)
    values = [answer.value for answer in played.answers]
    return Seen(values, raised, None, served=all(answer.served for answer in played.answers), rows=rows)


def _light(answer: Answer) -> object:
    """Without objects whose references would keep every order's cursors alive."""
    return answer.value if answer.value is None or isinstance(answer.value, bool) else ""
