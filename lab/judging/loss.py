"""Directed plans under loss, for the promises that it puts at stake, in the three situations that differ.

The client sends into the loss (its kernel retransmits), waits for an answer (nothing is unacknowledged: only
keepalives would notice), or is idle. Rigs that cannot lose packets do not run them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from lab.judging.plan_parts import TERMINATE, block, inject, keeps, query, request
from lab.promise import Promise
from lab.records.landing import Landing
from lab.records.plan import Autocommit, Commit, Enter, FaultSpec, Heal, Inject, Leave, Plan, Read, Sql, Step, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.timing import CLIENT_NOTICES, SERVER_NOTICES

BLACKOUT = inject("blackout")
TO_SERVER = inject("drop-to-server")
TO_CLIENT = inject("drop-to-client")

SILENT = ("blackout", "drop-to-server", "drop-to-client", "drop-connection", "link-down")
"""Faults during which no answer arrives at the client."""

TIMERS: dict[str, Any] = {
    "connect_timeout": 3,
    "keepalives": 1,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 4000,
}
"""Parameters of libpq, laid on a variant's OPTIONS where a plan asks how a loss is reported. Without them neither the
driver nor the kernel notices a loss before the plan's deadline."""

SERVER_TIMERS = (
    "-c tcp_keepalives_idle=1 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=1 -c tcp_user_timeout=2000"
)
"""The same timers of the server, as a session may set them: its only way to notice a client that vanished."""


def bounded_wait(promise: Promise, variant: Variant, traits: Traits) -> Iterator[Plan]:
    """Calls that begin or wait during a loss that the plan does not heal."""
    yield promise.plan(variant, "connect, loss", BLACKOUT, *query("t0"))
    sends = request("t0", Read("t0"), BLACKOUT, Read("t0"))
    yield promise.plan(variant, "query, loss", *sends, title="sends into a blackout")
    sends = request("t0", Read("t0"), TO_SERVER, Read("t0"))
    yield promise.plan(variant, "query, loss", *sends, title="the question is lost")
    waits = request("t0", Read("t0", hold=True), BLACKOUT)
    yield promise.plan(variant, "waiting, loss", *waits, title="for an answer in a blackout")
    lost = request("t0", Enter("t0"), Write("t0"), TO_CLIENT, Leave("t0"))
    yield promise.plan(variant, "COMMIT, loss", *lost, title="its answer is lost")
    if keeps(variant, traits):
        yield promise.plan(variant, "checkout, loss", *query("t0"), BLACKOUT, *query("t0"), title="idle in a blackout")


def recovers(promise: Promise, variant: Variant) -> Iterator[Plan]:
    """A loss that is healed while the request still waits, and one in which the server's end has died meanwhile."""
    after = (*query("t0"), *block("t0"))
    for name, loss in (("blackout", BLACKOUT), ("question lost", TO_SERVER), ("answer lost", TO_CLIENT)):
        sends = request("t0", Read("t0"), loss, Read("t0"), Heal())
        yield promise.plan(variant, "sends into a loss", *sends, *after, title=name)
    commit = request("t0", Enter("t0"), Write("t0"), TO_CLIENT, Leave("t0"), Heal())
    yield promise.plan(variant, "at COMMIT, answer lost", *commit, *after, title="lost for good")
    waits = request("t0", Read("t0", hold=True), BLACKOUT, Heal())
    yield promise.plan(variant, "waits in a loss", *waits, *after)
    idle = request("t0", Read("t0"), BLACKOUT, TERMINATE, Heal(), Read("t0"))
    yield promise.plan(variant, "idle in a loss", *idle, *after, title="session ends unheard")
    abort = request("t0", Read("t0"), inject("abort"), Read("t0"))
    yield promise.plan(variant, "idle in request", *abort, *after, title="socket aborted")


def durable(promise: Promise, variant: Variant) -> Iterator[Plan]:
    """What was acknowledged before, or in spite of, a loss."""
    atomic = (Enter("t0"), Write("t0"), Write("t0"), Leave("t0"))
    for name, steps in (("autocommit", (Write("t0"),)), ("atomic", atomic)):
        idle = request("t0", *steps, BLACKOUT, TERMINATE, Heal())
        yield promise.plan(variant, f"{name}, then loss", *idle, *query("t0"), title="idle, session ends unheard")
        sends = request("t0", *steps, BLACKOUT, Write("t0", swallow=True), Heal())
        yield promise.plan(variant, f"{name}, then loss", *sends, *query("t0"), title="sends into a blackout")
        waits = request("t0", *steps, TO_CLIENT, Write("t0", swallow=True), Heal())
        yield promise.plan(variant, f"{name}, then loss", *waits, *query("t0"), title="an answer is lost")


