"""What breaks is seen early: a person who watches need not wait for the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from lab.check.check import Options, check
from lab.check.progress import Silent
from lab.check.variants import find
from lab.records.variant import Variant
from lab.records.verdict import Verdict
from lab.rig.embedded.rig import Rig
from lab.store import Store

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.nightly]


class Watching(Silent):
    """After how many plans each promise was first seen broken, and how many plans there were."""

    def __init__(self) -> None:
        self.over = 0
        self.first: dict[tuple[str, str], int] = {}

    def begins(self, variant: Variant, plans: Sequence[Iterable[str]], not_applicable: Iterable[str]) -> None:
        """Nothing."""

    def done(
        self, variant: Variant, title: str, verdicts: Mapping[str, Verdict], broken: Mapping[str, bool], note: str
    ) -> None:
        self.over += 1
        for promise in broken:
            self.first.setdefault((variant.name, promise), self.over)


@pytest.mark.parametrize("brief", [True, False])
def test_half_of_what_breaks_is_seen_after_a_quarter(rig: Rig, tmp_path: Path, *, brief: bool) -> None:
    """By plans and not by seconds, which a busy machine stretches: first of all those that break most."""
    variants = [find(name) for name in ("published_threadlocal", "django_persistent", "django_per_request")]
    watching = Watching()
    results = check(variants, rig, Options(search=0.0, cuts=False, brief=brief), Store(tmp_path), watching)
    broken = [
        (result.variant.name, name)
        for result in results
        for name, promise in result.promises.items()
        if promise.verdict is Verdict.BROKEN
    ]
    early = [cell for cell in broken if watching.first[cell] <= watching.over / 4]
    assert len(early) >= len(broken) / 2, watching.first
    assert min(watching.first.values()) <= 30, "the first broken one is among the first plans"
