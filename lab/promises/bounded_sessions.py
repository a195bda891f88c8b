"""bounded-sessions: sessions that a backend has lost sight of still fill the server's connection slots.

A session is lost sight of when it is replaced and not closed, when its thread ends, or when its client has given up
while the server still works for it. Threads that never end a request leave theirs behind in stock Django (django-
apscheduler #172, procrastinate #1551). At the end the server refuses everybody (53300).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal

import msgspec

from lab.judging import elapsed, lifecycles, loss
from lab.judging.calls import FOREVER, Call, Request
from lab.judging.plan_parts import (
    DELAY_MS,
    LOSE_ANSWER,
    SEVER,
    WHILE_LOCKED,
    at_once,
    block,
    inject,
    keeps,
    query,
    request,
    several,
    unprepared,
)
from lab.judging.trace import Trace
from lab.promise import Promise, promise
from lab.records.census import OUTLIVED, Census
from lab.records.plan import (
    Await,
    Begin,
    Close,
    End,
    Enter,
    Exit,
    Fail,
    Fork,
    Heal,
    Look,
    Plan,
    Read,
    Sql,
    Step,
    Stop,
    Use,
    Write,
)
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.records.words import count

REPLACED = 6
"""Sessions that are lost one after the other before the threads are counted again."""
SLOW_STATEMENTS = 15
"""Statements of 0.7 s before that, 10 s in all, as long as a call may wait: a thread that looks only every few seconds
whether its session is closed has ended by then."""
SETTLED = ("final", "stop")
"""Occasions at which the census waits until the server knows of every connection that the subject has closed."""
PASSING = 3
"""On other occasions a census may still list a session that was closed; one that so many in a row list is open."""
NOTICED = 2_500_000_000
"""Nanoseconds after which a dead client's statement is one too many: a server looks for it every 2 s, or never."""
MOST = 12
"""Times at most that a plan lets an ENGINE lose a session which may have many: a leak shows once it is beyond those."""
ERRORS = 6
"""Times at least that a plan lets a statement fail: where every fourth session is lost, more than one is at the end."""
KILLED: tuple[Literal["KILL", "TERM", "ABRT"], ...] = ("KILL", "TERM", "ABRT")
CHECKED = "-c client_connection_check_interval=500"


