"""The cuts' part in a check: one request cut before every message, in every way; what that breaks is evidence."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import msgspec

from lab.check.cases import Case
from lab.check.trial import Agreement, Entry, Trial
from lab.explore.cuts import Cuts, where
from lab.explore.engine import Target, explore
from lab.judging.judge import cause
from lab.records.codec import encode
from lab.rig.protocol import RigProtocol
from lab.store import STRIP, Store, write


@dataclass
class CutTrials:
    """What an exploration showed: a trial for each class of broken cases; how many runs put which promise at stake."""

    trials: list[Trial] = field(default_factory=list)
    runs: int = 0
    void: int = 0
    at_stake: Counter[str] = field(default_factory=Counter)


def cut(entry: Entry, rig: RigProtocol, store: Store, *, bound: float, number: int) -> CutTrials:
    """Explore at message level and store the strips; cases are numbered from `number`. Call it from the main thread."""
    exploration, target = Cuts(), Target(entry.variant, rig, entry.zygote, bound, entry.promises)
    explored = explore(exploration, target, store, folder=entry.folder)
    head = {"kind": "cuts", "variant": entry.variant.name, "claims": entry.variant.claims}
    strips = {**msgspec.to_builtins(explored.table, enc_hook=str), **where(explored), **head}
    write(entry.folder.path / STRIP, encode(strips))
    done = CutTrials(runs=len(explored.outcomes), void=explored.table.void, at_stake=explored.at_stake)
    for each in explored.classes:
        if not each.promises:
            continue
        example = explored.examples[each.letter]
        moment = f"{example.case.way} at {example.case.point.moment}"
        case = Case(
            number + len(done.trials),
            exploration.plan(example.case, target.variant, target.bound),
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
