"""What differs between versions: of the same variants, judged in several corners, as the store keeps it."""

from __future__ import annotations

from msgspec import Struct, field

from lab.records.verdict import Verdict

VERSIONS = "versions"
"""The folder of a store that holds it, and what its kind is called."""


class Difference(Struct, frozen=True):
    """What one plan shows of a promise in each corner, where that is not the same; `plan` is its path.

    Without a plan: the promise applies in some corners alone. `examples` are paths of stored runs of it, by corner.
    """

    variant: str
    promise: str
    moment: str
    verdicts: dict[str, Verdict]
    plan: str = ""
    examples: dict[str, str] = field(default_factory=dict)


class InCorner(Struct, frozen=True):
    """What a check of one variant came to in one corner: the sum in words, and each promise's verdict."""

    says: str
    verdicts: dict[str, Verdict]


class Versions(Struct, frozen=True, kw_only=True):
    """Several variants in several corners of versions.

    `corners` gives the exact versions by the corner's name; `found` the results by variant and corner. `unsteady`: what
    looked like a difference, by plans whose runs disagree in one and the same corner. `left_out`: which variants cannot
    run where, and why.
    """

    corners: dict[str, str]
    found: dict[str, dict[str, InCorner]]
    claims: dict[str, tuple[str, ...]]
    differences: tuple[Difference, ...] = ()
    unsteady: tuple[Difference, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
