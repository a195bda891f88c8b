"""Parts that directed plans are put together from, and questions that several promises ask of a variant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from lab.judging.trace import Trace
from lab.promise import Promise
from lab.records.plan import (
    TEST_DATABASE,
    Autocommit,
    Begin,
    End,
    Enter,
    FaultSpec,
    Finish,
    Heal,
    Inject,
    Leave,
    Look,
    Plan,
    Read,
    Sql,
    Step,
    Use,
    Write,
)
from lab.records.record import Record
from lab.records.variant import Traits, Variant


def inject(kind: str, **params: Any) -> Inject:
    """The nemesis applies a fault."""
    return Inject(FaultSpec(kind, params))


FIN = inject("sever-fin")
RST = inject("sever-rst")
TERMINATE = inject("terminate")
ROTATE = inject("rotate-password")
LOSE_ANSWER = inject("limit-data", limit_bytes=0, stream="downstream")
"""The server's next answer is lost and the connection ends, after the server has done what it was asked."""

STREAM = "a stream left early"
"""The moment of `stream-left`: psycopg cancels the statement without telling, and the server aborts its block."""
LATE = "CREATE TEMP TABLE lab_late (n integer UNIQUE DEFERRABLE INITIALLY DEFERRED)"
TWICE = "INSERT INTO lab_late VALUES (1), (1)"
"""An INSERT that violates a deferred constraint, which the server checks at COMMIT."""

WHILE_LOCKED = (
    "SELECT 1 / (1 - least(count(*), 1)) FROM pg_locks JOIN pg_stat_activity USING (pid) "
    "WHERE locktype = 'advisory' AND application_name = current_setting('application_name')"
)
"""A project's set-up of new sessions that fails as long as another session of the run holds an advisory lock."""

TOLD_INSIDE: dict[str, tuple[Step, ...]] = {
    "told of an end": (Finish("t0"),),
    "told of an end twice": (Finish("t0"), Finish("t0")),
}
"""What Django is told within a block by tasks that the block calls or hands on: close_old_connections() is the same."""

PREPARED_AFTER = 8
"""Executions after which psycopg 3 prepares a statement, in plans that repeat one twelve times. An ENGINE's are fewer.

psycopg overlooks a DISCARD ALL that it has run before, and would go on using statements that no longer exist
(findings/a-discard-all-seen-before-goes-unnoticed.sh).
"""

DELAY_MS = 700
"""Longer than a step waits before it counts as waiting in the client, and than a signal takes."""

SEVER: dict[str, Inject] = {"terminated": TERMINATE, "FIN": FIN, "RST": RST}


def only(alias: str, fault: Inject) -> Inject:
    """A fault for one alias."""
    return msgspec.structs.replace(fault, alias=alias)


def request(actor: str, *steps: Step) -> tuple[Step, ...]:
    """One request around `steps`."""
    return (Begin(actor), *steps, End(actor))


def query(actor: str) -> tuple[Step, ...]:
    """A request of one query."""
    return request(actor, Read(actor))


def block(actor: str) -> tuple[Step, ...]:
    """A request that begins with atomic()."""
    return request(actor, Enter(actor), Write(actor), Leave(actor))


def after_heal(actor: str) -> tuple[Step, ...]:
    """What must succeed again: a request that begins with a query, and one that begins with atomic()."""
    return (*query(actor), *block(actor))


def looked_at(variant: Variant, traits: Traits) -> tuple[Step, ...]:
    """A look at every session that may be kept."""
    actors = ("t0", "t1") if several(variant) else ("t0",)
    return tuple(step for actor in actors for step in in_turn(traits, *request(actor, Look(actor))))


def in_turn(traits: Traits, *steps: Step) -> tuple[Step, ...]:
    """The steps of a request, once for each session that may be kept: a pool may hand out its oldest session first."""
    return steps * max(traits.pool_max, traits.level(1))


def interrupted_while_connecting(actor: str, **params: Any) -> tuple[Step, ...]:
    """A request whose first connect takes so long that a signal's handler raises in it; then all is well."""
    slow = inject("delay", moment="auth+0", delay_ms=DELAY_MS)
    return (slow, Begin(actor), Read(actor), inject("interrupt", **params), Heal(), End(actor))


def interrupted_at_checkout(actor: str, **params: Any) -> tuple[Step, ...]:
    """A request of which the first exchange, on a session that waited, takes so long that a handler raises in it."""
    slow = inject("delay", moment="command-complete+0", delay_ms=DELAY_MS)
    return (*query(actor), slow, Begin(actor), Read(actor), inject("interrupt", **params), Heal(), End(actor))


def interrupted_at_return(actor: str, *steps: Step, **params: Any) -> tuple[Step, ...]:
    """A request at whose end the answer to whatever tidies its session up is late, and a handler raises meanwhile.

    Where nothing is sent at the end, no signal lands.
    """
    slow = inject("delay", moment="command-complete+0", delay_ms=DELAY_MS)
    return (Begin(actor), *steps, slow, End(actor), inject("interrupt", **params), Heal(), *request(actor))


