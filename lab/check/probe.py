"""What a variant keeps between requests is seen, not believed: runs without any fault, before anything is judged."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import accumulate, zip_longest
from typing import NamedTuple

import msgspec

from lab.judging.calls import Request
from lab.judging.plan_parts import at_once, in_flight, query, request, several
from lab.judging.trace import Trace
from lab.records.history import HUNG
from lab.records.lifecycle import Lifecycle
from lab.records.plan import Autocommit, Close, Commit, Elapse, End, Look, Plan, Read, Sql, Step, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.words import count
from lab.rig.protocol import RigProtocol
from lab.run import run
from lab.subject.handle import Zygote

COMMAND = "t2"
"""The actor that never begins a request, as a management command or a worker does not."""

AT_ONCE = ("t0", "t1", "t2", "t3")
"""The actors of the rounds; Traits.level() extrapolates to more."""
CROWD = (*AT_ONCE, "t4")
"""Five actors, of whom one must wait where an ENGINE has a queue of its own and fewer than five sessions."""
ROUNDS = {1: 24, 2: 12, 3: 12, 4: 12}
"""Rounds in each half of a run, by the number of requests at once."""
SLACK = 1
"""Extra sessions that are allowed, because a pool's own thread may open one late."""
TRIES = 3
"""Times at most that a look is taken: what it misses, on a busy machine, every later verdict would miss."""
BOUND = 4.0
"""Seconds for each step of the first look, as for a rehearsal: plans wait for it."""
UNCOUNTED = "how many sessions are kept is not known: the machine was held up at each look"
TICK = 1.0
"""Seconds of rest in each half, in which a thread of the ENGINE's may open and close sessions."""
SHORT, LONG = 40, 10
"""Requests of one statement, then of several, in the look at how long a session lasts: one may count either."""
LATER = (1.5, 9.0)
"""Seconds by which the clocks are then put forward, one after the other: more than what a plan takes."""


class _AllVoid(Exception):
    """Each run of a look was void."""


def probe(variant: Variant, rig: RigProtocol, zygote: Zygote) -> Traits:
    """The zygote's traits, with what was seen of the sessions that the variant keeps; as they were if nothing was.

    Three requests on one thread, two at once on two threads, a query on a third thread that begins no request; whether
    the ENGINE has made a pool, whose library states its size. Where none does, how many sessions it has for so many
    requests at once, and for how many before another one waits. Then pending work at the end of a request, and at a
    close() by hand.

    A look that is void is taken again; where all were, the traits say that nothing was counted.
    Nothing is seen of a variant whose requests fail, or wait for what does not come: that is for the promises to judge.
    """
    both = at_once("t0", "t1") if several(variant) else ()
    steps = (*query("t0") * 3, *both, Read(COMMAND), *request("t0", Look("t0")))
    plan = Plan(variant=variant, steps=steps, title="probe", source="probe")
    first = msgspec.structs.replace(plan, bound=BOUND)
    for _ in range(TRIES):
        record = run(first, rig, zygote, liveness=False, counted=True)
        if not record.void and not any(op.chain for op in record.ops):
            break
        if not record.void and any(op.chain[:1] == (HUNG,) for op in record.ops):
            return zygote.traits  # no busy machine makes a step wait so long while the lab itself is not held up
    else:
        if record.void:
            return msgspec.structs.replace(zygote.traits, uncounted=True, keeping=UNCOUNTED)
        return zygote.traits
    requests = [each for each in Trace(record).requests if each.sessions and each.lifecycle == "request"]
    idle = max((len(census.sessions) for census in record.census if census.at == "end"), default=0)
    again = _used_again(requests)
    pool_max = zygote.traits.pool_max or max(op.value.get("pool_max", 0) for op in record.ops)
    levels: tuple[int, ...] = ()
    uncounted = False
    owns = bool(zygote.traits.overrides) and not pool_max
    if pool_max and not again:  # it may hand out one after the other
        turns = _taken(msgspec.structs.replace(plan, steps=query("t0") * (pool_max + 1)), rig, zygote)
        again = _used_again([each for each in Trace(turns).requests if each.sessions])
    rests = any(op.value.get("threads") for op in record.ops)
    beyond = idle > 1 or rests or opened_beside(record) or not zygote.traits.autocommit
    if beyond and owns:
        try:
            levels, waiting = _levels(plan, rig, zygote, rests=rests, spares=beside(record))
            again = again or (idle > 1 and waiting)
        except _AllVoid:
            uncounted = True
    seen = _lifetime(plan, rig, zygote, rests=rests) if again else Lifetime()
    pending = (Autocommit("t0"), Write("t0"))
    closing = (*request("t0", *pending), *request("t0", *pending, Close("t0")))
    closed = _taken(msgspec.structs.replace(plan, steps=closing), rig, zygote)
    return msgspec.structs.replace(
        zygote.traits,
        pool_max=pool_max,
        kept=idle if again else None if uncounted else 0,
        levels=levels,
        queue_limit=_queue_limit(plan, rig, zygote) if owns and several(variant, len(CROWD)) else 0,
        uncounted=uncounted,
        kept_outside=_kept_outside(record),
        serves=seen.serves,
        lasts=seen.lasts,
        keeping=UNCOUNTED if uncounted else _in_words(record, requests, again, levels) + seen.ends,
        commits=None if closed.void else bool(closed.rows),
    )


