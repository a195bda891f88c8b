"""Cases that are broken for the same reason belong together, whether they are cuts or orders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar


class _Verdict(Protocol):
    @property
    def kind(self) -> str: ...

    @property
    def reason(self) -> str: ...


class _Judged(Protocol):
    @property
    def verdict(self) -> _Verdict: ...


J = TypeVar("J", bound=_Judged)


def groups(judged: Sequence[J]) -> dict[str, list[J]]:
    """The broken ones by reason, the largest group first and in each the first that was tried."""
    found: dict[str, list[J]] = {}
    for each in judged:
        if each.verdict.kind == "broken":
            found.setdefault(each.verdict.reason, []).append(each)
    return dict(sorted(found.items(), key=lambda pair: -len(pair[1])))