def interrupted_at_close(actor: str) -> tuple[Step, ...]:
    """A request whose end commits what is pending, and a handler raises in that."""
    return (*request(actor, Autocommit(actor), Write(actor, hold="commit")), inject("interrupt"))


def test_runs(promise: Promise, variant: Variant, moment: str) -> Iterator[Plan]:
    """What a command does that runs tests: the real database, then a test database in its place, then the real one."""
    look = (Look("t0"), Enter("t0"), Look("t0"), Leave("t0"))
    made, copied, kept, gone = (Use("t0", how) for how in TEST_DATABASE)
    command = {"title": "copied and destroyed", "lifecycles": {"t0": "command"}}
    yield promise.plan(variant, moment, *look, made, *look, copied, *look, gone, *look, **command)
    command["title"] = "kept, then used again"
    yield promise.plan(variant, moment, *look, made, *look, kept, *look, made, *look, gone, *look, **command)
    served = request("t0", *look)  # as a test's client sends one
    yield promise.plan(variant, moment, *served, made, *served, copied, *served, gone, *served, title="with requests")


def unprepared(holder: str, *steps: Step) -> tuple[Step, ...]:
    """Steps of others while no new session can be set up: the set-up is WHILE_LOCKED, and `holder` has the lock."""
    lock = (Begin(holder), Sql(holder, "SELECT pg_advisory_lock(4712)"))
    return (*lock, *steps, Sql(holder, "SELECT pg_advisory_unlock(4712)"), End(holder))


def at_once(*actors: str) -> tuple[Step, ...]:
    """Requests in flight together, one query each: as many sessions as there are actors."""
    return (*in_flight(*actors), *(End(actor) for actor in actors))


def in_flight(*actors: str) -> tuple[Step, ...]:
    """Requests that have begun together and asked once each, and have not ended."""
    return (*(Begin(actor) for actor in actors), *(Read(actor) for actor in actors))


def keeps(variant: Variant, traits: Traits) -> bool:
    """Whether sessions are kept between requests: the row or the settings say so, else whether it was seen.

    Where nobody has looked, a pool, and an ENGINE that closes by itself, is taken to keep some.
    """
    if variant.keeps is not None:
        return variant.keeps
    if traits.conn_max_age != 0:
        return True
    return traits.own_close or traits.pool_max > 0 if traits.kept is None else traits.kept > 0


def pools(traits: Traits) -> bool:
    """Whether the settings ask for Django's pool: then sessions are meant to be kept, whatever was seen."""
    return bool((traits.settings.get("OPTIONS") or {}).get("pool"))


def commits_at_close(variant: Variant, traits: Traits) -> bool:
    """Whether close() means to commit what is pending: it is claimed, or was seen to.

    Where nobody has looked, an ENGINE that closes by itself is taken to mean it.
    """
    if variant.claims is not None:
        return variant.claimed("commits-on-close")
    return traits.own_close if traits.commits is None else traits.commits


def kept_nothing(record: Record) -> str:
    """Why a run shows that an ENGINE with a close of its own keeps nothing, where no row or setting says; "" else."""
    variant, traits = record.plan.variant, record.traits
    if variant.keeps is not None or traits.conn_max_age != 0 or not traits.own_close:
        return ""
    if (traits.pool_max or traits.levels) and traits.kept != 0:  # a pool may hand out its sessions in turn
        return ""
    used = [session for request in Trace(record).requests for session in request.sessions]
    return NOTHING_SEEN_KEPT if len(used) > 1 and len(set(used)) == len(used) else ""


def repeating(variant: Variant) -> Variant:
    """The variant, of which the driver prepares what is repeated.

    Django switches that off in psycopg 3, whose cursors that bind on the client, Django's default, never prepare.
    """
    if variant.driver != "psycopg":
        return variant
    options = {**variant.options, "prepare_threshold": PREPARED_AFTER, "server_side_binding": True}
    return msgspec.structs.replace(variant, options=options)


def on(alias: str, *steps: Step) -> tuple[Step, ...]:
    """The same steps on another alias."""
    return tuple(msgspec.structs.replace(step, alias=alias) if hasattr(step, "alias") else step for step in steps)


def autocommit_off(variant: Variant) -> Variant:
    """The variant with AUTOCOMMIT=False in its settings."""
    return msgspec.structs.replace(variant, settings={**variant.settings, "AUTOCOMMIT": False})


def several(variant: Variant, number: int = 2) -> bool:
    """Whether the variant is made for that many requests at once."""
    return variant.threads is None or variant.threads >= number


NOTHING_SEEN_KEPT = "no request was seen to get a session that an earlier one had used"
NOTHING_KEPT = "nothing is kept between requests"
