"""Session state: what a request can leave on its session, how, and how a look at the session shows it.

So is what it can leave on the objects before the session: the driver's connection, and Django's wrapper.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from lab.judging.calls import Call, Request
from lab.judging.trace import Trace
from lab.records.plan import Autocommit, Look, Set, SetName, Sql, Step

LEAVE: dict[str, tuple[str, str, Any]] = {
    "SET": ("SET lab.mark = 'left'", "mark", "left"),
    "set_config()": ("SELECT set_config('lab.mark', 'left', false)", "mark", "left"),
    "role": ("SET ROLE lab_other", "role", "lab_other"),
    "search_path": ("SET search_path TO pg_temp", "search_path", "pg_temp"),
    "time zone": ("SET TIME ZONE 'Asia/Kathmandu'", "timezone", "Asia/Kathmandu"),
    "temp table": ("CREATE TEMP TABLE lab_left (n integer)", "temp_tables", "lab_left"),
    "advisory lock": ("SELECT pg_advisory_lock_shared(4711)", "advisory_locks", 1),
    "LISTEN": ("LISTEN lab_left", "channels", "lab_left"),
    "prepared statement": ("PREPARE lab_left AS SELECT 1", "prepared", "lab_left"),
    "cursor WITH HOLD": ("DECLARE lab_left CURSOR WITH HOLD FOR SELECT 1", "cursors", "lab_left"),
    "read-only": ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "read_only", "on"),
    "isolation level": ("SET default_transaction_isolation = 'serializable'", "default_isolation", "serializable"),
    "statement_timeout": ("SET statement_timeout = '77s'", "statement_timeout", "77s"),
}
"""Each kind of state: the statement that leaves it behind, the field of a look that shows it, and its value there."""

FIELDS = (*(field for _, field, _ in LEAVE.values()), "autocommit")
OBJECTS: tuple[SetName, ...] = get_args(SetName)
"""What is on the objects before the session, as `Set` names it and a look shows it."""
WRAPPER: tuple[SetName, ...] = (
    *("force_debug_cursor", "execute_wrappers", "run_on_commit", "needs_rollback", "savepoint_ids"),
)
"""Those of Django's wrapper, which is a thread's: a look shows them whichever session it is on."""


def leave(actor: str, *kinds: str) -> tuple[Step, ...]:
    """Statements that leave these kinds of state on the session; all kinds when none is named."""
    return tuple(Sql(actor, LEAVE[kind][0]) for kind in kinds or LEAVE)


def sets(call: Call) -> tuple[str, ...]:
    """The fields that a call has changed, or may have."""
    if isinstance(call.plan, Autocommit):
        return ("autocommit",)
    if isinstance(call.plan, Set):
        return (call.plan.what,) if call.ending != "skip" else ()
    if not isinstance(call.plan, Sql):
        return ()
    known = tuple(field for text, field, _ in LEAVE.values() if text == call.plan.text)
    return known or FIELDS


def state(look: Call) -> dict[str, Any]:
    """What a look saw of all that a request can change.

    Inside a block Django's autocommit is off by design, and a LISTEN has no effect yet.
    """
    beside = ("autocommit", "channels") if look.value.get("in_atomic") else ()
    return {field: look.value.get(field) for field in FIELDS if field not in beside}


def objects(look: Call) -> dict[str, Any]:
    """What a look saw of the objects before the session. In a block the driver's own autocommit is off by design."""
    beside = ("driver_autocommit",) if look.value.get("in_atomic") else ()
    return {field: look.value[field] for field in OBJECTS if field in look.value and field not in beside}


def looks(trace: Trace, alias: str = "") -> Iterator[tuple[Request, Call]]:
    """Every look that returned, with its request, in their order; of one alias or of all."""
    for request in trace.requests:
        for call in request.calls:
            if isinstance(call.plan, Look) and call.ending == "ok" and alias in ("", call.plan.alias):
                yield request, call


def difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    """The first field in which two looks that show it differ, in words, "" when there is none."""
    for field, value in after.items():
        if field in before and value != before[field]:
            return f"{field.replace('_', ' ')} {value or 'nothing'!r} and not {before[field] or 'nothing'!r}"
    return ""