@promise
class BoundedSessions(Promise):
    """At stake when sessions were lost, closed, or given up with a thread, or more than one request had run.

    Each process and alias may have its maximum; a thread that has ended makes no requests any more.
    """

    id = "bounded-sessions"
    sentence = (
        "No process has more sessions of an alias than the maximum that is stated, or, where none is, than its "
        "requests in flight need; none is left behind by replaced or closed connections, ended threads or clients that "
        "gave up."
    )
    of_django = ("a process killed, mid-query",)

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        good = query("t0") * (traits.pool_max + 2)  # each of a pool's sessions may be stale, and cost one request
        times = min(variant.maximum or traits.pool_max or traits.level(1), MOST)
        often = max(times, 3)
        for how, fault in SEVER.items():
            busy = request("t0", Read("t0"), fault, Read("t0")) * times
            yield self.plan(variant, f"replaced, {how}", *busy, *good, title="in a request")
            if keeps(variant, traits):
                idle = (fault, *good) * often
                yield self.plan(variant, f"replaced, {how}", *query("t0"), *idle, title="idle, several times")
        if keeps(variant, traits) and traits.overrides:  # else no code of an ENGINE's runs that could start a thread
            look = request("t0", Look("t0"))
            replaced = (SEVER["terminated"], *query("t0") * 2) * REPLACED
            rest = request("t0", *(Use("t0", "slow"),) * SLOW_STATEMENTS)
            yield self.plan(variant, "threads beside sessions", *look, *replaced, *rest, *look)
        lost = (LOSE_ANSWER, Begin("t0"), Read("t0"), Heal(), End("t0"))  # a pool waits until it is healed
        yield self.plan(variant, "given up, while connecting", *lost, *good, *query("t0"))
        slow = (inject("delay", moment="auth+0", delay_ms=DELAY_MS), *query("t0"), Heal())
        again = (SEVER["terminated"], *slow) if keeps(variant, traits) else slow
        yield self.plan(variant, "three slow connects", *slow, *again, *again, *query("t0"))
        inside = request("t0", Enter("t0"), Write("t0"), LOSE_ANSWER, Write("t0"))
        yield self.plan(variant, "given up, in atomic()", *inside, Heal(), *good, *inside, Heal(), *good)
        hole = request("t0", Read("t0"), inject("black-hole"), Read("t0"), Heal())
        yield self.plan(variant, "given up, mid-query", *hole, *good, *hole, *good)
        yield self.plan(
            variant, "closed by hand", *request("t0", Read("t0"), Close("t0"), Read("t0"), Close("t0")) * often
        )
        error = (*request("t0", Read("t0"), Fail("t0")), *query("t0"))
        yield self.plan(variant, "a statement's error", *error * max(times, ERRORS))
        never = (*request("t0", Enter("t0"), Write("t0")), *query("t0"))
        yield self.plan(variant, "a block never left", *never * max(times, 2))
        yield from self._ended(variant, often)
        if several(variant):
            locked = (*unprepared("t1", *query("t0") * 4), *query("t0"), *query("t0"))
            yield self.plan(variant, "set-up fails", *locked, init=(WHILE_LOCKED,))
        if several(variant, 3):
            actors = ("t0", "t1", "t2")
            yield self.plan(variant, "several requests at once", *at_once(*actors) * 3)
            turns = (*query("t0"), *query("t1"), *block("t2"), *query("t0"), *query("t1"))
            yield self.plan(variant, "threads that take turns", *turns)
            both: tuple[Step, ...] = (*(Begin(actor) for actor in actors), *(Read(actor) for actor in actors))
            both += (SEVER["terminated"], *(Read(actor) for actor in actors), *(End(actor) for actor in actors))
            yield self.plan(variant, "several requests at once", *both, *at_once(*actors) * 3, title="replaced")
        dawdle = (inject("idle-in-transaction-timeout"), Begin("t0"), Enter("t0"), Write("t0"), Await(), End("t0"))
        yield self.plan(variant, "replaced, ended by the server", *dawdle, Heal(), *query("t0"), *query("t0"))
        yield from elapsed.renewed(self, variant, traits)
        # More than both processes may have: what gives sessions back may be a thread, which no child has.
        served = (*query("t0"), Fork("t0"), *query("c0.t0") * (2 * times + 2), Exit("c0.t0"))
        yield self.plan(variant, "in a forked process", *served, *query("t0"))
        yield from loss.bounded_sessions(self, variant, traits)
        yield from lifecycles.bounded_sessions(self, variant)
        yield from self._killed(variant)  # last: what Django breaks itself must not settle the promise

    def _ended(self, variant: Variant, often: int) -> Iterator[Plan]:
        """Threads that end, so many one after the other, with whatever they hold."""
        ended: tuple[Step, ...] = ()
        for number in range(1, often + 1):
            ended += (*query(f"t{number}"), Stop(f"t{number}"))
        yield self.plan(variant, "threads that end, between requests", *ended, *query("t0"))
        ended = ()
        for number in range(1, often + 1):
            ended += (Begin(f"t{number}"), Read(f"t{number}"), Stop(f"t{number}"))
        yield self.plan(variant, "threads that end, in a request", *ended, *query("t0"))
        ended = ()
        for number in (1, 2, 3):
            actor = f"t{number}"
            ended += (Begin(actor), Read(actor), Read(actor, alias="twin"), Stop(actor))
        yield self.plan(variant, "threads that end, in a request", *ended, *query("t0"), title="two aliases")
        ended = ()
        for number in (1, 2):
            actor = f"t{number}"
            ended += (Begin(actor), Enter(actor), Write(actor), Stop(actor))
        yield self.plan(variant, "threads that end, in atomic()", *ended, *query("t0"))

    def _killed(self, variant: Variant) -> Iterator[Plan]:
        """Processes that end while the server works for them, or has a session for them.

        Some have been forked by one that goes on, before that has a session, as by a server that loads the application
        first. The others are the first one.
        """
        options = {**variant.options, "options": f"{variant.options.get('options') or ''} {CHECKED}".strip()}
        checked = msgspec.structs.replace(variant, options=options)
        looked_for = "a process killed, the server looks for it"
        # SIGTERM has a plan of its own: a process that catches it and goes on makes that one n/a, not the others.
        for signals in (("KILL", "ABRT"), ("TERM",)):
            children = [f"c{number}" for number in range(len(signals))]
            steps: tuple[Step, ...] = (*(Fork("t0", child) for child in children), *query("t0"))
            for how, child in zip(signals, children, strict=True):
                actor = f"{child}.t0"
                steps += (Begin(actor), Read(actor, hold=True), inject("kill", signal=how, process=child))
            steps += request("t0", Sql("t0", f"SELECT pg_sleep({NOTICED / 1e9 + 0.3:g})"))
            yield self.plan(variant, "a process killed, mid-query", *steps, title=", ".join(signals))
            yield self.plan(checked, looked_for, *steps, title=", ".join(signals))
        first = (Begin("t0"), Read("t0", hold=True), inject("kill", signal="TERM"))
        yield self.plan(variant, "a process killed, mid-query", *first, title="the first one")
        yield self.plan(checked, looked_for, *first, title="the first one")
        for signal in KILLED:
            idle = (*query("t0"), inject("kill", signal=signal))
            yield self.plan(variant, "a process killed, between requests", *idle, title=signal)
        leave = inject("interrupt", raises="exit")
        in_block = (Enter("t0"), Write("t0", hold="statement"))
        for name, work in (("a query", (Read("t0", hold=True),)), ("a block", in_block)):
            yield self.plan(checked, "a process told to exit", Begin("t0"), *work, leave, End("t0"), title=f"in {name}")

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        # Entering a block opens a session, too, of which no answer tells.
        aliases = len({call.alias for call in trace.calls if call.ending != "skip"})
        aliases += record.plan.makes_databases()  # Django has one more, to make and drop databases by
        counted = [census for census in record.census if census.at not in ("after exit", OUTLIVED)]
        struck = {session for landing in trace.landed for session in landing.struck + landing.cut}
        struck -= loss.seen_by_the_server(record)
        calm = [census for census in counted if not trace.during(census.time - 1, census.time + 1)]
        allowance = _Allowance(record, trace)
        for place, census in enumerate(calm):
            allowed = allowance.at(census.time) * aliases
            open_ = {
                session.id for session in census.sessions
            } - struck  # sessions that a fault cut off, which the backend cannot end
            if census.at not in SETTLED:
                later = calm[place : place + PASSING]
                for each in later:
                    open_ &= {session.id for session in each.sessions}
                if len(later) < PASSING:
                    continue
            if len(open_) > allowed and record.traits.uncounted and not record.maximum:
                return self.unknown(f"{len(open_)} sessions are open, and {record.traits.keeping}")
            if len(open_) > allowed:
                return self.broken(
                    f"{len(open_)} sessions are open, {_why(record, allowed, aliases)}", _step(trace, census)
                )
        outlived = [census for census in record.census if census.at == OUTLIVED]
        for census in outlived:
            if left := {session.id for session in census.sessions} - struck:
                still = f"{count(len(left), 'session')} {'is' if len(left) == 1 else 'are'} still open"
                return self.broken(f"{still} after the process that opened them had ended", _step(trace, census))
        if (found := _threads_left(trace)) is not None:
            what = f"the ENGINE has {count(found.value['threads'], 'thread')} of its own"
            return self.broken(f"{what}: each session that was lost has left one behind", found.step)
        if not outlived and (not calm or not _at_stake(trace)):
            return self.unknown("one request at most had a session, and that was not lost, closed or given up")
        most = max((len(census.sessions) for census in calm), default=0)
        allowed = allowance.at(FOREVER) * aliases
        return self.kept(f"never more than {count(most, 'session')}, {_why(record, allowed, aliases)}")


