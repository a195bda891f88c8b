"""Directed plans under loss, for the promises that it puts at stake, in the three situations that differ.

The client sends into the loss (its kernel retransmits), waits for an answer (nothing is unacknowledged: only
keepalives would notice), or is idle. Rigs that cannot lose packets do not run them.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.promise import Promise
from lab.promises.phrase import TERMINATE, block, inject, keeps, query, request
from lab.records.plan import Enter, Heal, Leave, Plan, Read, Write
from lab.records.variant import Traits, Variant

BLACKOUT = inject("blackout")
TO_SERVER = inject("drop-to-server")
TO_CLIENT = inject("drop-to-client")

SILENT = ("blackout", "drop-to-server", "drop-to-client", "drop-connection", "link-down")
"""Faults behind which nobody answers."""


def bounded_wait(promise: Promise, variant: Variant, traits: Traits) -> Iterator[Plan]:
    """Calls that begin, wait and are retried behind a loss that nobody heals."""
    yield promise.plan(variant, "connect, loss", BLACKOUT, *query("t0"))
    sends = request("t0", Read("t0"), BLACKOUT, Read("t0"))
    yield promise.plan(variant, "query, loss", *sends, title="sends into a blackout")
    sends = request("t0", Read("t0"), TO_SERVER, Read("t0"))
    yield promise.plan(variant, "query, loss", *sends, title="the question is lost")
    waits = request("t0", Read("t0", hold=True), BLACKOUT)
    yield promise.plan(variant, "query, loss", *waits, title="waits for an answer in a blackout")
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