class Lifetime(NamedTuple):
    """Traits.serves and Traits.lasts, and in words when sessions end of themselves: "" where none was seen to."""

    serves: int | None = None
    lasts: float | None = None
    ends: str = ""


def _lifetime(plan: Plan, rig: RigProtocol, zygote: Zygote, *, rests: bool) -> Lifetime:
    """How long sessions last, as a row of requests shows it, and whether an idle one survives while time passes.

    What Django itself keeps ends by its settings alone. `rests`: the ENGINE has a thread of its own, which needs time
    to look at the idle sessions.
    """
    if not zygote.traits.overrides:
        return Lifetime(lasts=zygote.traits.conn_max_age or None)
    # On another alias, so that it takes none of the idle sessions.
    rest = (
        request("t1", Sql("t1", f"SELECT pg_sleep({TICK:g})", alias="twin")) if rests and several(plan.variant) else ()
    )
    steps = (*query("t0") * SHORT, *request("t0", *(Read("t0"),) * 5) * LONG)
    for seconds in LATER:
        steps += (*query("t0"), Elapse(seconds), *rest, *query("t0") * 2)
    if not zygote.traits.autocommit:
        steps = tuple(each for step in steps for each in _committed(step))
    return lifetime(_taken(msgspec.structs.replace(plan, steps=steps), rig, zygote))


def lifetime(record: Record) -> Lifetime:
    """How many requests and how many seconds t0's sessions survived in this run.

    `serves` is 0 where sessions ended after different numbers; both are None where the run says nothing.
    """
    if record.void or any(op.chain for op in record.ops):
        return Lifetime()
    requests = [each for each in Trace(record).requests if each.actor == "t0" and each.sessions]
    elapsed = [event.time for event in record.events if event.f == "elapse"]
    if len(elapsed) < len(LATER):
        return Lifetime()
    row = [each for each in requests if each.end < elapsed[0]]
    served = Counter(session for each in row for session in each.sessions)
    ended = [number for session, number in served.items() if _gone(record, session, row[-1])]
    most = max(served.values())
    regular = not ended or most == min(ended)
    serves = most - bool(ended) if regular else 0
    lasts = 0.0  # counts what the clocks were put forward, not real seconds: each look at the same ENGINE then agrees
    for time, seconds in zip(elapsed, LATER, strict=True):
        before = next(each for each in reversed(requests) if each.end < time)
        second = [each for each in requests if each.begin > time][1]
        lost = [session for session in before.sessions if _gone(record, session, second)]
        # One that had served so many requests is not lost to time.
        if any(not ended or sum(session in each.sessions for each in requests) <= serves for session in lost):
            break
        lasts += seconds
    else:
        return Lifetime(serves, lasts, _counted_in_words(serves, len(ended)) if ended else "")
    return Lifetime(serves, lasts, ", which end after some seconds")