class _Allowance:
    """How many sessions there may be for each alias at some time: for each process its own maximum."""

    def __init__(self, record: Record, trace: Trace) -> None:
        self._record = record
        processes: dict[str, list[Request]] = {}
        for each in trace.requests:
            processes.setdefault(each.process, []).append(each)
        self._in_flight = {process: _in_flight(requests) for process, requests in processes.items()}
        self._died = {process: _died(requests) for process, requests in processes.items()}
        forks = [call for call in trace.calls if call.f == "fork" and call.ending == "ok"]
        self._forked = [(call.end, str(call.value.get("child"))) for call in forks]
        self._left: dict[str, int] = {}
        for call in trace.calls:
            if call.f == "exit":
                self._left[call.process] = min(call.begin, self._left.get(call.process, FOREVER))

    def at(self, time: int) -> int:
        """At this time, by the requests that had begun before and the forked processes that had not ended."""
        most = dict.fromkeys(self._alive(time), 1)  # a child may open a session before its first request
        for process, in_flight in self._in_flight.items():
            if begun := [number for begin, number in in_flight if begin < time]:
                most[process] = max(begun)
        living = [number for process, number in most.items() if self._died.get(process, FOREVER) >= time]
        if self._record.maximum:
            return self._record.maximum * max(len(living), 1)
        return sum(map(self._record.traits.level, living))

    def _alive(self, time: int) -> set[str]:
        """Forked processes that have not ended by then."""
        ended = {process for process, begin in self._left.items() if begin <= time}
        return {child for end, child in self._forked if end <= time} - ended


