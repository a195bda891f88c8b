"""The cuts' part in a check: one request cut before every message, in every way; what that breaks is evidence."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from lab.check.cases import Case
from lab.check.trial import Agreement, Entry, Trial
from lab.explore.cuts import Ground, explore
from lab.judging.judge import cause
from lab.rig.protocol import RigProtocol
from lab.store import Store


@dataclass
class Cut:
    """What an exploration showed: a trial for each class of broken cases; how many runs put which promise at stake."""

    trials: list[Trial] = field(default_factory=list)
    cases: int = 0
    void: int = 0
    at_stake: Counter[str] = field(default_factory=Counter)


def cut(entry: Entry, rig: RigProtocol, store: Store, *, bound: float, number: int) -> Cut:
    """Explore at message level; cases are numbered from `number`. Call it from the main thread."""
    ground = Ground(entry.variant, rig, entry.zygote, bound, entry.promises)
    explored = explore(ground, store, folder=entry.folder)
    done = Cut(cases=len(explored.outcomes), void=explored.cuts.void, at_stake=ground.at_stake)
    for each in explored.cuts.classes:
        if not each.promises:
            continue
        example = explored.examples[each.letter]
        moment = f"{example.cell.way} at {example.cell.point.moment}"
        case = Case(
            number + len(done.trials),
            example.cell.plan(entry.variant, bound),
            tuple((promise, moment) for promise in each.promises),
        )
        done.trials.append(
            Trial(
                case=case,
                findings=tuple(finding for finding in example.findings if finding.promise in each.promises),
                cause=cause(example.findings),
                evidence=str(example.path),
                agreement={promise: Agreement(1 + example.agreed, 1 + example.runs) for promise in each.promises},
            )
        )
    return done
