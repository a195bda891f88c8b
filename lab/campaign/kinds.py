"""What a campaign runs of each variant, and which cases are chosen where it is not all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

from lab.campaign.corners import AT
from lab.campaign.directed import DirectedPlans
from lab.errors import BadInput, UnknownName
from lab.explore.cuts import Cuts
from lab.explore.engine import C, Exploration
from lab.explore.interleavings import USUAL, Interleavings, Scene
from lab.explore.situations import Situations
from lab.records.plan import FaultSpec
from lab.records.shard import Shard, place
from lab.records.variant import Variant

Kind = Literal["bytes", "results", "orders", "situations", "search", "versions"]
KINDS: tuple[Kind, ...] = get_args(Kind)
VERSIONS: Kind = "versions"
"""The kind that needs to be told which versions; those are environments to be made."""
MEANING: dict[Kind, str] = {
    "bytes": "one request, cut before each byte, from its connection's first to its last",
    "results": "one that reads many rows, copies, listens and has hooks, cut before each byte",
    "orders": "three requests in every order, with one fault at every position",
    "situations": "any three values of the dimensions of `lab list situations` together",
    "search": "random plans, from many seeds",
    "versions": "every directed plan, in each version of --django, --driver and --python",
}
FAULT = "sever-fin"
"""The fault of the orders: the connections end, as when a server or a proxy goes away."""
EXAMPLES = 50
"""Random plans that are drawn for each seed, at most."""
SEEDS = 64
"""Seeds for each variant where no number of cases is given."""


def chosen(names: Sequence[str], *, corners: bool = False) -> tuple[Kind, ...]:
    """The kinds of these names; raises UnknownName, or BadInput for versions without any `corners`.

    Where none is given: versions where there are corners, else all others.
    """
    for name in names:
        if name not in KINDS:
            raise UnknownName(f"there is no kind {name!r}", f"known: {', '.join(KINDS)}")
    if VERSIONS in names and not corners:
        raise BadInput("--kind versions needs versions", "say which: --django 5.2,6.1 --driver psycopg2,psycopg")
    return tuple(kind for kind in KINDS if (kind in names if names else (kind == VERSIONS) == corners))


def exploration(kind: Kind, preemptions: int | None = None) -> Exploration[Any, Any]:
    """The exploration that a kind is; `preemptions` is the bound of the orders, None: all of them."""
    if kind == "bytes":
        return Cuts(("connect", "request"), "byte")
    if kind == "results":
        return Cuts(("request",), "byte", request="results")
    if kind == "situations":
        return Situations()
    if kind == VERSIONS:
        return DirectedPlans()
    assert kind == "orders"
    return Interleavings(Scene(USUAL[3], FaultSpec(FAULT)), preemptions)


def sample(cases: Sequence[C], variant: Variant, what: Exploration[C, Any], quota: int | None, shard: Shard) -> list[C]:
    """So many of the cases, None: all, and of those the ones of this shard; in their order.

    The choice is by a hash: even over all cases, the same everywhere, and a larger quota adds to a smaller one.
    """
    if quota is None and shard.whole:
        return list(cases)
    subject = variant.name.partition(AT)[0]  # the same cases in each version
    keys = {case: f"{subject} {what.name} {case.name}" for case in cases}
    few = cases if quota is None else sorted(cases, key=lambda case: place(keys[case]))[:quota]
    wanted = {case for case in few if shard.whole or shard.holds(keys[case])}
    return [case for case in cases if case in wanted]


def seeds(first: int, quota: int | None, variant: Variant, shard: Shard) -> list[int]:
    """The seeds of a variant's search in this shard. The first one is in all: the others look for what it missed."""
    number = SEEDS if quota is None else max(1, quota // EXAMPLES)
    rest = [seed for seed in range(first + 1, first + number) if shard.holds(f"{variant.name} search {seed}")]
    return [first, *rest]
