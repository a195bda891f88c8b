"""fork-safe: a forked process inherits its parent's sockets, and both would speak on one session.

Servers that load the application before they fork (gunicorn --preload, uWSGI without lazy-apps) and tasks that use
multiprocessing do this. Answers go to the wrong process (psycopg2 #281: "error with status PGRES_TUPLES_OK"), and a
child that ends says goodbye to the server in its parent's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from lab.judging import lifecycles
from lab.judging.calls import FOREVER, Call
from lab.judging.plan_parts import TERMINATE, at_once, block, query, request, several
from lab.judging.trace import Trace
from lab.promise import Promise, promise
from lab.records.census import Census
from lab.records.plan import Begin, End, Enter, Exit, Fork, Leave, Plan, Read, Step, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.records.words import count

HOW: tuple[Literal["os._exit", "normal", "close_all"], ...] = ("os._exit", "normal", "close_all")
CHILD = "c0.t0"


@promise
class ForkSafe(Promise):
    """At stake when a process forked, and its child made a request or ended.

    A session that ends although the child has said nothing on a socket of its parent's was ended by the server.
    Sessions are the parent's from before the fork: those that the server held at that time, and those that any of its
    statements ran on. That a child's statement fails is no harm done to the parent, nor is a
    session that the parent closes itself, in a thread of its pool: the parent's own socket is closed then, where after
    a child's Terminate it is still open.
    """

    id = "fork-safe"
    sentence = (
        "Neither a child's requests nor its end (os._exit, normal exit, close_all) use or end a session of its parent."
    )

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        fork = Fork("t0")
        for how in HOW:
            leave = Exit(CHILD, how)
            between = (*query("t0"), fork, *query(CHILD), *query("t0"), *block(CHILD), leave, *query("t0"))
            yield self.plan(variant, f"between requests, then {how}", *between)
            only = (*query("t0"), fork, leave, *query("t0"), *block("t0"))
            yield self.plan(variant, f"a child that only exits, {how}", *only)
            used = (Begin("t0"), Read("t0"), fork, Read(CHILD, swallow=True), Read("t0"), leave, Read("t0"), End("t0"))
            yield self.plan(variant, f"inside a request, then {how}", *used)
            only = (Begin("t0"), Read("t0"), fork, leave, Read("t0"), End("t0"))
            yield self.plan(variant, f"inside a request, only exits, {how}", *only)
            inside: tuple[Step, ...] = (Begin("t0"), Enter("t0"), Write("t0"), fork, Read(CHILD, swallow=True))
            inside += (Write("t0"), leave, Write("t0"), Leave("t0"), End("t0"))
            yield self.plan(variant, f"inside atomic(), then {how}", *inside)
            preload = (*query("t0"), fork, *query(CHILD), *block(CHILD), leave)
            yield self.plan(variant, f"preload, the master rests, {how}", *preload)
        begun = (Begin("t0"), Read("t0"), fork, *query(CHILD), Read("t0"), *block(CHILD), Read("t0"), End("t0"))
        yield self.plan(variant, "inside a request, the child begins its own", *begun)
        ended = (Begin("t0"), Read("t0"), fork, End(CHILD), Read("t0"), *query(CHILD), End("t0"))
        yield self.plan(variant, "inside a request, the child ends it", *ended)
        ended = (Begin("t0"), Enter("t0"), Write("t0"), fork, End(CHILD), Write("t0"), Leave("t0"), End("t0"))
        yield self.plan(variant, "inside atomic(), the child ends it", *ended)
        two = (*query("t0"), fork, Fork("t0", "c1"))
        served = (*query(CHILD), *query("c1.t0"), *query("t0"), *query(CHILD), *query("c1.t0"))
        yield self.plan(variant, "two children", *two, *served, Exit(CHILD, "normal"), *query("c1.t0"), *query("t0"))
        preload = (*two, *query(CHILD), *query("c1.t0"), Exit(CHILD, "normal"), Exit("c1.t0", "normal"), *query("t0"))
        yield self.plan(variant, "preload, two children", *preload)
        served = (*query(CHILD), Fork(CHILD, "c1"), *query("c1.t0"), *query(CHILD), *block("c1.t0"))
        ends = (Exit("c1.t0", "normal"), *query(CHILD), Exit(CHILD, "normal"), *query("t0"))
        yield self.plan(variant, "a child that forks", *query("t0"), fork, *served, *ends)
        replaced = (*query("t0"), TERMINATE, *query("t0"), fork, *query(CHILD), *query("t0"), *block(CHILD))
        after = (Exit(CHILD, "normal"), *query("t0"))
        yield self.plan(variant, "between requests, then normal", *replaced, *after, title="after a replacement")
        if several(variant, 3):
            idle = at_once("t0", "t1", "t2")
            child = request(CHILD, Read(CHILD)) * 4
            yield self.plan(variant, "several idle sessions", *idle, fork, *child, Exit(CHILD, "normal"), *idle)
        yield from self._on_another_alias(variant)
        yield from lifecycles.fork_safe(self, variant)

    def _on_another_alias(self, variant: Variant) -> Iterator[Plan]:
        """A handler that lets go of the default connection alone leaves the child those of all other aliases."""
        read, child = Read("t0", alias="kin"), Read(CHILD, alias="kin", swallow=True)
        both, leave, title = request("t0", Read("t0"), read), Exit(CHILD, "normal"), "another alias"
        between = (*both, Fork("t0"), *request(CHILD, child), *both, leave, *both)
        yield self.plan(variant, "between requests, then normal", *between, title=title)
        used = request("t0", Read("t0"), read, Fork("t0"), child, read, leave, read)
        yield self.plan(variant, "inside a request, then normal", *used, title=title)

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        forks = [call for call in trace.calls if call.f == "fork" and call.ending == "ok"]
        if not forks:
            return self.unknown("no process forked")
        if (shared := _shared(record, trace, forks)) is not None:
            return self.broken(f"{shared.process} used a session of another process", shared.step)
        if (ended := _ended(record, trace, forks)) is not None:
            return self.broken(ended[0], ended[1])
        acted = [call for call in trace.calls if call.process and (call.session or call.f in ("end", "exit"))]
        if not acted:
            return self.unknown("no child made a request or ended")
        return self.kept(f"{count(len(forks), 'fork')}, and each process kept to its own sessions")


def _shared(record: Record, trace: Trace, forks: list[Call]) -> Call | None:
    """The first statement on a session that another process has used, or that was there when the child came to be."""
    owners: dict[str, str] = {}
    inherited = {_child(fork): _there(record, trace, fork) for fork in forks}
    for call in sorted(trace.calls, key=lambda call: call.end):
        process = call.process
        if call.session and (
            owners.setdefault(call.session, process) != process or call.session in inherited.get(process, ())
        ):
            return call
    return None


def _ended(record: Record, trace: Trace, forks: list[Call]) -> tuple[str, int] | None:
    """What a child has ended: a session that its parent had left alone, or one under a statement that then failed."""
    if record.landings:
        return None
    for fork in forks:
        parent, child, there = fork.process, _child(fork), _there(record, trace, fork)
        later = [call for call in trace.calls if call.begin > fork.end]
        own = [call for call in later if call.process == parent]
        acts = [call for call in later if call.process == child]
        rests_until = min((call.begin for call in own), default=FOREVER)
        for census in record.census:
            of_child = census.actor.startswith(f"{child}.") and fork.end <= census.time < rests_until
            if not of_child or not (gone := there - {each.id for each in census.sessions}):
                continue
            number = len(gone) - _closed_by_parent(record, fork, census, len(gone))
            number -= _ending_at_fork(record, trace, fork)
            number = min(number, len(census.spoken.get(parent, gone)))
            if number > 0:
                return f"{number} of its parent's sessions ended with the {census.at} of {child}", census.step
        for call in own:
            if not call.failed or call.meant or not any(act.begin < call.end for act in acts):
                continue
            if not _explained(trace, call) and not _silent(record, parent, child, acts, call.begin):
                return f"after what {child} did, {call.f} of its parent failed", call.step
    return _moved(trace)


def _explained(trace: Trace, call: Call) -> bool:
    """Whether other threads had all the sessions that there are, or a block of the same thread was left open."""
    own = [each for each in trace.requests if call in each.calls]
    if _left_open(trace, call):
        return True
    return trace.crowded(call) or any(trace.crowded_out(each) for each in own if call in each.errors[:1])


def _left_open(trace: Trace, call: Call) -> bool:
    """Whether its request, or one before it since the last good one, began, ended or told of an end within a block.

    Django then closes the session and refuses what comes, whatever a child has done: recovers judges that.
    """
    before = [each for each in trace.requests if each.actor == call.actor and each.begin <= call.begin]
    for each in reversed(before):
        if each.calls[0].value.get("in_atomic") or each.told_inside or each.never_left:
            return True
        if not each.errors:
            return False
    return False


def _silent(record: Record, parent: str, child: str, acts: list[Call], until: int) -> bool:
    """Whether the child has said nothing on a socket of its parent's: then it is the server that has ended a session,
    as one that was idle for too long. A census after the child's last act says so.
    """
    last = max((act.end for act in acts if act.begin < until), default=-1)
    after = [
        each
        for each in record.census
        if each.actor.startswith(f"{child}.") and last <= each.time <= until and each.spoken
    ]
    return bool(after) and not after[-1].spoken.get(parent, (0,))


def _child(fork: Call) -> str:
    return str(fork.value.get("child"))


def _there(record: Record, trace: Trace, fork: Call) -> set[str]:
    """The parent's sessions that the server held when the process forked.

    A child may open one as soon as it exists. A session that nobody had seen before the fork is taken for such a one
    where the sessions that were known, and are still there afterwards, account for all the sockets of the parent.
    """
    at_fork = _at_fork(record, fork)
    there = {session.id for each in at_fork for session in each.sessions}
    before = {session.id for each in record.census if each.time < fork.begin for session in each.sessions}
    before |= {call.session for call in trace.calls if call.session and call.end <= fork.begin}
    had = [each.sockets[fork.process] for each in at_fork if fork.process in each.sockets]
    later = [each for each in record.census if at_fork and each.time > at_fork[0].time]
    stay = before & {session.id for each in later[:1] for session in each.sessions}
    return there & before if had and len(there & stay) >= len(had[0]) else there


def _at_fork(record: Record, fork: Call) -> list[Census]:
    return [each for each in record.census if each.at == "fork" and each.step == fork.step]


def _closed_by_parent(record: Record, fork: Call, census: Census, gone: int) -> int:
    """How many of the `gone` sessions the parent has closed itself, as a pool's own thread does.

    A process that closes a connection has its socket no more; after a child's Terminate the parent has it still.
    """
    parent = fork.process
    had = {inode for each in _at_fork(record, fork) for inode in each.sockets.get(parent, ())}
    if parent not in census.sockets:
        return 0  # a record that says nothing of sockets
    has = had & set(census.sockets[parent])
    return len(had - has) if has else gone


def _ending_at_fork(record: Record, trace: Trace, fork: Call) -> int:
    """How many sessions of the parent's were there at the fork, and their sockets not: it had closed them just then.

    Neither a socket that the parent has itself inherited is one of theirs, nor one on which the server has not begun a
    session yet: a thread of the parent's connects.
    """
    used = {call.session for call in trace.calls if call.process == fork.process and call.end <= fork.end}
    had = [each for each in _at_fork(record, fork) if fork.process in each.sockets]
    if not had:
        return 0
    known = {session.id for each in record.census if each.time <= had[0].time for session in each.sessions}
    known |= {call.session for call in trace.calls if call.session and call.end <= had[0].time}
    connecting = max(had[0].connects - len(known), 0)
    own = set(had[0].sockets[fork.process])
    for name in _ancestors(trace, fork.process):
        own -= set(had[0].sockets.get(name, ()))
    return max(len(used & _there(record, trace, fork)) - max(len(own) - connecting, 0), 0)


def _ancestors(trace: Trace, process: str) -> Iterator[str]:
    """The process that forked it, the one that forked that, and so on to the first."""
    forked = {_child(call): call.process for call in trace.calls if call.f == "fork" and call.ending == "ok"}
    while process in forked:
        process = forked[process]
        yield process


def _moved(trace: Trace) -> tuple[str, int] | None:
    """A request that forked and went on, without a word, on another session than it had on that alias."""
    for each in trace.requests:
        steps = {call.f for call in each.calls}
        if "fork" not in steps or "close" in steps:
            continue
        first: dict[str, str] = {}
        for call in (call for call in each.calls if call.session):
            if first.setdefault(call.alias, call.session) != call.session:
                return "a request that forked went on on another session", call.step
    return None