def _in_flight(requests: list[Request]) -> list[tuple[int, int]]:
    """When each of a process's requests began, and how many of its actors were then in one."""
    spans = [(each.actor, each.begin, _over(each)) for each in requests]
    return [(now, len({actor for actor, begin, over in spans if begin <= now < over})) for _, now, _ in spans]


def _died(requests: list[Request]) -> int:
    """When the server must have noticed that this forked process died during a call; FOREVER if it did not.

    Until then there may be as many sessions as before.
    """
    died = [call for each in requests for call in each.calls if call.died and "." in call.actor]
    return min((call.end + NOTICED for call in died), default=FOREVER)


def _threads_left(trace: Trace) -> Call | None:
    """A look that shows as many threads more than an earlier one as sessions were lost between the two."""
    looks = [each for each in trace.calls if isinstance(each.plan, Look) and each.ending == "ok" and not each.process]
    for before, after in itertools.combinations(looks, 2):
        lost = {session for each in trace.landed if before.end < each.time < after.begin for session in each.struck}
        grown = after.value.get("threads", 0) - before.value.get("threads", 0)
        if len(lost) >= REPLACED and grown >= len(lost):
            return after
    return None


def _over(request: Request) -> int:
    """When the request ended, or its thread or process did.

    A command is at work until its process ends, and a task of which only the beginning is told until the next one.
    """
    last = request.calls[-1]
    if request.lifecycle in ("command", "task-before"):
        return FOREVER
    return last.end if last.f in ("stop", "exit") or last.died else request.end


def _at_stake(trace: Trace) -> bool:
    given_up = any(call.f in ("close", "stop", "exit") and call.ending == "ok" for call in trace.calls)
    given_up = given_up or any(request.never_left for request in trace.requests)
    return bool(trace.landed) or given_up or sum(bool(request.sessions) for request in trace.requests) > 1


def _why(record: Record, allowed: int, aliases: int) -> str:
    """How many there may be, and by what."""
    each = "" if aliases == 1 else f", for each of {aliases} aliases"
    why = f"one for each request in flight{each}"
    if record.maximum:
        what = "the stated maximum" if record.plan.variant.maximum else "its pool's maximum"
        why = f"{what} for each process and alias"
    elif record.traits.levels:
        why = f"as many as the ENGINE had for so many requests at once before any fault{each}"
    return f"{allowed} {'is' if allowed == 1 else 'are'} allowed: {why}"


def _step(trace: Trace, census: Census) -> int:
    return census.step if census.step >= 0 else max((call.step for call in trace.calls), default=0)
