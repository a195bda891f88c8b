"""The log records of a case stay with the case: hundreds of expected tracebacks would bury what a test has to say."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

LAST: Final = 20
"""Log lines of a case that are told."""


def lines(records: Sequence[logging.LogRecord]) -> tuple[str, ...]:
    """The last of them, the first line of each."""
    return tuple(
        f"{each.levelname} {each.name}: {next(iter(each.getMessage().splitlines()), '')}" for each in records[-LAST:]
    )


@contextmanager
def kept() -> Iterator[list[logging.LogRecord]]:
    """While it lasts no record reaches a handler, whatever handlers the project or pytest has set; here they are."""
    records: list[logging.LogRecord] = []
    gate: Any = logging.Logger  # every record goes by one method on its way to the handlers
    original = gate.callHandlers
    gate.callHandlers = lambda _, record: records.append(record)
    try:
        yield records
    finally:
        gate.callHandlers = original
