"""The shards of a campaign, joined in one store: their ledgers, an example of each class, Hypothesis's examples."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from lab.campaign import keeping
from lab.campaign.keeping import (
    EXAMPLES,
    FILE,
    LEDGER,
    SHOWN,
    SKIPPED,
    SUFFIX,
    PartFile,
    Settings,
    place_of_search,
    shown,
    simplest,
)
from lab.campaign.kinds import Kind, exploration, sample
from lab.errors import BadInput
from lab.explore.engine import first_cases, letters_of, outcomes_of, place_of
from lab.explore.ledger import Ledger, read_all
from lab.records.codec import encode
from lab.records.shard import WHOLE, adding_up, agreeing
from lab.records.variant import Variant
from lab.store import CASES, Store, slug, unwritable, write


def is_campaign(root: Path) -> bool:
    """Whether a store holds a campaign."""
    return (root / FILE).is_file()


def join(stores: Sequence[Path], into: Path) -> Store:
    """Join the shards of one campaign; raises BadInput where they are not, StoreUnwritable. They stay as they are."""
    settings = [keeping.read_settings(root) for root in stores]
    parts: dict[str, list[Any]] = {
        "the lab": [each.edition for each in settings],
        "the number of shards": [each.shard.of for each in settings],
        "the variants": [each.variants for each in settings],
        "kinds": [each.kinds for each in settings],
        "seed": [each.seed for each in settings],
        "cases": [each.cases for each in settings],
        "preemptions": [each.preemptions for each in settings],
    }
    agreeing("campaign", stores, parts)
    adding_up("campaign", [each.shard for each in settings])
    whole = msgspec.structs.replace(settings[0], shard=WHOLE)
    _same_heads(whole, stores)
    store = keeping.open_campaign(into, whole)
    sources = [Store(root) for root in stores]
    for variant in whole.variants:
        for kind in whole.kinds:
            if kind == "search":
                _search(whole, variant, sources, store)
            else:
                _explored(whole, variant, kind, sources, store)
    skipped: dict[str, str] = {}
    for root in stores:
        with unwritable(store.root):
            if (root / EXAMPLES).is_dir():
                shutil.copytree(root / EXAMPLES, store.root / EXAMPLES, dirs_exist_ok=True, symlinks=True)
        skipped |= keeping.read(root / SKIPPED, dict[str, str]) if (root / SKIPPED).exists() else {}
    write(store.root / SKIPPED, encode(skipped))
    return store


def _places(settings: Settings, variant: Variant, kind: Kind, stores: Sequence[Store]) -> list[Path]:
    """The folders of a part that are there."""
    what = exploration(kind, settings.preemptions)
    places = (place_of(what, variant, store, suffix=SUFFIX).path for store in stores)
    return [place for place in places if (place / FILE).exists()]


def _same_heads(settings: Settings, stores: Sequence[Path]) -> None:
    """Raises BadInput where a part was run with other versions in one shard than in another."""
    for variant in settings.variants:
        for kind in settings.kinds:
            if kind == "search":
                continue
            places = _places(settings, variant, kind, [Store(root) for root in stores])
            files: list[PartFile] = [keeping.read(place / FILE, PartFile) for place in places]
            if not files:
                continue
            versions = [{**each.about.versions, **each.about.traits.versions} for each in files]
            agreeing(f"{variant.name}, {kind}", places, {"versions": versions, "cases": [each.head for each in files]})


def _explored(settings: Settings, variant: Variant, kind: Kind, sources: Sequence[Store], store: Store) -> None:
    places = _places(settings, variant, kind, sources)
    if not places:
        return
    what = exploration(kind, settings.preemptions)
    part: PartFile = keeping.read(places[0] / FILE, PartFile)
    place = place_of(what, variant, store, suffix=SUFFIX).path
    done: dict[str, Any] = {}
    at_stake: Counter[str] = Counter()
    for source in places:
        more, stakes = read_all(source / LEDGER, part.head)
        done |= more
        at_stake += stakes
    _begin(place)
    write(place / FILE, encode(part))
    Ledger(place / LEDGER, part.head).add_all(done.items(), at_stake)
    cases = sample(what.cases(part.seen), variant, what, settings.quota, WHOLE)
    outcomes = outcomes_of(cases, done)
    examples: dict[str, tuple[str, int, int]] = {}
    for case in first_cases(letters_of(outcomes)).values():
        for source in places:
            if (there := shown(source).get(case.name)) is not None:
                examples[case.name] = there
                _copy(source, place, slug(there[0]))
    write(place / SHOWN, encode(examples))


def _search(settings: Settings, variant: Variant, sources: Sequence[Store], store: Store) -> None:
    places = [place_of_search(source, variant) for source in sources]
    found = [(place, keeping.read_seeds(settings, place)) for place in places if (place / LEDGER).exists()]
    if not found:
        return
    place = place_of_search(store, variant)
    done: dict[str, Any] = {}
    at_stake: Counter[str] = Counter()
    for _, (more, stakes) in found:
        done |= more
        at_stake += stakes
    _begin(place)
    Ledger(place / LEDGER, keeping.head_of_search(settings)).add_all(done.items(), at_stake)
    for name in sorted({name for each in done.values() for name in each["finds"]}):
        best = simplest(done, name)
        source = next(path for path, (more, _) in found if simplest(more, name) == best)
        _copy(source, place, slug(f"random {name}"))


def _begin(place: Path) -> None:
    if (place / LEDGER).exists():
        raise BadInput(f"{place} holds results already", "give an empty folder with --into")
    with unwritable(place):
        (place / CASES).mkdir(parents=True, exist_ok=True)


def _copy(source: Path, target: Path, name: str) -> None:
    with unwritable(target):
        shutil.copytree(source / CASES / name, target / CASES / name, symlinks=True, dirs_exist_ok=True)
