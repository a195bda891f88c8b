"""The shortest moment by which a rule finds each message of a recorded run again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from lab.records.moment import Moment
from lab.records.words import Direction
from lab.wire.journal import Message

COMMON: Final = ("row", "command-complete", "ready", "parameter", "query-sent", "password")
"""Moments that say less than another one that the same message may have."""

Place = tuple[int, Direction, int]
"""Connection, direction and ordinal of a message."""


def best(moments: Iterable[str]) -> str:
    """The moment that says most about a message, "" when it has none."""
    every = list(moments)
    own = [moment for moment in every if moment not in COMMON]
    return (own or every or [""])[-1]


def named(messages: Iterable[Message]) -> dict[Place, Moment]:
    """For each message of whole connections its moment: `c1:query-sent:4`, or `c1:up#7` where it has no name."""
    counts: Counter[tuple[int, str]] = Counter()
    names: dict[Place, Moment] = {}
    for message in messages:
        connection = message.connection
        counts.update((connection, moment) for moment in message.moments)
        if name := best(message.moments):
            moment = Moment(name=name, connection=connection, occurrence=counts[connection, name])
        else:
            moment = Moment(direction=message.direction, connection=connection, ordinal=message.ordinal)
        names[connection, message.direction, message.ordinal] = moment
    return names
