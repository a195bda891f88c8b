"""The result of a check: one variant's verdicts, as `--json` writes them and the store keeps them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, field

from lab.records.verdict import Verdict, worst


class PromiseResult(Struct, frozen=True, kw_only=True):
    """What is concluded of one promise: the worst of its `moments`, each the worst of its runs.

    `cases` counts the runs that were made for it or put it at stake, `void` those among them that proved nothing.
    `cause` is the promise that explains a broken one (itself, when nothing else does). `evidence` are the paths of
    plans that replay to the broken verdict. `errors`: the first error that an application saw at a broken moment.
    `limits` are broken moments at which Django itself breaks it, too: never a broken claim. `added`: moments under
    settings that the lab has added to the variant's own; they decide nothing.
    """

    verdict: Verdict
    claimed: bool
    cause: str | None = None
    cases: int = 0
    void: int = 0
    summary: str = ""
    moments: dict[str, Verdict] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    errors: dict[str, str] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    added: dict[str, Verdict] = field(default_factory=dict)

    def claims(self, moment: str) -> bool:
        """Whether it is claimed at this moment."""
        return self.claimed and moment not in self.limits


class VariantInfo(Struct, frozen=True, kw_only=True):
    """The variant as it really ran. What is no JSON value in its settings or OPTIONS is given as text.

    `keeping` says what was seen of the sessions that it keeps between requests.
    `notes`: what of the project was replaced, and what is not used. `project`: it is a project's, or
    settings of Django's own ENGINE.
    """

    name: str
    engine: str
    driver: str
    settings: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    keeping: str = ""
    notes: tuple[str, ...] = ()
    project: bool = False


class Result(Struct, frozen=True, kw_only=True):
    """One variant judged. `verdict` is the worst over the promises that it claims; n/a where it claims none of them.

    `seconds` is the wall time from the first plan to the last. A promise that is not implemented is absent. `skipped`
    says which parts of the check could not be run, and why; all others were. `shard`, such as "2/5", is the part of all
    plans that was run; "" for all of them.
    """

    verdict: Verdict
    variant: VariantInfo
    versions: dict[str, str]
    seed: int
    seconds: float
    cases: int
    void: int
    promises: dict[str, PromiseResult]
    skipped: tuple[str, ...] = ()
    shard: str = ""

    @property
    def status(self) -> int:
        """The exit status: 0 all claimed promises kept, 1 a claimed one broken, 2 a claimed one unknown."""
        return {Verdict.BROKEN: 1, Verdict.UNKNOWN: 2}.get(self.verdict, 0)


def overall(promises: dict[str, PromiseResult]) -> Verdict:
    """The worst verdict over the claimed ones among `promises`, n/a when there are none."""
    return worst([Verdict.NA, *(promise.verdict for promise in promises.values() if promise.claimed)])


def encode_results(results: tuple[Result, ...] | list[Result]) -> bytes:
    """One result as its own JSON object, several as `{"variants": [...]}`."""
    document: Any = results[0] if len(results) == 1 else {"variants": results}
    return msgspec.json.format(msgspec.json.encode(document, enc_hook=str), indent=1) + b"\n"


def exit_status(results: tuple[Result, ...] | list[Result]) -> int:
    """1 when a claimed promise of any variant is broken, else 2 when one is unknown, else 0."""
    states = {result.status for result in results}
    return 1 if 1 in states else max(states, default=0)