def honest_error(promise: Promise, variant: Variant, traits: Traits) -> Iterator[Plan]:
    """What is said of a loss, at each moment, by a variant whose kernel notices it."""
    timed = with_timers(variant)
    after = (*query("t0"), *block("t0"))
    atomic = (Enter("t0"), Write("t0"), Write("t0"))
    for name, loss in (("never arrives", TO_SERVER), ("its answer is lost", TO_CLIENT)):
        commit = request("t0", *atomic, loss, Leave("t0"))
        yield promise.plan(timed, "at COMMIT, loss", *commit, Heal(), *after, title=name)
    manual = request("t0", Autocommit("t0"), Write("t0"), TO_CLIENT, Commit("t0"))
    yield promise.plan(timed, "at COMMIT, loss", *manual, Heal(), *after, title="commit(), its answer is lost")
    sends = request("t0", Read("t0"), BLACKOUT, Write("t0"))
    yield promise.plan(timed, "sends into a loss", *sends, Heal(), *after)
    waits = request("t0", Read("t0"), Read("t0", hold=True), BLACKOUT)
    yield promise.plan(timed, "waits in a loss", *waits, Heal(), *after)
    idle = request("t0", Read("t0"), *_idle("blackout"), Read("t0"))
    yield promise.plan(timed, "idle in a loss", *idle, Heal(), *after)
    yield promise.plan(timed, "connecting, loss", BLACKOUT, *query("t0"), Heal(), *after)
    if keeps(variant, traits):
        yield promise.plan(timed, "next request, loss", *query("t0"), BLACKOUT, *query("t0"), Heal(), *after)
    abort = inject("abort")
    yield promise.plan(variant, "socket aborted", *request("t0", Read("t0"), abort, Read("t0")), *after)
    commit = request("t0", *atomic, abort, Leave("t0"))
    yield promise.plan(variant, "socket aborted", *commit, *after, title="at COMMIT")


def bounded_sessions(promise: Promise, variant: Variant, traits: Traits) -> Iterator[Plan]:
    """Half-open sessions: client and server lose each other, and each has only timers of its own to notice."""
    timed = with_timers(variant, server=True)
    good = query("t0") * (traits.pool_max + 2)
    both = inject("blackout", leg="both")
    sends = request("t0", Read("t0"), both, Read("t0"))
    yield promise.plan(timed, "half open, client sends", *sends, Heal(), *good)
    inside = request("t0", Enter("t0"), Write("t0"), both, Write("t0"))
    yield promise.plan(timed, "half open, client sends", *inside, Heal(), *good, title="in atomic()")
    waits = request("t0", Read("t0"), Read("t0", hold=True), both)
    yield promise.plan(timed, "half open, client waits", *waits, Heal(), *good)
    idle = request("t0", Read("t0"), *_idle("blackout", leg="both"), Read("t0"))
    yield promise.plan(timed, "half open, client idle", *idle, Heal(), *good)
    if keeps(variant, traits):
        between = (*query("t0"), *_idle("blackout", leg="both"), *query("t0"))
        yield promise.plan(timed, "half open, client idle", *between, Heal(), *good, title="between requests")


def with_timers(variant: Variant, *, server: bool = False) -> Variant:
    """The variant with timers that notice a loss within five seconds; `server`: its sessions have some as well."""
    options = {**variant.options, **TIMERS}
    if server:
        options["options"] = f"{variant.options.get('options') or ''} {SERVER_TIMERS}".strip()
    return msgspec.structs.replace(variant, options=options)


def seen_by_the_server(record: Record) -> set[str]:
    """The sessions that a loss left half open for so long that the server's own timers, which they had, ended them."""
    if SERVER_TIMERS not in str(record.plan.variant.options.get("options", "")):
        return set()
    return {session for landing in record.landed if _half_open(record, landing) for session in landing.struck}


def _half_open(record: Record, landing: Landing) -> bool:
    step = record.plan.steps[landing.step]
    params = step.fault.params if isinstance(step, Inject) else {}
    return params.get("leg") in ("both", "server") and landing.healed - landing.time > SERVER_NOTICES * 1e9


def _idle(kind: str, **params: Any) -> tuple[Step, ...]:
    """The loss concerns one alias; a query of the other one, which takes its time, lets the timers of the first run."""
    lost = Inject(FaultSpec(kind, params), alias="default")
    # The Read tells judges that the other alias has a session of its own; what a Sql runs on is not known.
    return lost, Read("t0", alias="twin"), Sql("t0", f"SELECT pg_sleep({CLIENT_NOTICES})", alias="twin")
