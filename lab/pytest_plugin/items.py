"""The tests that `--engine` brings along: one for each promise, and one for the random search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lab.errors import LabError
from lab.promise import Promise
from lab.records.result import PromiseResult
from lab.records.variant import Variant
from lab.records.verdict import Verdict
from lab.store import Store, default_root

if TYPE_CHECKING:
    from lab.pytest_plugin.session import Lab

PLANS_SHOWN = 3
"""Plans that the report of a broken promise names."""


class ClaimBroken(Exception):
    """A claimed promise is broken; the text is the whole report."""


class Judged(pytest.Collector):
    """The tests of one `--engine`; they exist without a file."""

    def __init__(self, *, lab: Lab, variant: Variant, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lab = lab
        self.variant = variant

    def collect(self) -> list[pytest.Item]:
        """One item for each promise, then the search."""
        items: list[pytest.Item] = [
            PromiseItem.from_parent(self, name=promise.id, lab=self.lab, variant=self.variant, promise=promise)
            for promise in self.lab.promises
        ]
        return [*items, SearchItem.from_parent(self, name="random", lab=self.lab, variant=self.variant)]


class LabItem(pytest.Item):
    """A test without a file."""

    def __init__(self, *, lab: Lab, variant: Variant, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_marker("chaos")
        self.lab = lab
        self.variant = variant

    def reportinfo(self) -> tuple[str, None, str]:
        """How a report names it."""
        return self.variant.name, None, f"{self.variant.name}: {self.name}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The report of a broken promise, one line for what stops the lab, a traceback for a bug of the lab."""
        if isinstance(excinfo.value, ClaimBroken | LabError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)


class PromiseItem(LabItem):
    """One promise's directed plans."""

    def __init__(self, *, promise: Promise, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.promise = promise

    def runtest(self) -> None:
        """Fail when it is claimed and broken; skip when it does not apply or was not seen."""
        result = self.lab.result(self.variant).promises.get(self.promise.id)
        if result is None or result.verdict in (Verdict.NA, Verdict.UNKNOWN):
            pytest.skip(f"{result.verdict}: {result.summary}" if result else "it has no plans")
        if result.verdict is Verdict.BROKEN:
            report = _report(self.variant, self.promise, result)
            if not result.claimed:
                pytest.xfail(f"not claimed\n{report}")
            raise ClaimBroken(report)


class SearchItem(LabItem):
    """Random plans, for what no directed plan has thought of."""

    def runtest(self) -> None:
        """Fail with every claimed promise that only the search broke, each with its shrunk plan."""
        known = self.lab.broken(self.variant)
        unclaimed = {promise.id for promise in self.lab.promises if not self.variant.claimed(promise.id)}
        searched = self.lab.search(self.variant, exclude=known | unclaimed)
        if not searched.found:
            return
        folder = Store(default_root()).open(self.variant.name, searched.seed)
        lines = [f"random plans break promises of {self.variant.name} (--lab-seed={searched.seed})"]
        for found in searched:
            agreed = f"{found.agreed} of {found.replays} replays agree"
            path = folder.keep(f"random {found.promise}", found.record, found.findings, {found.promise: agreed})
            lines += [f"  {found.promise}: {found.finding.summary} ({agreed})", f"    lab replay {path}"]
        raise ClaimBroken("\n".join(lines))


def _report(variant: Variant, promise: Promise, result: PromiseResult) -> str:
    broken = [moment for moment, verdict in result.moments.items() if verdict is Verdict.BROKEN]
    lines = [
        f"{variant.name} breaks {promise.id}: {promise.sentence}",
        f"  {result.summary}",
        f"  at {len(broken)} of {len(result.moments)} moments: {', '.join(broken)}",
        *(f"  lab replay {path}" for path in result.evidence[:PLANS_SHOWN]),
    ]
    return "\n".join(lines)
