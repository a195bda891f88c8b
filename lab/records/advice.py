"""Advice: which settings turn broken promises into kept ones, as running the plans that showed them has proven."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from lab.records.verdict import Verdict


class Advised(Struct, frozen=True, kw_only=True):
    """A change that was tried: its id, what it does in one sentence, what it costs, and where that is documented.

    `code` is what has to be pasted before DATABASES besides, "" where nothing has.
    """

    id: str
    does: str
    costs: str
    source: str
    code: str = ""


class Mended(Struct, frozen=True, kw_only=True):
    """One broken moment of a promise, and what came of its plan.

    `plan` is the path of the stored plan that showed it. `after` is its verdict under all the advised changes together,
    n/a where the promise does not apply any more; `runs` says how many runs of that agree. `proof` are the flags with
    which `lab replay` shows it. `changes` are the ids of the smallest set that mends it, () where none does.
    `otherwise`: the smallest set that mends it and gives up a promise that is kept now.
    `backends` are bundled ENGINEs that were seen to keep it where no setting did.
    """

    moment: str
    plan: str
    after: Verdict
    runs: str = ""
    proof: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    otherwise: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()

    @property
    def mended(self) -> bool:
        """Whether the advised changes keep it."""
        return bool(self.changes) and self.after in (Verdict.KEPT, Verdict.NA)


class PromiseAdvice(Struct, frozen=True, kw_only=True):
    """A broken promise: whether it is claimed, its moments, and how many more were broken that were not tried."""

    claimed: bool
    moments: tuple[Mended, ...]
    untried: int = 0


class Cost(Struct, frozen=True, kw_only=True):
    """Milliseconds of a request of one query, medians of rounds that took turns, through the lab's proxy.

    `least` and `most`: the smallest and the largest difference that a round has shown.
    """

    before: float
    after: float
    least: float
    most: float
    requests: int

    @property
    def shows(self) -> bool:
        """Whether all rounds say the same: dearer, or cheaper. Else the difference is the machine's noise."""
        return self.least > 0 or self.most < 0


class Advice(Struct, frozen=True, kw_only=True):
    """What to change in one database's settings.

    `before` and `after` are what a project writes: DATABASES[alias] without the server's address. `tried` are all
    changes that were tried, `changes` the ids of those that are advised, in their order. `dropped`: changes that would
    have mended something and break something else, with what. `gives_up`: for a set of changes (ids, joined with "+")
    the promises that are kept now and that would not apply, and `otherwise_cost` what it costs.
    `proven_with`: settings whose value is shorter in the proof than in the advice, so that it takes a second.
    """

    variant: str
    engine: str
    alias: str
    before: dict[str, Any]
    after: dict[str, Any]
    promises: dict[str, PromiseAdvice]
    tried: tuple[Advised, ...] = ()
    changes: tuple[str, ...] = ()
    dropped: dict[str, str] = field(default_factory=dict)
    gives_up: dict[str, tuple[str, ...]] = field(default_factory=dict)
    proven_with: tuple[str, ...] = ()
    cost: Cost | None = None
    otherwise_cost: dict[str, Cost] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """The exit status: 1 when a claimed promise stays broken, else 0."""
        left = (
            mended
            for promise in self.promises.values()
            if promise.claimed
            for mended in promise.moments
            if not mended.mended
        )
        return 1 if any(left) else 0
