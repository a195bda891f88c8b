"""The random search's part in a check: every run of lab/explore/search.py is counted and stored; a find is a trial."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.check.cases import Case
from lab.check.fit import fitted
from lab.check.trial import Agreement, Entry, Trial
from lab.judging.judge import cause
from lab.records.record import Record
from lab.records.verdict import Finding, Verdict
from lab.rig.protocol import RigProtocol

if TYPE_CHECKING:
    from lab.explore.search import Found

MOMENT = "random"
"""What a moment is called that the random search came upon, and no directed plan."""
MOST = 100_000
"""Examples at most: more than any budget has time for, so that the budget ends the search."""


@dataclass
class Searched:
    """What a random search did: the broken promises that it found, and how many runs put which promise at stake."""

    trials: list[Trial] = field(default_factory=list)
    runs: int = 0
    void: int = 0
    at_stake: Counter[str] = field(default_factory=Counter)


def search(entry: Entry, rig: RigProtocol, *, seed: int, seconds: float, known: Iterable[str], number: int) -> Searched:
    """Draw, run and shrink random plans for about `seconds`; cases are numbered from `number`.

    Promises that are `known` to be broken are not searched for.
    """
    from lab.explore import search as explorer  # noqa: PLC0415 - late: Hypothesis takes a while to import

    done = Searched()

    def on_case(record: Record, findings: tuple[Finding, ...]) -> None:
        done.runs += 1
        done.void += bool(record.void)
        done.at_stake.update(each.promise for each in findings if each.verdict in (Verdict.KEPT, Verdict.BROKEN))
        entry.folder.note(record, findings)

    found = explorer.search(
        entry.variant,
        rig,
        entry.zygote,
        seed=seed,
        max_examples=MOST,
        budget_seconds=seconds,
        promises=entry.promises,
        exclude=known,
        on_case=on_case,
        fit=lambda plan: fitted("", plan, entry.zygote.traits),
    )
    done.trials = [_trial(each, entry, number + index) for index, each in enumerate(found)]
    return done


def _trial(found: Found, entry: Entry, number: int) -> Trial:
    """A shrunk plan as a trial; its runs are counted with the search's."""
    case = Case(number, found.plan, ((found.promise, MOMENT),))
    agreement = {found.promise: Agreement(1 + found.agreed, 1 + found.replays)}
    phrases = {promise: str(agreed) for promise, agreed in agreement.items()}
    evidence = entry.folder.keep(case.name, found.record, found.findings, phrases)
    return Trial(
        case=case,
        # What else it broke was not confirmed; a pass of its own finds it.
        findings=tuple(each for each in found.findings if each.promise == found.promise),
        cause=cause(found.findings),
        evidence=str(evidence),
        agreement=agreement,
    )
