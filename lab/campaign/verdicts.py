"""What a store's campaign comes to: read from its ledgers alone, and the same however it was run.

A promise is `broken` when a case broke it, and has `held` only when all cases of the campaign were run, and some of
them put it at stake. That is less than kept: a campaign does not go through the moments that a promise names, as a
check does. What it never put at stake is not among its promises: it says nothing of them.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from lab.campaign import keeping
from lab.campaign.corners import AT, differing
from lab.campaign.keeping import FILE, LEDGER, SUFFIX, PartFile, SeedDone, Settings, place_of_search, shown, simplest
from lab.campaign.kinds import VERSIONS, Kind, exploration, sample, seeds
from lab.explore import engine
from lab.explore.engine import Class, Example, Outcome, first_cases, letters_of, outcomes_of, place_of
from lab.explore.ledger import read_all
from lab.records.codec import encode
from lab.records.difference import Difference
from lab.records.plan import Plan
from lab.records.variant import Variant
from lab.records.verdict import Verdict
from lab.store import CASES, Store, masked_variant, read_case, slug, unwritable, write

Word = Literal["broken", "unknown", "held"]
DIFFERENCES = "differences"
"""The folder of a store with the plans that show what differs between versions."""


class KindFound(Struct, frozen=True, kw_only=True):
    """What one kind of a variant came to: `cases` of `of` were run; of a search they are seeds.

    `evidence` by promise: the plan of one case that breaks it, relative to the store.
    """

    cases: int
    of: int | None
    void: int = 0
    classes: tuple[Class, ...] = ()
    broken: dict[str, int] = field(default_factory=dict)
    evidence: dict[str, str] = field(default_factory=dict)
    at_stake: tuple[str, ...] = ()
    skipped: str = ""

    @property
    def complete(self) -> bool:
        """Whether all of it was run."""
        return self.cases == self.of


class PromiseFound(Struct, frozen=True, kw_only=True):
    """The verdict on a promise, in how many cases of which kind it was broken, and a plan of each that replays."""

    verdict: Word
    claimed: bool
    broken: dict[str, int] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()


class VariantFound(Struct, frozen=True, kw_only=True):
    """What a campaign came to for one variant."""

    variant: str
    engine: str
    verdict: Word
    versions: dict[str, str]
    kinds: dict[str, KindFound]
    promises: dict[str, PromiseFound]

    @property
    def complete(self) -> bool:
        """Whether all of it was run."""
        return all(kind.complete for kind in self.kinds.values())


class Found(Struct, frozen=True, kw_only=True):
    """What a campaign came to. `shard` is the part of it that was run, "" for all.

    `differences`: directed plans that break a promise in one version and not in another; a `plan` is relative to the
    store.
    """

    edition: str
    seed: int
    shard: str
    variants: tuple[VariantFound, ...]
    differences: tuple[Difference, ...] = ()

    @property
    def status(self) -> int:
        """The exit status: 1 when a claimed promise is broken, else 2 when one is unknown, else 0."""
        words = {each.verdict for each in self.variants}
        return 1 if "broken" in words else 2 if "unknown" in words else 0


def conclude(store: Store) -> Found:
    """Write, and return, what the campaign in a store comes to up to now, and the plans that show what differs.

    Each of these plans is as it is run in the first corner in which it breaks the promise. Raises BadInput where there
    is no campaign.
    """
    settings = keeping.read_settings(store.root)
    skipped = _skipped(store.root)
    differences = _differences(settings, store)
    found = Found(
        edition=settings.edition,
        seed=settings.seed,
        shard="" if settings.shard.whole else str(settings.shard),
        variants=tuple(_variant(settings, variant, store, skipped) for variant in settings.variants),
        differences=tuple(each for each, _ in differences),
    )
    write(store.root / keeping.VERDICTS, encode(found))
    if differences:
        with unwritable(store.root):
            shutil.rmtree(store.root / DIFFERENCES, ignore_errors=True)
            (store.root / DIFFERENCES).mkdir(parents=True)
    for each, plan in differences:
        write(store.root / each.plan, encode(plan))
    return found


def _differences(settings: Settings, store: Store) -> list[tuple[Difference, Plan]]:
    outcomes: dict[str, dict[str, Outcome]] = {}
    plans: dict[tuple[str, str], Plan] = {}
    what = exploration(VERSIONS)
    for variant in settings.variants if VERSIONS in settings.kinds else ():
        there = explored_of(settings, variant, VERSIONS, store)
        for case, outcome in there[2].outcomes.items() if there is not None else ():
            outcomes.setdefault(variant.name, {})[case.name] = outcome
            plans[variant.name, case.name] = what.plan(case, masked_variant(variant), 0.0)
    found = []
    for number, each in enumerate(differing(outcomes), 1):
        first = next(corner for corner, verdict in each.verdicts.items() if verdict is Verdict.BROKEN)
        plan = plans[f"{each.variant}{AT}{first}", each.moment]
        plan = msgspec.structs.replace(plan, expect={each.promise: str(Verdict.BROKEN)})
        name = slug(f"{number:03d} {each.variant} {each.promise} {each.moment}")
        found.append((msgspec.structs.replace(each, plan=f"{DIFFERENCES}/{name}.json"), plan))
    return found


def _variant(settings: Settings, variant: Variant, store: Store, skipped: Mapping[str, str]) -> VariantFound:
    kinds: dict[str, KindFound] = {}
    versions: dict[str, str] = {}
    for kind in settings.kinds:
        why = skipped.get(f"{variant.name}: {kind}", "")
        if kind == "search":
            kinds[kind] = _search(settings, variant, store, why)
        else:
            kinds[kind], of_it = _explored(settings, variant, kind, store, why)
            versions = versions or of_it
    complete = settings.shard.whole and all(kind.complete for kind in kinds.values())
    names = sorted({name for kind in kinds.values() for name in (*kind.broken, *kind.at_stake)})
    promises = {name: _promise(name, variant, kinds, complete=complete) for name in names}
    broken = any(each.claimed and each.broken for each in promises.values())
    return VariantFound(
        variant=variant.name,
        engine=variant.engine,
        verdict="broken" if broken else "held" if complete else "unknown",
        versions=versions,
        kinds=kinds,
        promises=promises,
    )


def _promise(name: str, variant: Variant, kinds: Mapping[str, KindFound], *, complete: bool) -> PromiseFound:
    broken = {kind: each.broken[name] for kind, each in kinds.items() if name in each.broken}
    return PromiseFound(
        verdict="broken" if broken else "held" if complete else "unknown",
        claimed=variant.claimed(name),
        broken=broken,
        evidence=tuple(each.evidence[name] for each in kinds.values() if name in each.evidence),
    )


def explored_of(settings: Settings, variant: Variant, kind: Kind, store: Store) -> Any:
    """The exploration of a kind as `lab explore` would have it, with what was run so far; None where nothing was."""
    what = exploration(kind, settings.preemptions)
    place = place_of(what, variant, store, suffix=SUFFIX).path
    if not (place / FILE).exists():
        return None
    part: PartFile = keeping.read(place / FILE, PartFile)
    done, at_stake = read_all(place / LEDGER, part.head)
    cases = sample(what.cases(part.seen), variant, what, settings.quota, settings.shard)
    outcomes = outcomes_of(cases, done)
    examples = {}
    there = shown(place)
    for letter, case in first_cases(letters_of(outcomes)).items():
        if case.name in there:
            folder, agreed, runs = there[case.name]
            path = place / CASES / slug(folder)
            examples[letter] = Example(case, agreed, runs, path / "plan.json", read_case(path)[1])
    return part, len(cases), engine.conclude(what, outcomes, examples, store, at_stake=at_stake)


def _explored(
    settings: Settings, variant: Variant, kind: Kind, store: Store, why: str
) -> tuple[KindFound, dict[str, str]]:
    there = explored_of(settings, variant, kind, store)
    if there is None:
        return KindFound(cases=0, of=None, skipped=why), {}
    part, of, explored = there
    broken = Counter(promise for outcome in explored.outcomes.values() for promise in outcome.promises)
    evidence: dict[str, str] = {}
    for each in explored.classes:
        for promise in each.promises:
            evidence.setdefault(promise, each.evidence)
    done = KindFound(
        cases=len(explored.outcomes),
        of=of,
        void=sum(not outcome.counted for outcome in explored.outcomes.values()),
        classes=explored.classes,
        broken=dict(sorted(broken.items())),
        evidence=dict(sorted(evidence.items())),
        at_stake=tuple(sorted(explored.at_stake)),
        skipped=why,
    )
    return done, {**part.about.versions, **part.about.traits.versions}


def _search(settings: Settings, variant: Variant, store: Store, why: str) -> KindFound:
    place = place_of_search(store, variant)
    of = len(seeds(settings.seed, settings.quota, variant, settings.shard))
    if not (place / LEDGER).exists():
        return KindFound(cases=0, of=of, skipped=why)
    done, at_stake = keeping.read_seeds(settings, place)
    mine = {str(seed) for seed in seeds(settings.seed, settings.quota, variant, settings.shard)}
    counted = {seed: each for seed, each in done.items() if seed in mine}
    broken = Counter(name for each in counted.values() for name in msgspec.convert(each, SeedDone).finds)
    relative = Path(place.relative_to(store.root))
    return KindFound(
        cases=len(counted),
        of=of,
        broken=dict(sorted(broken.items())),
        evidence={
            name: str(relative / CASES / slug(f"random {name}") / "plan.json")
            for name in sorted(broken)
            if simplest(counted, name)[0] < float("inf")
        },
        at_stake=tuple(sorted(at_stake)),
        skipped=why,
    )


def _skipped(root: Path) -> dict[str, str]:
    path = root / keeping.SKIPPED
    if not path.exists():
        return {}
    found: dict[str, str] = keeping.read(path, dict[str, str])
    return found
