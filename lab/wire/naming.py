"""The shortest text by which a rule finds each message of a recorded run again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from lab.records.words import Direction
from lab.wire.journal import Message

SHORT: Final[dict[Direction, str]] = {"upstream": "up", "downstream": "down"}
COMMON: Final = ("row", "command-complete", "ready", "parameter", "query-sent", "password")
"""Moments that say less than another one that the same message may have."""

Place = tuple[int, Direction, int]
"""Connection, direction and ordinal of a message."""


def best(moments: Iterable[str]) -> str:
    """The moment that says most about a message, "" when it has none."""
    every = list(moments)
    own = [moment for moment in every if moment not in COMMON]
    return (own or every or [""])[-1]


def named(messages: Iterable[Message]) -> dict[Place, str]:
    """For each message of whole connections its moment: `c1:query-sent:4`, or `c1:up#7` where it has no name."""
    counts: Counter[tuple[int, str]] = Counter()
    names: dict[Place, str] = {}
    for message in messages:
        counts.update((message.connection, moment) for moment in message.moments)
        moment = best(message.moments)
        nth = counts[message.connection, moment]
        place = f"{moment}:{nth}" if nth > 1 else moment or f"{SHORT[message.direction]}#{message.ordinal}"
        names[message.connection, message.direction, message.ordinal] = f"c{message.connection}:{place}"
    return names
