"""What changed from one set of results to another: promise by promise, moment by moment, and in the versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from lab.records.result import PromiseResult, Result
from lab.records.verdict import Verdict

Kind = Literal["new", "look", "fixed", "other"]
MEANING: dict[Kind, str] = {
    "new": "broken now, and was not",
    "look": "not known any more: look",
    "fixed": "kept now, and was broken",
    "other": "differs",
}
"""In the order in which they are told."""


@dataclass(frozen=True)
class Change:
    """One promise, or one moment of it, whose verdict is another one; "" where the promise is not judged there."""

    kind: Kind
    variant: str
    promise: str
    moment: str
    old: str
    new: str
    claimed: bool = True


@dataclass(frozen=True)
class Difference:
    """All that changed. `versions` are pairs by variant and name; `only_old` and `only_new` name variants."""

    changes: tuple[Change, ...]
    versions: tuple[tuple[str, str, str, str], ...] = ()
    only_old: tuple[str, ...] = ()
    only_new: tuple[str, ...] = ()

    @property
    def status(self) -> int:
        """The exit status: 1 when something is broken that was not, else 2 when something is not known any more."""
        kinds = {change.kind for change in self.changes}
        return 1 if "new" in kinds else 2 if "look" in kinds else 0


def difference(old: Sequence[Result], new: Sequence[Result]) -> Difference:
    """Compare results of the same variants, by name; of several with one name the last counts."""
    before = {result.variant.name: result for result in old}
    after = {result.variant.name: result for result in new}
    both = [name for name in before if name in after]
    changes = [change for name in both for change in _changes(before[name], after[name])]
    order = list(MEANING)
    changes.sort(key=lambda change: order.index(change.kind))
    return Difference(
        changes=tuple(changes),
        versions=tuple(pair for name in both for pair in _versions(before[name], after[name])),
        only_old=tuple(name for name in before if name not in after),
        only_new=tuple(name for name in after if name not in before),
    )


def _changes(old: Result, new: Result) -> Iterator[Change]:
    for promise in sorted({*old.promises, *new.promises}):
        one, other = old.promises.get(promise), new.promises.get(promise)
        claimed = (other or one).claimed if (other or one) else True  # type: ignore[union-attr]
        moments = list(_moments(new.variant.name, promise, one, other, claimed))
        yield from moments
        if not moments and (kind := _kind(one, other)):
            yield Change(kind, new.variant.name, promise, "", _word(one), _word(other), claimed)


def _moments(
    variant: str, promise: str, one: PromiseResult | None, other: PromiseResult | None, claimed: bool
) -> Iterator[Change]:
    """The moments at which both looked and saw different things: of a broken promise not every moment is looked at."""
    if one is None or other is None:
        return
    for moment, new in other.moments.items():
        old = one.moments.get(moment)
        if old is not None and old is not new:
            yield Change(_judged(old, new), variant, promise, moment, str(old), str(new), claimed)


def _kind(one: PromiseResult | None, other: PromiseResult | None) -> Kind | None:
    if one is None or other is None:
        return None  # a check of some promises says nothing of the others
    return None if one.verdict is other.verdict else _judged(one.verdict, other.verdict)


def _judged(old: Verdict, new: Verdict) -> Kind:
    if new is Verdict.BROKEN:
        return "new"
    if new is Verdict.UNKNOWN:
        return "look"
    return "fixed" if old is Verdict.BROKEN and new is Verdict.KEPT else "other"


def _word(promise: PromiseResult | None) -> str:
    return str(promise.verdict) if promise else ""


def _versions(old: Result, new: Result) -> Iterator[tuple[str, str, str, str]]:
    for name in sorted({*old.versions, *new.versions}):
        one, other = old.versions.get(name, "none"), new.versions.get(name, "none")
        if one != other:
            yield new.variant.name, name, one, other
