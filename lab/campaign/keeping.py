"""The store of a campaign: one ledger for each part, a folder for the example of each class, and Hypothesis's examples.

store/
├── campaign.json           what the campaign is: it goes on only as the same one
├── campaign-verdicts.json  what it has come to
├── examples/               Hypothesis's database: `--lab-examples` of pytest, or a further search, goes on from it
└── published_global/
├── cuts-connect-request-byte-campaign/   campaign.json, the ledger, cases/ with one folder for each class
└── search-campaign/                      the ledger of its seeds, cases/ with one folder for each promise
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from lab.campaign.kinds import EXAMPLES as DRAWN
from lab.campaign.kinds import Kind
from lab.errors import BadInput
from lab.explore.engine import About
from lab.explore.ledger import read_all
from lab.records.codec import encode
from lab.records.shard import WHOLE, Shard
from lab.records.variant import Variant
from lab.store import Store, masked_variant, read_file, slug, unwritable, write

FILE = "campaign.json"
VERDICTS = "campaign-verdicts.json"
EXAMPLES = "examples"
SUFFIX = "-campaign"
SEARCH = "search"
LEDGER = "done.jsonl"
SKIPPED = "campaign-skipped.json"
SHOWN = "examples.json"
"""By the name of a case: the folder of its run, how many further runs agreed, and how many there were."""


class Settings(Struct, frozen=True, kw_only=True):
    """What a campaign is. `cases`: so many in all, None: all there are. `hours` are no part of it: they only end it."""

    edition: str
    variants: tuple[Variant, ...]
    kinds: tuple[Kind, ...]
    seed: int = 0
    cases: int | None = None
    preemptions: int | None = None
    shard: Shard = WHOLE

    @property
    def quota(self) -> int | None:
        """How many cases there are for each kind of each variant."""
        return None if self.cases is None else max(1, self.cases // (len(self.variants) * len(self.kinds)))


class PartFile(Struct, frozen=True, kw_only=True):
    """What an exploration of a campaign depends on, beside its ledger."""

    kind: Kind
    seen: Any
    about: About
    bound: float
    head: str


class SeedDone(Struct, frozen=True, kw_only=True):
    """What a seed came to: by broken promise, the number of steps of the shrunk plan, and how many runs agree."""

    finds: dict[str, int] = field(default_factory=dict)
    agreed: dict[str, tuple[int, int]] = field(default_factory=dict)
    cases: int = 0
    void: int = 0


def open_campaign(root: Path, settings: Settings) -> Store:
    """The store, which is empty or holds the same campaign; raises BadInput, StoreUnwritable.

    More cases than before are the same campaign: those that are done are among them.
    """
    store = Store(root)
    document = encode(_shareable(settings))
    path = store.root / FILE
    if path.exists():
        there = read_settings(store.root)
        for what, (old, new) in _differences(there, _shareable(settings)).items():
            raise BadInput(
                f"{store.root} holds a campaign with another {what}: {old}, and not {new}",
                "give another --store; what is there stays",
            )
    with unwritable(store.root):
        store.root.mkdir(parents=True, exist_ok=True)
    write(path, document)
    return store


def read_settings(root: Path) -> Settings:
    """What campaign a store holds; raises BadInput."""
    found: Settings = read(root / FILE, Settings)
    return found


def read(path: Path, kind: type[Any]) -> Any:
    """A document of a campaign; raises BadInput."""
    try:
        return msgspec.json.decode(read_file(path), type=kind)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{path} is no campaign's of this lab: {getattr(error, 'strerror', None) or error}", "give another --store"
        ) from None


def place_of_search(store: Store, variant: Variant) -> Path:
    """The folder of a variant's seeds."""
    return store.root / slug(variant.name, keep="._") / slug(SEARCH + SUFFIX)


def drawn(settings: Settings) -> int:
    """Random plans that are drawn for each seed, at most."""
    return min(DRAWN, settings.quota or DRAWN)


def head_of_search(settings: Settings) -> list[Any]:
    """The first line of the ledger of a variant's seeds."""
    return [settings.edition, settings.seed, drawn(settings)]


def read_seeds(settings: Settings, place: Path) -> tuple[dict[str, Any], Counter[str]]:
    """The seeds that are done, with what each came to, and how many runs put each promise at stake."""
    return read_all(place / LEDGER, head_of_search(settings))


def simplest(done: dict[str, Any], promise: str) -> tuple[float, int]:
    """The number of steps of the simplest plan that breaks a promise, and its seed; of two equal ones the first."""
    found = [
        (float(steps), int(seed))
        for seed, each in done.items()
        if (steps := msgspec.convert(each, SeedDone).finds.get(promise)) is not None
    ]
    return min(found, default=(float("inf"), 0))


def shown(folder: Path) -> dict[str, tuple[str, int, int]]:
    """The examples that are stored in the folder of a part."""
    path = folder / SHOWN
    if not path.exists():
        return {}
    found: dict[str, tuple[str, int, int]] = read(path, dict[str, tuple[str, int, int]])
    return found


def _shareable(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, variants=tuple(map(masked_variant, settings.variants)))


def _differences(old: Settings, new: Settings) -> dict[str, tuple[Any, Any]]:
    found: dict[str, tuple[Any, Any]] = {
        "lab": (old.edition, new.edition),
        "seed": (old.seed, new.seed),
        "bound on preemptions": (old.preemptions, new.preemptions),
        "shard": (str(old.shard), str(new.shard)),
        "list of variants": (_names(old), _names(new)),
        "list of kinds": (", ".join(old.kinds), ", ".join(new.kinds)),
        "setting of a variant": (old.variants, new.variants),
    }
    return {what: both for what, both in found.items() if both[0] != both[1]}


def _names(settings: Settings) -> str:
    return ", ".join(variant.name for variant in settings.variants)