def _counted_in_words(serves: int, ended: int) -> str:
    if not serves:
        return ", which end after no fixed number of requests"
    return f", {'each for' if ended > 1 else 'one of which ended after'} {count(serves + 1, 'request')}"


def _gone(record: Record, session: str, request: Request) -> bool:
    """Whether the server had it no more when the request had ended."""
    census = next(each for each in record.census if each.at == "end" and each.step == request.calls[-1].step)
    return session not in {each.id for each in census.sessions}


def _taken(plan: Plan, rig: RigProtocol, zygote: Zygote) -> Record:
    """The first run of it that is not void, of so many; else the last one."""
    for _ in range(TRIES):
        record = run(plan, rig, zygote, liveness=False)
        if not record.void:
            break
    return record


def _counted(plan: Plan, rig: RigProtocol, zygote: Zygote) -> Record:
    record = _taken(plan, rig, zygote)
    if record.void:
        raise _AllVoid(record.void)
    return record


def opened_beside(record: Record) -> bool:
    """Whether the process made more connections than its actors had sessions, be they open by now or not.

    A session that is made ready for a later request may be seen at no request's end, where the machine is busy.
    """
    used = {op.value["session"] for op in record.ops if op.value.get("session")}
    return max((census.connects for census in record.census), default=0) > len(used)


def beside(record: Record) -> bool:
    """Whether there ever were more sessions than actors that had asked for one."""
    asked = [(op.time, op.actor) for op in record.ops if op.f == "read"]
    ends = [census for census in record.census if census.at == "end"]
    return any(len(end.sessions) > len({actor for time, actor in asked if time <= end.time}) for end in ends)


def _levels(plan: Plan, rig: RigProtocol, zygote: Zygote, *, rests: bool, spares: bool) -> tuple[tuple[int, ...], bool]:
    """How many sessions were open while units of work came in rounds, of one, of two at once, and so on; whether there
    were more between requests than requests.

    Once as requests, and once as commands, which Django tells of no end: so a session that waits beside those in use is
    seen, where no request gets one that was used before. Where requests of one at a time made the number grow to the
    end, commands are not looked at. Empty where there were never more sessions than units at once. `rests`: the ENGINE
    has a thread of its own, which needs time to do its work; `spares`: some were seen beside those in use. Where
    neither is so, and one is enough for one unit, no more is looked at. Raises _AllVoid where a look is void each time.
    """
    most = max(number for number in ROUNDS if number == 1 or several(plan.variant, number))

    def look(number: int, lifecycle: Lifecycle = "request") -> int:
        actors = AT_ONCE[:number]
        steps = _rounds(actors, rests=rests)
        if not zygote.traits.autocommit:  # a session on which work is pending may be no one's to keep
            steps = tuple(each for step in steps for each in _committed(step))
        own = msgspec.structs.replace(plan, steps=steps, lifecycles=dict.fromkeys(actors, lifecycle))
        seen = level(_counted(own, rig, zygote), number)
        return seen + SLACK if rests and seen > number else seen

    with ThreadPoolExecutor(len(AT_ONCE)) as threads:
        alone = threads.submit(look, 1, "command")
        found = [look(1)]  # one at a time: an ENGINE that keeps growing here would fill the server with more at once
        held = [alone.result() if found[0] else 0]
        ways: dict[Lifecycle, list[int]] = {}
        if held[0] > 1:
            ways["command"] = held
        if found[0] > 1 or (found[0] and not ways and (rests or spares)):
            ways["request"] = found
        if most > 1 and ways:
            once = _counted(msgspec.structs.replace(plan, steps=at_once(*AT_ONCE[:most])), rig, zygote)
            for lifecycle in ways:
                ways[lifecycle] += threads.map(partial(look, lifecycle=lifecycle), range(2, _served_at_once(once) + 1))
    open_ = [max(each) for each in zip_longest(found, held, fillvalue=0)]
    levels = tuple(accumulate((max(each, number) for number, each in enumerate(open_, 1)), max))
    return levels if levels != tuple(range(1, len(levels) + 1)) else (), found[0] > 1


