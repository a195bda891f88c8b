"""What a request has done earlier, and what it does then: every combination, on two aliases, without any fault.

A backend that keeps a mark of what happened (a close() by hand, a fork, an error that was healed) may take a later
block for something else. No fault shows that, and a covering array of pairs does not: it takes the alias, what was
earlier, and the way in which a block ends. So all are run: one plan for each of what was earlier, one request for each
of what comes then.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from lab.judging.plan_parts import TERMINATE, after_heal, block, on, query, request, several
from lab.judging.session_state import leave
from lab.promise import Promise
from lab.records.plan import (
    Autocommit,
    Close,
    Commit,
    Elapse,
    Enter,
    Exit,
    Fail,
    Fork,
    Leave,
    Look,
    Plan,
    Read,
    Rollback,
    Step,
    Stop,
    Use,
    Write,
)
from lab.records.variant import Variant

MOMENT = "whatever the request did earlier"
ALIASES = ("default", "kin")

HEALED: tuple[Step, ...] = (Enter("t0"), Fail("t0", swallow=True), Leave("t0", "rollback"))
"""An error of a statement inside a savepoint, which undoes it."""

EARLIER: dict[str, tuple[Step, ...]] = {
    "nothing": (),
    "a query": (Read("t0"),),
    "an error": (Fail("t0", swallow=True),),
    "a commit": (Enter("t0"), Write("t0"), Leave("t0")),
    "a rollback": (Enter("t0"), Write("t0"), Leave("t0", "rollback")),
    "a savepoint rolled back": (Enter("t0"), Enter("t0"), Write("t0"), Leave("t0", "rollback"), Leave("t0")),
    "an error healed": (Enter("t0"), Write("t0"), *HEALED, Write("t0"), Leave("t0")),
    "autocommit off": (Autocommit("t0"), Write("t0"), Rollback("t0"), Autocommit("t0", on=True)),
    "a close()": (Read("t0"), Close("t0")),
    "a cursor left": (Use("t0", "iterator-break"),),
    "a long time": (Read("t0"), Elapse(100_000.0)),
}
"""Of its own alias, and in the same request."""

BLOCKS: dict[str, tuple[Step, ...]] = {
    "autocommit": (Write("t0"),),
    "committed": (Enter("t0"), Write("t0"), Use("t0", "on-commit"), Leave("t0")),
    "rolled back": (Enter("t0"), Write("t0"), Use("t0", "on-commit"), Leave("t0", "rollback")),
    "savepoint committed": (Enter("t0"), Write("t0"), Enter("t0"), Write("t0"), Leave("t0"), Leave("t0")),
    "savepoint rolled back": (
        *(Enter("t0"), Write("t0"), Enter("t0"), Write("t0"), Leave("t0", "rollback")),
        *(Write("t0"), Leave("t0")),
    ),
    "two savepoints rolled back": (
        *(Enter("t0"), Write("t0"), *(Enter("t0"), Write("t0"), Leave("t0", "rollback")) * 2),
        *(Write("t0"), Leave("t0")),
    ),
    "savepoint committed, then rolled back": (
        *(Enter("t0"), Write("t0"), Enter("t0"), Write("t0"), Leave("t0")),
        *(Write("t0"), Leave("t0", "rollback")),
    ),
    "error healed": EARLIER["an error healed"],
    "commit() by hand": (Autocommit("t0"), Write("t0"), Commit("t0"), Autocommit("t0", on=True)),
    "rollback() by hand": (Autocommit("t0"), Write("t0"), Rollback("t0"), Autocommit("t0", on=True)),
    "left by an error": (Enter("t0"), Write("t0"), Fail("t0")),
}
"""Ways in which a block ends. The last one leaves the view as well."""

BESIDE = ("a rollback on the other alias", "a fork", "a thread's end")
"""What came earlier, too, of which each has steps of its own for each time that it comes."""
STATE = "state left"
DIMENSIONS: dict[str, tuple[str, ...]] = {
    "earlier": (*EARLIER, *BESIDE),
    "then": (*BLOCKS, STATE),
    "alias": ("the default alias", "another alias"),
}
"""What `plans` puts together, any with any: values that may come together with none of the others left out."""

LEFT = (Look("t0"), *leave("t0", "SET", "temp table"))
"""State that the next request must not find."""


def plans(promise: Promise, variant: Variant) -> Iterator[Plan]:
    """One plan for each alias and each of what was earlier: a request for each kind of block, one that leaves state."""
    blocks = [*BLOCKS.values(), LEFT]
    for alias, title, preludes in _preludes(variant, len(blocks)):
        look, after = request("t0", *on(alias, Look("t0"))), on(alias, *after_heal("t0"))
        made = [request("t0", *each, *on(alias, *then)) for each, then in zip(preludes, blocks, strict=True)]
        yield promise.plan(variant, MOMENT, *look, *itertools.chain(*made), *look, *after, title=title)


def stale(promise: Promise, variant: Variant) -> Iterator[Plan]:
    """What waits dies after each of it; then a request begins with a query, and after another time with a block."""
    for alias, title, preludes in _preludes(variant, 4):
        made: list[Step] = []
        for prelude, first in zip(preludes, (query, block) * 2, strict=True):
            # A child that was forked in a request is in that request until it ends, and no fault finds it between two.
            forks = any(isinstance(step, Fork) for step in prelude)
            asked = on(alias, Read("t0"))
            made += (*prelude[1:], *request("t0", *asked)) if forks else request("t0", *prelude, *asked)
            made += (TERMINATE, *on(alias, *first("t0")))
        yield promise.plan(variant, MOMENT, *made, title=title)


def _preludes(variant: Variant, times: int) -> Iterator[tuple[str, str, list[tuple[Step, ...]]]]:
    """Each alias with a title, and so many times what was earlier."""
    for alias, other in (ALIASES, ALIASES[::-1]):
        earlier = {name: [on(alias, *steps)] * times for name, steps in EARLIER.items()}
        earlier["a rollback on the other alias"] = [on(other, *EARLIER["a rollback"])] * times
        earlier["a fork"] = [(Read("t0"), Fork("t0", f"c{number}"), Exit(f"c{number}.t0")) for number in range(times)]
        if several(variant):
            turns = [f"t{number}" for number in range(1, times + 1)]
            earlier["a thread's end"] = [(*query(actor), Stop(actor)) for actor in turns]
        for name, preludes in earlier.items():
            yield alias, f"{name}, {'the default alias' if alias == 'default' else 'another alias'}", preludes
