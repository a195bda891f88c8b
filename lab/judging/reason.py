"""What an exception says, as a small enum: texts vary with driver and version, their meaning does not."""

from __future__ import annotations

from typing import Literal

from lab.records.history import DIED, HUNG, Cause

Reason = Literal[
    "lost", "ended", "refused", "authentication", "slots", "waited", "closed", "statement", "hung", "other"
]

STATES: tuple[tuple[str, Reason], ...] = (
    ("57P", "ended"),
    ("25P03", "ended"),
    ("08", "lost"),
    ("28", "authentication"),
    ("53300", "slots"),
)
TEXTS: tuple[tuple[str, Reason], ...] = (
    ("connection refused", "refused"),
    ("authentication failed", "authentication"),
    ("no password supplied", "authentication"),
    ("not permitted to log in", "authentication"),
    ("too many clients", "slots"),
    ("connection slots are reserved", "slots"),
    ("timeout", "waited"),
    ("timed out", "waited"),
    ("couldn't get a connection", "waited"),
    ("terminating connection", "ended"),
    ("is starting up", "ended"),
    ("is shutting down", "ended"),
    ("in recovery mode", "ended"),
    ("not yet accepting connections", "ended"),
    ("server closed the connection", "lost"),
    ("connection reset", "lost"),
    ("reset by peer", "lost"),
    ("broken pipe", "lost"),
    ("eof detected", "lost"),
    ("could not receive data", "lost"),
    ("could not send", "lost"),
    ("no connection to the server", "lost"),
    ("connection is lost", "lost"),
    ("connection is bad", "lost"),  # psycopg, where libpq gives no details
    ("consuming input failed", "lost"),
    ("sending query failed", "lost"),
    ("flushing failed", "lost"),
    ("network is", "lost"),
    ("connection aborted", "lost"),
    ("caused connection abort", "lost"),
    ("no route", "lost"),
    ("already closed", "closed"),
    ("connection is closed", "closed"),
    ("connection not open", "closed"),
    ("pool is closed", "closed"),
)


def reason(cause: Cause) -> Reason:
    """What one link of a chain says."""
    if cause.cls in (HUNG.cls, DIED.cls):
        return "hung"
    for state, found in STATES:
        if cause.sqlstate.startswith(state):
            return found
    if cause.sqlstate:
        return "statement"
    text = cause.text.lower()
    return next((found for sign, found in TEXTS if sign in text), "other")
