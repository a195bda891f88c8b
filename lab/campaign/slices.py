"""The slices of a campaign: what one worker runs at a time. A slice is data, and what it comes to is data, too."""

from __future__ import annotations

import time
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from lab.campaign.kinds import EXAMPLES, Kind, exploration
from lab.check.fit import fitted
from lab.explore.engine import About, Outcome, Ran, Runs, Target, about
from lab.records.record import Record
from lab.records.variant import Variant
from lab.records.verdict import Finding, Verdict
from lab.rig.machine.environments import Environment

NARROW = 1
"""Cases that compute at once on a worker: there is a worker for each processor."""
AGAIN = 4
"""Times at most that a case is run until a run proves something: what is void must not depend on the workers."""

D = TypeVar("D")


class Slice(ABC, Generic[D]):
    """What one worker runs at a time; its `run` is all that it depends on, besides the code."""

    variant: Variant

    @property
    @abstractmethod
    def title(self) -> str:
        """What it is, in a few words."""

    @abstractmethod
    def run(self, target: Target) -> D:
        """Run it where its variant's zygote is."""


@dataclass(frozen=True)
class Seen:
    """What a clean run has shown: what the cases of an exploration depend on, and all that an outcome does."""

    seen: Any
    about: About
    bound: float


@dataclass(frozen=True)
class Look(Slice[Seen]):
    """A clean run, before an exploration."""

    variant: Variant
    kind: Kind
    preemptions: int | None = None

    @property
    def title(self) -> str:
        return f"{self.variant.name}: {self.kind}, a clean run"

    def run(self, target: Target) -> Seen:
        return Seen(exploration(self.kind, self.preemptions).look(target), about(target), target.bound)


@dataclass(frozen=True)
class Outcomes:
    """What cases came to, by name, how many runs put which promise at stake, and in how many seconds."""

    outcomes: tuple[tuple[str, Outcome], ...]
    at_stake: dict[str, int]
    seconds: float


@dataclass(frozen=True)
class Cases(Slice[Outcomes]):
    """Some cases of an exploration."""

    variant: Variant
    kind: Kind
    cases: tuple[Any, ...]
    preemptions: int | None = None

    @property
    def title(self) -> str:
        return f"{self.variant.name}: {len(self.cases)} cases of {self.kind} from {self.cases[0].name}"

    def run(self, target: Target) -> Outcomes:
        begun = time.monotonic()
        runs = Runs(exploration(self.kind, self.preemptions), target, narrow=NARROW, again=AGAIN)
        done: dict[str, Outcome] = {}
        runs.all(self.cases, lambda case, outcome: done.__setitem__(case.name, outcome))
        ordered = tuple((case.name, done[case.name]) for case in self.cases)
        return Outcomes(ordered, dict(runs.at_stake), time.monotonic() - begun)


@dataclass(frozen=True)
class Example(Slice[Ran[Any]]):
    """The example of a class, run once more as `lab replay` does."""

    variant: Variant
    kind: Kind
    case: Any
    expected: Outcome
    preemptions: int | None = None

    @property
    def title(self) -> str:
        return f"{self.variant.name}: an example of {self.kind}, {self.case.name}"

    def run(self, target: Target) -> Ran[Any]:
        return Runs(exploration(self.kind, self.preemptions), target).example(self.case, self.expected)


@dataclass(frozen=True)
class Find:
    """A broken promise that a seed came upon: one run of its shrunk plan, judged; `agreed` of `replays` agree."""

    promise: str
    record: Record
    findings: tuple[Finding, ...]
    agreed: int
    replays: int


@dataclass(frozen=True)
class Searched:
    """What a seed came to, and the examples that Hypothesis would keep of it, by key."""

    finds: tuple[Find, ...]
    cases: int
    void: int
    at_stake: dict[str, int]
    examples: tuple[tuple[bytes, bytes], ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Seed(Slice[Searched]):
    """A random search from one seed; promises that are `known` to be broken are not searched for."""

    variant: Variant
    seed: int
    known: tuple[str, ...] = ()
    examples: int = EXAMPLES

    @property
    def title(self) -> str:
        return f"{self.variant.name}: random search from seed {self.seed}"

    def run(self, target: Target) -> Searched:
        from hypothesis.database import InMemoryExampleDatabase  # noqa: PLC0415 - late: it takes a while to import

        from lab.explore.search import search  # noqa: PLC0415

        # Dask's own thread draws random numbers while a strategy does; those of Hypothesis come from elsewhere.
        warnings.filterwarnings("ignore", "Do not use the `random` module inside strategies")
        at_stake: Counter[str] = Counter()

        def on_case(_record: Record, findings: Sequence[Finding]) -> None:
            at_stake.update(each.promise for each in findings if each.verdict in (Verdict.KEPT, Verdict.BROKEN))

        database = InMemoryExampleDatabase()
        found = search(
            self.variant,
            target.rig,
            target.zygote,
            seed=self.seed,
            max_examples=self.examples,
            database=database,
            promises=target.promises,
            exclude=self.known,
            on_case=on_case,
            fit=lambda plan: fitted("", plan, target.zygote.traits),
        )
        examples = sorted((key, value) for key, values in database.data.items() for value in values)
        finds = tuple(Find(each.promise, each.record, each.findings, each.agreed, each.replays) for each in found)
        return Searched(finds, found.cases, found.void, dict(at_stake), tuple(examples), found.seconds)


@dataclass(frozen=True)
class Needs:
    """What a worker must have: this edition of the lab, and environments, which `offline` forbids to make."""

    edition: str
    environments: tuple[Environment, ...] = ()
    offline: bool = False


@dataclass(frozen=True)
class Versions:
    """What a worker has; workers of one campaign have the same."""

    edition: str
    versions: dict[str, str] = field(default_factory=dict)