def _served_at_once(record: Record) -> int:
    """How many requests had an answer before the first one ended: others were refused, or had to wait for it."""
    ended = min((op.time for op in record.ops if op.f == "end"), default=0)
    return sum(op.f == "read" and op.type == "ok" and op.time < ended for op in record.ops)


def _queue_limit(plan: Plan, rig: RigProtocol, zygote: Zygote) -> int:
    """How many requests at once have a session each while a further one waits; 0 where none was seen to wait."""
    seen = _taken(msgspec.structs.replace(plan, steps=at_once(*CROWD)), rig, zygote)
    waits = any(event.f == "blocked" and event.where == "client" for event in seen.events)
    served = _served_at_once(seen)
    return served if waits and served < len(CROWD) and not seen.void else 0


def _rounds(actors: tuple[str, ...], *, rests: bool) -> tuple[Step, ...]:
    """Two halves of rounds."""
    a_round = at_once(*actors)
    first: tuple[Step, ...] = a_round
    if rests:
        sleep = Sql(actors[0], f"SELECT pg_sleep({TICK:g})")
        first = (*in_flight(*actors), sleep, *(End(actor) for actor in actors))
    return (*first, *a_round * (ROUNDS[len(actors)] - 1)) * 2


def _committed(step: Step) -> tuple[Step, ...]:
    return (Commit(step.actor), step) if isinstance(step, End) else (step,)


def level(record: Record, number: int) -> int:
    """The largest number of sessions that were open in rounds of so many requests at once.

    0 where it grew in their second half, where there was a session for each request, and where any step failed.
    """
    open_ = [len(census.sessions) for census in record.census if census.at == "end"]
    half = ROUNDS[number] * number
    if record.void or any(op.chain for op in record.ops) or len(open_) < 2 * half:
        return 0
    return max(open_) if max(open_[half:]) <= max(open_[:half]) + SLACK and max(open_) < half else 0


def _used_again(requests: list[Request]) -> bool:
    """Whether a request ran on a session that an earlier one had used."""
    known: set[str] = set()
    for each in requests:
        if known & set(each.sessions):
            return True
        known |= set(each.sessions)
    return False


def _kept_outside(record: Record) -> bool:
    """Whether the session of the thread that begins no request is still there at the end."""
    own = {op.value.get("session") for op in record.ops if op.actor == COMMAND}
    return any(census.at == "final" and own & {each.id for each in census.sessions} for census in record.census)


def _in_words(record: Record, requests: list[Request], again: bool, levels: tuple[int, ...]) -> str:
    outside = "; a thread that begins no request keeps its session" if _kept_outside(record) and not again else ""
    more = f", and up to {levels[-1]} for {len(levels)} at once" if len(levels) > 1 else ""
    if not again:
        spare = f"; up to {count(levels[0], 'session')} open for one request at a time{more}" if levels else ""
        return f"no session is kept across requests{spare or outside}"
    own = {actor: {s for each in requests if each.actor == actor for s in each.sessions} for actor in ("t0", "t1")}
    if levels:
        return f"up to {count(levels[0], 'session')} kept for one request at a time{more}"
    if not own["t1"]:
        return f"{count(len(own['t0']), 'session')} kept across requests"
    if own["t0"] & own["t1"]:
        return "sessions are shared by threads and kept across requests"
    return "one session per thread, kept across requests" if len(own["t0"]) == 1 else "sessions kept across requests"
