"""Results as a JSON file, for programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.records.result import Result, encode_results
from lab.store import write


def write_json(path: Path, results: Sequence[Result]) -> None:
    """One result as one object, several as `{"variants": [...]}`; whole or not at all. Raises StoreUnwritable."""
    write(path, encode_results(list(results)))
