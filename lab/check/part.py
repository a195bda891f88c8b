"""What a check found of one variant, as data from which its result is concluded: by the check itself, or by a merge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from lab.check.claims import is_project, known_limits
from lab.check.tally import tally
from lab.check.trial import Trial
from lab.errors import BadInput
from lab.promise import PROMISES
from lab.records.codec import encode
from lab.records.result import Result, VariantInfo, overall
from lab.records.shard import Shard
from lab.records.variant import Traits, Variant
from lab.store import CheckFolder, masked_variant, read_file, shareable, write

FILE = "part.json"
"""In a check's folder where the check was a shard: its part."""


class Further(Struct, frozen=True, kw_only=True):
    """What the cuts or the random search of a check came to: a trial for each find, and how much was run for them."""

    trials: tuple[Trial, ...] = ()
    runs: int = 0
    void: int = 0
    at_stake: dict[str, int] = field(default_factory=dict)


class Part(Struct, frozen=True, kw_only=True):
    """One variant's part of a check, or of one shard of it.

    `settings` are those of the check that decide what is run and how it is judged. `plans` are the keys of all directed
    plans in the order of their numbers, `trials` those of them that this shard has run. `chosen`: the claims were
    chosen for this check. `seconds` of wall time, from its first plan to its last.
    """

    edition: str
    shard: Shard
    settings: dict[str, Any]
    variant: Variant
    info: VariantInfo
    traits: Traits
    engine: str
    versions: dict[str, str]
    promises: tuple[str, ...]
    not_applicable: dict[str, str]
    plans: tuple[str, ...]
    trials: tuple[Trial, ...]
    cuts: Further | None = None
    search: Further | None = None
    seed: int = 0
    chosen: bool = False
    seconds: float = 0.0
    skipped: tuple[str, ...] = ()


def conclude(part: Part, others: Iterable[Trial] = ()) -> Result:
    """The result; `others` are trials that stand for the plans of other shards: of them nothing is known."""
    cuts, search = part.cuts or Further(), part.search or Further()
    trials = sorted([*part.trials, *others, *cuts.trials, *search.trials], key=lambda trial: trial.case.number)
    promises = tally(
        part.variant,
        [PROMISES.get(name) for name in part.promises],
        part.not_applicable,
        trials,
        Counter(cuts.at_stake) + Counter(search.at_stake),
        project=is_project(part.variant, part.engine),
        known=known_limits(part.variant, part.traits, part.engine),
        chosen=part.chosen,
    )
    return Result(
        verdict=overall(promises),
        variant=part.info,
        versions=part.versions,
        seed=part.seed,
        seconds=part.seconds,
        cases=sum(trial.runs for trial in trials) + cuts.runs + search.runs,
        void=sum(trial.void for trial in trials) + cuts.void + search.void,
        promises=promises,
        skipped=part.skipped,
        shard="" if part.shard.whole else str(part.shard),
    )


def keep(part: Part, folder: CheckFolder) -> None:
    """Write a shard's part into its check's folder: without secrets, evidence by its place in the folder."""
    moved = _moved(part, lambda path: str(Path(path).relative_to(folder.path)))
    write(folder.path / FILE, encode(moved))


def read(folder: Path) -> Part:
    """The part in a check's folder, its evidence as it lies there; raises BadInput for what is none."""
    try:
        part = msgspec.json.decode(read_file(folder / FILE), type=Part)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{folder / FILE} is no shard of this lab: {getattr(error, 'strerror', None) or error}",
            "run the shard again with the lab that merges",
        ) from None
    return _moved(part, lambda path: str(folder / path))


def at(part: Part, old: Path, new: Path) -> Part:
    """The same part, its evidence moved from one folder to another."""
    return _moved(part, lambda path: str(new / Path(path).relative_to(old)))


def _moved(part: Part, where: Callable[[str], str]) -> Part:
    def trial(each: Trial) -> Trial:
        case = replace(each.case, plan=shareable(each.case.plan))
        return replace(each, case=case, evidence=where(each.evidence) if each.evidence else "")

    def further(each: Further | None) -> Further | None:
        return each and msgspec.structs.replace(each, trials=tuple(map(trial, each.trials)))

    variant = masked_variant(part.variant)
    trials = tuple(map(trial, part.trials))
    return msgspec.structs.replace(
        part, variant=variant, trials=trials, cuts=further(part.cuts), search=further(part.search)
    )
