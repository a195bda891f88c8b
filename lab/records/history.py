"""The history: append-only ops, as in Jepsen: `invoke`, then `ok`, `fail` or `info`.

`ok` happened, `fail` certainly did not, `info` may have: a statement or COMMIT whose answer was lost.
Times are integer nanoseconds since the start of the run, by the lab's monotonic clock.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from lab.records.plan import StepName

Ending = Literal["invoke", "ok", "fail", "info", "skip"]
Phase = Literal["safety", "liveness"]


class Cause(Struct, frozen=True, omit_defaults=True):
    """One exception of a chain: class, SQLSTATE if the server sent one. `text` is for people, never for a judge.

    `base` is the nearest ancestor that is Django's, a driver's or Python's own, where the class is none of those.
    `origin`: an attempt to `connect` has raised this very exception, or the handler of a `signal`, or it comes out of
    the function that sends `commit`. `hidden`: the exception that left the call does not have it as an explicit cause;
    it was only being handled at the time. `leaving`: it has come through Django's atomic() as that, when all is over,
    sets autocommit back, which connects. `where`: the last line of the variant's own code that it came through, as
    `folder/file.py:12`; for people, too.
    """

    cls: str
    sqlstate: str = ""
    text: str = ""
    base: str = ""
    origin: Literal["", "connect", "signal", "commit"] = ""
    hidden: bool = False
    leaving: bool = False
    where: str = ""


HUNG = Cause(cls="lab.Hung", text="it did not return in time and was given up")
"""Stands for the exception of a call that the lab gave up."""
DIED = Cause(cls="lab.SubjectEnded", text="the subject's process ended")
"""Stands for the exception of a call during which the subject's process ended."""


class Op(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event of one actor.

    `step` is the index in the plan; steps of the liveness phase count on from there. `f` is the step's name, its `do`
    in the plan. `request` counts the requests of the actor from 0; -1 is outside any. `value` holds what came back:
    `token`, `nonce`, `session`, `xid`, `in_atomic`; `attempts` and `attempts_failed` count the connects of a call that
    raised, `engine_attempts` those that have failed so far in threads of the variant's own. `chain` is the exception
    that left the call, its explicit causes, then what is hidden.
    """

    time: int
    type: Ending
    actor: str
    step: int
    f: StepName
    request: int = -1
    phase: Phase = "safety"
    value: dict[str, Any] = field(default_factory=dict)
    chain: tuple[Cause, ...] = ()


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the nemesis did: `inject`, `heal`, `elapse`, or `blocked` (an actor was seen to wait, and where)."""

    time: int
    step: int
    f: Literal["inject", "await", "heal", "elapse", "blocked"]
    actor: str = ""
    fault: str = ""
    where: Literal["", "server", "client"] = ""
