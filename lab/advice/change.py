"""What a change is: one file below `lab/advice/changes/` with one class, found by the registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

import msgspec

from lab.records.secret import MASK
from lab.records.variant import Driver, Traits, Variant
from lab.registry import Registry


@dataclass(frozen=True)
class Now:
    """A database as its settings say it is: `settings` is DATABASES[alias] without OPTIONS, which are `options`."""

    settings: dict[str, Any]
    options: dict[str, Any]
    driver: Driver
    traits: Traits

    @property
    def pool(self) -> bool:
        """Whether Django's own pool is in use."""
        return bool(self.options.get("pool"))

    @property
    def kept(self) -> bool:
        """Whether settings keep connections beyond a request."""
        return self.pool or self.settings.get("CONN_MAX_AGE", 0) != 0


@dataclass(frozen=True)
class Laid:
    """What a change lays on a database."""

    settings: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


class Change(ABC):
    """One change of DATABASES[alias].

    `does` and `costs` are one sentence each, `source` is the address of the documentation. `promises` are those whose
    plans it is tried on. `price` orders changes that mend the same: 1 for one that nothing else notices.
    """

    id: ClassVar[str]
    does: ClassVar[str]
    costs: ClassVar[str]
    source: ClassVar[str]
    promises: ClassVar[tuple[str, ...]]
    price: ClassVar[int] = 1
    scaled: ClassVar[str] = ""
    """Where the proof takes a shorter value than the advice, so that it takes no minute: which one."""

    @property
    def code(self) -> str:
        """What a project needs besides its settings: a function, to be pasted before DATABASES; "" where nothing."""
        return ""

    @abstractmethod
    def lay(self, now: Now, *, proof: bool) -> Laid | None:
        """What it lays on; None where it has nothing to change there. `proof`: with the shorter value."""


CHANGES: Registry[Change] = Registry("change", "lab.advice.changes")
C = TypeVar("C", bound=type[Change])


def change(cls: C) -> C:
    """Register a change under its `id`."""
    CHANGES.add(cls.id, cls())
    return cls


def now_of(variant: Variant, traits: Traits) -> Now:
    """The database of a variant, as its subject found it."""
    settings = dict(traits.settings)
    options = settings.pop("OPTIONS", {})
    return Now(settings, dict(options) if isinstance(options, dict) else {}, variant.driver, traits)


def laid_on(ids: Sequence[str], variant: Variant, traits: Traits, *, proof: bool) -> Variant | None:
    """The variant with these changes, in the order of their names; None where one of them has nothing to change."""
    now = now_of(variant, traits)
    settings, options = dict(variant.settings), dict(variant.options)
    for name in sorted(ids):
        laid = CHANGES.get(name).lay(now, proof=proof)
        if laid is None or MASK in str(laid.options):
            return None
        now = replace(now, settings={**now.settings, **laid.settings}, options={**now.options, **laid.options})
        settings.update(laid.settings)
        options.update(laid.options)
    return msgspec.structs.replace(variant, settings=settings, options=options)


def pool_options(now: Now) -> dict[str, Any] | None:
    """What the pool is given; None without a pool, or where a callable was told as a text, not to be given again."""
    pool = now.options.get("pool")
    given = pool if isinstance(pool, dict) else {}
    lost = any(isinstance(value, str) and not value.startswith(IMPORT) for value in given.values())
    return None if not pool or lost else given


IMPORT = "import:"
"""How a text begins that stands for what it names, as the subject takes it."""


def server_option(now: Now, name: str, value: str) -> Laid | None:
    """A setting of the server for each session, beside those that `options` has; None where it has that one."""
    given = str(now.options.get("options") or "")
    if name in given:
        return None
    return Laid(options={"options": f"{given} -c {name}={value}".strip()})
