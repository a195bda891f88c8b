"""What a variant keeps between requests is seen, not believed: one run without any fault, before anything is judged."""

from __future__ import annotations

import msgspec

from lab.judging.calls import Request
from lab.judging.plan_parts import at_once, count, query, request, several
from lab.judging.trace import Trace
from lab.records.plan import Autocommit, Close, Look, Plan, Read, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.rig.protocol import RigProtocol
from lab.run import run
from lab.subject.handle import Zygote

COMMAND = "t2"
"""The actor that never begins a request, as a management command or a worker does not."""

LONG = 48
"""Requests in a row: where the number of sessions still grows in their second half, it is taken to grow for ever."""


def probe(variant: Variant, rig: RigProtocol, zygote: Zygote) -> Traits:
    """The zygote's traits, with what was seen of the sessions that the variant keeps; as they were if nothing was.

    Three requests on one thread, two at once on two threads, a query on a third thread that begins no request; whether
    the ENGINE has made a pool, whose library states its size. Then pending work at the end of a request, and at a
    close() by hand.
    """
    both = at_once("t0", "t1") if several(variant) else ()
    steps = (*query("t0") * 3, *both, Read(COMMAND), *request("t0", Look("t0")))
    plan = Plan(variant=variant, steps=steps, title="probe", source="probe")
    record = run(plan, rig, zygote, liveness=False)
    if record.void or any(op.chain for op in record.ops):
        return zygote.traits
    requests = [each for each in Trace(record).requests if each.sessions and each.lifecycle == "request"]
    idle = max((len(census.sessions) for census in record.census if census.at == "end"), default=0)
    again = _used_again(requests)
    levels = 0
    if idle > 1 and zygote.traits.own_close:
        long = run(msgspec.structs.replace(plan, steps=query("t0") * LONG), rig, zygote, liveness=False)
        levels = _levels_off(long)
        again = again or bool(levels)
    pending = (Autocommit("t0"), Write("t0"))
    closing = (*request("t0", *pending), *request("t0", *pending, Close("t0")))
    closed = run(msgspec.structs.replace(plan, steps=closing), rig, zygote, liveness=False)
    return msgspec.structs.replace(
        zygote.traits,
        pool_max=zygote.traits.pool_max or max(op.value.get("pool_max", 0) for op in record.ops),
        kept=idle if again else 0,
        levels_off=levels,
        kept_outside=_kept_outside(record),
        keeping=_in_words(record, requests, again, levels),
        commits=None if closed.void else bool(closed.rows),
    )


def _levels_off(record: Record) -> int:
    """The largest number of sessions that were open while LONG requests came one after another.

    0 where it still grew in their second half, where there was a session for each, and where it was 1: no pool's.
    """
    open_ = [len(census.sessions) for census in record.census if census.at == "end"]
    if record.void or len(open_) < LONG:
        return 0
    first, second = open_[: LONG // 2], open_[LONG // 2 :]
    return max(first) if max(second) <= max(first) and 1 < max(first) < LONG // 2 else 0


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


def _in_words(record: Record, requests: list[Request], again: bool, levels: int) -> str:
    outside = "; a thread that begins no request keeps its session" if _kept_outside(record) and not again else ""
    if not again:
        return f"no session is kept across requests{outside}"
    own = {actor: {s for each in requests if each.actor == actor for s in each.sessions} for actor in ("t0", "t1")}
    if not own["t1"]:
        return f"{count(len(own['t0']), 'session')} kept across requests"
    if own["t0"] & own["t1"]:
        return "sessions are shared by threads and kept across requests"
    if levels:
        return f"up to {count(levels, 'session')} kept across requests, one at a time"
    return "one session per thread, kept across requests" if len(own["t0"]) == 1 else "sessions kept across requests"
