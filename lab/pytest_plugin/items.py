"""The tests that `--lab-engine` brings along: one for each promise, and one for the random search."""

from __future__ import annotations

from collections.abc import Sequence
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

MOMENTS_SHOWN = 12
PLANS_SHOWN = 3
"""Plans that the report of a broken promise names."""


class ClaimBroken(Exception):
    """A claimed promise is broken; the text is the whole report."""


class ClaimUnknown(Exception):
    """Whether a claimed promise is kept was not seen; the text is the whole report."""


class Judged(pytest.Collector):
    """The tests of one `--lab-engine`; they exist without a file."""

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
        if isinstance(excinfo.value, ClaimBroken | ClaimUnknown | LabError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)


class PromiseItem(LabItem):
    """One promise's directed plans."""

    def __init__(self, *, promise: Promise, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.promise = promise

    def runtest(self) -> None:
        """Fail when it is claimed and broken, or was not seen; skip when it does not apply."""
        result = self.lab.result(self.variant).promises.get(self.promise.id)
        if result is None or result.verdict is Verdict.NA:
            pytest.skip(f"{result.verdict}: {result.summary}" if result else "it has no plans")
        if result.verdict is Verdict.UNKNOWN:
            if self.promise.id in self.lab.allowed or not result.claimed:
                pytest.skip(f"{result.verdict}: {result.summary}")
            raise ClaimUnknown(_unseen(self.variant, self.promise, result))
        if result.verdict is Verdict.BROKEN:
            report = _report(self.variant, self.promise, result)
            if not result.claimed:
                pytest.xfail(f"not claimed\n{report}")
            raise ClaimBroken(report)


class SearchItem(LabItem):
    """Random plans, for what no directed plan has thought of."""

    def runtest(self) -> None:
        """Fail with every claimed promise that only the search broke, each with a plan; or if no fault landed."""
        known = self.lab.broken(self.variant)
        unclaimed = {name for name, one in self.lab.result(self.variant).promises.items() if not one.claimed}
        landed: list[int] = []
        searched = self.lab.search(
            self.variant, exclude=known | unclaimed, on_case=lambda record, _: landed.append(len(record.landed))
        )
        if not searched.found:
            if not sum(landed) and "random" not in self.lab.allowed:
                raise ClaimUnknown(
                    f"{len(landed)} random plans of {self.variant.name}, and no fault has landed: nothing was shown;"
                    " give it a longer --lab-budget"
                )
            return
        folder = Store(default_root()).open(self.variant.name, searched.seed)
        lines = [f"random plans break promises of {self.variant.name} (--lab-seed={searched.seed})"]
        for found in searched:
            agreed = f"{found.agreed} of {found.replays} replays agree"
            path = folder.keep(f"random {found.promise}", found.record, found.findings, {found.promise: agreed})
            lines += [f"  {found.promise}: {found.finding.summary} ({agreed})", f"    lab replay {path}"]
        raise ClaimBroken("\n".join(lines))


def _named(moments: Sequence[str]) -> str:
    """The first of them: a test's failure is read, the others are in the store."""
    more = len(moments) - MOMENTS_SHOWN
    return " · ".join(moments[:MOMENTS_SHOWN]) + (f" · and {more} more" if more > 0 else "")


def _unseen(variant: Variant, promise: Promise, result: PromiseResult) -> str:
    unseen = [moment for moment, verdict in result.moments.items() if verdict is Verdict.UNKNOWN]
    return "\n".join(
        [
            f"{variant.name}: it was not seen whether {promise.id} is kept: {promise.sentence}",
            f"  {result.summary}",
            f"  at {len(unseen)} of {len(result.moments)} moments: {_named(unseen)}",
            f"  run it again, or allow it by name: --lab-allow-unknown {promise.id}",
        ]
    )


def _report(variant: Variant, promise: Promise, result: PromiseResult) -> str:
    broken = [moment for moment, verdict in result.moments.items() if verdict is Verdict.BROKEN]
    lines = [
        f"{variant.name} breaks {promise.id}: {promise.sentence}",
        f"  {result.summary}",
        f"  at {len(broken)} of {len(result.moments)} moments: {_named(broken)}",
        *(f"  lab replay {path}" for path in result.evidence[:PLANS_SHOWN]),
    ]
    return "\n".join(lines)
