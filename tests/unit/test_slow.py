"""What a slowing fault compares its line with: answers from before it, on a machine that may be held up at times."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from faults.network._slow import slowed
from lab.fault import Knock


class Line:
    """A site whose answers take what `before` says, in turn, the last again and again; `after` once it has a toxic."""

    def __init__(self, before: list[float], after: float) -> None:
        self.before, self.after = before, after
        self.toxic = False
        self.link = SimpleNamespace(add=self.add, accept=lambda: None)

    def add(self, _kind: str, _stream: str, **_attributes: int) -> None:
        self.toxic = True

    def knock(self, _timeout: float, _size: int) -> Knock:
        if self.toxic:
            return Knock(self.after, 1, "open")
        return Knock(self.before.pop(0) if len(self.before) > 1 else self.before[0], 1, "open")


@pytest.mark.parametrize(
    ("before", "after", "seen"),
    [
        ([0.001], 0.062, True),
        ([0.03, 0.04, 0.03, 0.02, 0.001], 0.062, True),  # held up while the first were answered, and not afterwards
        ([0.03, 0.02, 0.001], 0.059, False),  # less than was asked for
        ([0.03], 0.062, False),  # slow as before: what makes it late need not be the fault
        ([0.03], 0.09, True),
    ],
)
def test_a_delay_is_told_from_what_answers_took_before(before: list[float], after: float, seen: bool) -> None:
    site: Any = Line(before, after)
    with slowed(site, 0.06, 1200, "bandwidth", "upstream", rate_kbps=20) as looks:
        assert (looks() is not None) is seen
