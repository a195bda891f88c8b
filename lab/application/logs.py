"""The log records of a case stay with the case: hundreds of expected tracebacks would bury what a test has to say."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept() -> Iterator[list[logging.LogRecord]]:
    """While it lasts no record reaches a handler, whatever handlers the project or pytest has set; here they are."""
    records: list[logging.LogRecord] = []
    original = logging.Logger.callHandlers

    def keep(_: logging.Logger, record: logging.LogRecord) -> None:
        records.append(record)

    logging.Logger.callHandlers = keep  # type: ignore[method-assign]
    try:
        yield records
    finally:
        logging.Logger.callHandlers = original  # type: ignore[method-assign]
