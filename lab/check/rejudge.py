"""Old records judged by today's judges: whether a stored run would still be called what it was called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from lab.judging.judge import judge
from lab.records.record import Record
from lab.records.verdict import Finding, Verdict


@dataclass(frozen=True)
class Rejudged:
    """One run of which a promise is judged otherwise; `where` names the run."""

    where: str
    promise: str
    old: Verdict
    new: Verdict
    summary: str


@dataclass
class Rejudging:
    """What came of a store. `added` counts, by promise, runs that an older lab could not judge by it."""

    runs: int = 0
    changes: list[Rejudged] = field(default_factory=list)
    added: Counter[str] = field(default_factory=Counter)

    @property
    def status(self) -> int:
        """The exit status: 1 when something is broken by today's judges that was not, else 2 when it is unknown now."""
        now = {change.new for change in self.changes}
        return 1 if Verdict.BROKEN in now else 2 if Verdict.UNKNOWN in now else 0

    def take(self, where: str, record: Record, stored: Iterable[Finding], flaky: Iterable[str] = ()) -> None:
        """Judge one run again. Of `flaky` promises the stored finding is another run's: they are left out."""
        self.runs += 1
        before = {finding.promise: finding for finding in stored}
        for finding in judge(record):
            old = before.get(finding.promise)
            if old is None:
                self.added[finding.promise] += 1
            elif finding.promise not in flaky and old.verdict is not finding.verdict:
                self.changes.append(Rejudged(where, finding.promise, old.verdict, finding.verdict, finding.summary))
