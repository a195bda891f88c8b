"""A promise's plans as one project's requests are: read-only where its alias is, atomic where its handler says so."""

from __future__ import annotations

import msgspec

from lab.records.plan import (
    Autocommit,
    Begin,
    Commit,
    End,
    Enter,
    Exit,
    Fail,
    Fork,
    Leave,
    Plan,
    Read,
    Rollback,
    Step,
    Stop,
    Write,
)
from lab.records.variant import Traits

ABOUT_WRITES = ("aborts-cleanly", "atomic", "commits-on-close", "durable", "exactly-once", "writable")
"""Promises that say something of what was written."""


def fitted(promise: str, plan: Plan, traits: Traits) -> Plan | None:
    """The plan for this project; None where it makes no sense there."""
    found: Plan | None = plan
    if traits.read_only:
        found = _reading(promise, plan)
    if traits.atomic_requests and found is not None:
        found = None if "autocommit" in found.moment.lower() else _wrapped(found)
    return found


def why_none(traits: Traits) -> str:
    """Why a promise has no plan left for this project."""
    if traits.read_only:
        return "each of its plans writes, and the alias is read-only"
    return "each of its plans ends a transaction by hand, which Django refuses under ATOMIC_REQUESTS"


def _reading(promise: str, plan: Plan) -> Plan | None:
    """For an alias that is read-only: it reads where others write; None where the write is the point."""
    steps: list[Step] = []
    for step in plan.steps:
        commits = isinstance(step, Write) and step.hold == "commit"
        if promise in ABOUT_WRITES or commits or (isinstance(step, Fail) and step.cause == "unique"):
            return None
        if isinstance(step, Write):
            steps.append(Read(step.actor, hold=step.hold == "statement", swallow=step.swallow, alias=step.alias))
        else:
            steps.append(step)
    return msgspec.structs.replace(plan, steps=tuple(steps))


def _wrapped(plan: Plan) -> Plan | None:
    """As BaseHandler.make_view_atomic wraps each view: after request_started, and left before request_finished.

    A view that is one block already is left as it is: what the handler's would add is a savepoint. None where the plan
    sets autocommit or ends a transaction itself, which Django refuses inside atomic(), and where a block is never left:
    the handler would leave its own first.
    """
    if not any(isinstance(step, Autocommit | Commit | Rollback) for step in plan.steps) and _all_atomic(plan):
        return plan
    steps: list[Step] = []
    depth: dict[str, int] = {}  # of each actor in a request: the blocks that it has entered, the handler's among them
    for step in plan.steps:
        if isinstance(step, Autocommit | Commit | Rollback):
            return None
        if isinstance(step, End) and step.actor in depth:
            if depth.pop(step.actor) != 1:
                return None
            steps.append(Leave(step.actor))
        steps.append(step)
        if isinstance(step, Begin):
            if step.actor in depth:
                return None
            depth[step.actor] = 1
            steps.append(Enter(step.actor))
        elif isinstance(step, Enter):
            depth[step.actor] = depth.get(step.actor, 0) + 1
        elif isinstance(step, Leave) and step.actor in depth:
            depth[step.actor] -= 1
        elif isinstance(step, Fork) and step.actor in depth:
            depth[f"{step.child}.t0"] = depth[step.actor]
        elif isinstance(step, Stop | Exit):
            depth.pop(step.actor, None)
    return msgspec.structs.replace(plan, steps=tuple(steps))


def _all_atomic(plan: Plan) -> bool:
    """Whether each request of the plan begins with entering a block and ends with leaving it."""
    for actor in plan.actors():
        inside: list[Step] | None = None
        for step in plan.steps:
            if getattr(step, "actor", "") != actor:
                continue
            if isinstance(step, Begin):
                inside = []
            elif isinstance(step, End):
                if not inside or not _one_block(inside):
                    return False
                inside = None
            elif inside is None:
                return False
            else:
                inside.append(step)
        if inside and not _one_block(inside, over=False):
            return False
    return True


def _one_block(steps: list[Step], *, over: bool = True) -> bool:
    """Whether a request's steps are one block; `over`: it has been left."""
    if not isinstance(steps[0], Enter):
        return False
    depth = 0
    for place, step in enumerate(steps):
        depth += isinstance(step, Enter) - isinstance(step, Leave)
        if depth <= 0 and place < len(steps) - 1:
            return False
    return depth == 0 or not over
