"""The way of one advice: check, try each change on the evidence, choose, prove all together, measure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec

from lab.advice.change import CHANGES, now_of
from lab.advice.choose import covers, smallest
from lab.advice.cost import cost
from lab.advice.tried import Bench, Evidence, Ids, Tried, agreement
from lab.check.check import Apart, Options, check, no_second
from lab.check.progress import Progress, Silent
from lab.check.subjects import subjects
from lab.promise import PROMISES
from lab.records.advice import Advice, Advised, Cost, Mended, PromiseAdvice
from lab.records.codec import decode_plan
from lab.records.plan import Plan
from lab.records.result import PromiseResult, Result
from lab.records.variant import Variant
from lab.records.verdict import Verdict
from lab.rig.protocol import RigProtocol
from lab.store import Store

MOST = 12
"""Evidence plans of one promise that changes are tried on."""
PAIRS = 6
"""Pairs of changes that are tried for one promise where single ones do not do."""
PROOFS = 2
"""Runs of each plan under all advised changes together."""
BACKENDS = ("backend_under_test.persistent_threadlocal",)
"""Bundled ENGINEs that are tried where no setting helps."""


def advise(
    variant: Variant,
    rig: RigProtocol,
    options: Options,
    store: Store,
    progress: Progress | None = None,
    apart: Apart = no_second,
) -> Advice:
    """Find what to change in a variant's settings; raises what `check` raises.

    The check is that of the directed plans; what is tried on evidence stays in memory, but for the plans themselves.
    """
    progress = progress or Silent()
    directed = replace(options, search=0.0, cuts=False)
    (result,) = check([variant], rig, directed, store, progress, apart)
    evidence = [each for name, promise in result.promises.items() for each in _evidence(name, promise, variant)]
    with subjects(rig) as started:
        bench = Bench(variant, evidence, rig, started, progress.say)
        return _Way(bench, result, rig, directed, store, progress).advice()


def _evidence(name: str, promise: PromiseResult, variant: Variant) -> list[Evidence]:
    """The stored plans that broke a promise, one for each moment; without those whose settings the lab had changed."""
    found: dict[str, Evidence] = {}
    for path in promise.evidence if promise.verdict is Verdict.BROKEN else ():
        plan = decode_plan((Path(path)).read_bytes(), path)
        own = (plan.variant.settings, plan.variant.options) == (variant.settings, variant.options)
        moment = plan.moment if plan.promise == name else f"{plan.promise}: {plan.moment}"
        if own and not (plan.promise != name and found):
            found.setdefault(moment, Evidence(name, moment, plan, path))
    return sorted(found.values(), key=lambda each: not _in_requests(each.plan))[:MOST]


def _in_requests(plan: Plan) -> bool:
    """Whether all that happens is in requests; settings for commands and tasks are few."""
    return all(plan.lifecycle(actor) == "request" for actor in plan.actors())


class _Way:
    """One advice in the making."""

    def __init__(
        self,
        bench: Bench,
        result: Result,
        rig: RigProtocol,
        options: Options,
        store: Store,
        progress: Progress,
    ) -> None:
        self._bench = bench
        self._result = result
        self._rig = rig
        self._options = options
        self._store = store
        self._progress = progress
        self._dropped: dict[str, str] = {}

    def advice(self) -> Advice:
        """Try, choose, prove, measure."""
        tried = self._singles()
        self._pairs(tried)
        harmless = {each.ids: self._mended(each) for each in tried if not self._lost(each)}
        lossy = {each.ids: self._mended(each) for each in tried if self._lost(each)}
        chosen = self._proven(self._chosen(harmless))
        proof = self._bench.tried(chosen) if chosen else None
        if proof is not None:
            self._progress.say(f"proving {', '.join(sorted(chosen))} together")
            self._bench.show([(proof, place) for place in range(len(self._bench.evidence))], PROOFS)
        left = [place for place in range(len(self._bench.evidence)) if proof is None or not proof.mends(place)]
        backends = self._backends(left)
        mended = [
            self._told(place, proof, harmless, lossy if place in left else {}, backends)
            for place in range(len(self._bench.evidence))
        ]
        otherwise = {each.otherwise for each in mended if each.otherwise}
        return Advice(
            variant=self._bench.variant.name,
            engine=self._bench.as_it_is.zygote.engine,
            alias=self._bench.variant.alias,
            before=self._database(self._bench.as_it_is),
            after=self._database(self._bench.tried(chosen, proof=False) or self._bench.as_it_is),
            promises=self._promises(mended),
            tried=tuple(
                Advised(id=each.id, does=each.does, costs=each.costs, source=each.source, code=each.code)
                for each in CHANGES.values()
                if any(each.id in one.ids for one in tried)
            ),
            changes=tuple(sorted(chosen)),
            dropped=self._dropped,
            gives_up={
                "+".join(sorted(ids)): self._lost(found)
                for ids in map(frozenset, otherwise)
                if (found := self._bench.tried(ids)) is not None
            },
            proven_with=tuple(scaled for name in sorted(chosen) if (scaled := CHANGES.get(name).scaled)),
            cost=self._cost(chosen) if chosen else None,
            otherwise_cost={
                "+".join(sorted(ids)): spent for ids in map(frozenset, otherwise) if (spent := self._cost(ids))
            },
        )

    # -- trying -------------------------------------------------------------------------------------------------------

    def _places(self, promise: str) -> list[int]:
        return [place for place, each in enumerate(self._bench.evidence) if each.promise == promise]

    def _broken(self) -> list[str]:
        return list(dict.fromkeys(each.promise for each in self._bench.evidence))

    def _singles(self) -> list[Tried]:
        found: list[Tried] = []
        jobs: list[tuple[Tried, int]] = []
        for each in CHANGES.values():
            places = [place for name in each.promises for place in self._places(name)]
            if places and (tried := self._bench.tried([each.id])) is not None:
                found.append(tried)
                jobs += [(tried, place) for place in places]
        self._progress.say(f"trying {len(found)} changes on {len(self._bench.evidence)} plans, {len(jobs)} runs")
        self._bench.show(jobs)
        return found

    def _pairs(self, tried: list[Tried]) -> None:
        """Where no single one without a loss mends a plan, two together may."""
        singles = [each for each in tried if not self._lost(each)]
        jobs: dict[tuple[Ids, int], tuple[Tried, int]] = {}
        for promise in self._broken():
            left = [place for place in self._places(promise) if not any(each.mends(place) for each in singles)]
            relevant = sorted(
                (each for each in singles if promise in CHANGES.get(next(iter(each.ids))).promises),
                key=lambda each: CHANGES.get(next(iter(each.ids))).price,
            )
            for one, two in list(combinations(relevant, 2))[:PAIRS] if left else ():
                pair = self._bench.tried(one.ids | two.ids)
                if pair is not None and not self._lost(pair):
                    jobs.update({(pair.ids, place): (pair, place) for place in left})
        if jobs:
            self._progress.say(f"trying pairs of changes, {len(jobs)} runs")
            self._bench.show(list(jobs.values()))
            tried += {pair.ids: pair for pair, _ in jobs.values()}.values()

    def _mended(self, tried: Tried) -> frozenset[int]:
        return frozenset(place for place in tried.shown if tried.mends(place))

    def _lost(self, tried: Tried) -> tuple[str, ...]:
        """Promises that apply now and are not seen to be broken, and that would not apply any more."""
        known = self._result.promises
        return tuple(
            name
            for name in PROMISES
            if not (name in known and known[name].verdict is Verdict.BROKEN)
            and tried.rules_out(name)
            and not self._bench.as_it_is.rules_out(name)
        )

    # -- choosing, and proving ----------------------------------------------------------------------------------------

    def _chosen(self, mends: dict[Ids, frozenset[int]]) -> Ids:
        """The smallest set for all promises together."""
        each = [smallest(self._places(promise), mends, _price) for promise in self._broken()]
        chosen = frozenset[str]().union(*each)
        goal = covers(chosen, mends)
        for name in sorted(chosen, key=_price, reverse=True):
            if covers(chosen - {name}, mends) >= goal:
                chosen -= {name}
        while chosen and self._bench.tried(chosen) is None:  # two of them do not go together
            chosen -= {max(sorted(chosen), key=_price)}
        return chosen

    def _proven(self, chosen: Ids) -> Ids:
        """The set without what breaks something that is kept now: all directed plans run under it, in brief."""
        while chosen:
            changed = self._bench.tried(chosen, proof=False)
            if changed is None:
                return frozenset()
            self._progress.say(f"looking whether {', '.join(sorted(chosen))} breaks anything else")
            harm = self._harm(changed)
            if not harm:
                return chosen
            culprit = self._culprit(chosen, harm)
            self._dropped[culprit] = ", ".join(f"{name}: {moment}" for name, moment in harm)
            chosen -= {culprit}
        return chosen

    def _harm(self, changed: Tried) -> list[tuple[str, str]]:
        """Moments that were kept as it is, and that are broken with the changes."""
        variant = msgspec.structs.replace(changed.variant, name=f"{changed.variant.name}, changed")
        brief = replace(self._options, brief=True, promises=())
        (result,) = check([variant], self._rig, brief, self._store, _Quiet(self._progress))
        before = self._result.promises
        return [
            (name, moment)
            for name, promise in result.promises.items()
            for moment, verdict in promise.moments.items()
            if verdict is Verdict.BROKEN
            and name in before
            and (before[name].verdict is Verdict.NA or before[name].moments.get(moment) is Verdict.KEPT)
        ]

    def _culprit(self, chosen: Ids, harm: Sequence[tuple[str, str]]) -> str:
        """The change without which the harm is least; the dearest of those."""
        if len(chosen) == 1:
            return next(iter(chosen))
        named = {name for name, _ in harm}

        def left(name: str) -> int:
            rest = self._bench.tried(chosen - {name}, proof=False)
            if rest is None:
                return len(harm)
            return sum(each in harm for each in self._harm(rest) if each[0] in named)

        return min(sorted(chosen), key=lambda name: (left(name), -_price(name)))

    def _backends(self, left: Sequence[int]) -> dict[str, Tried]:
        """Bundled ENGINEs, with what the plans that nothing mends show there."""
        found = {}
        for engine in BACKENDS if left else ():
            if (tried := self._bench.backend(engine)) is not None:
                self._bench.show([(tried, place) for place in left])
                found[engine] = tried
        return found

    # -- telling ------------------------------------------------------------------------------------------------------

    def _told(
        self,
        place: int,
        proof: Tried | None,
        harmless: dict[Ids, frozenset[int]],
        lossy: dict[Ids, frozenset[int]],
        backends: dict[str, Tried],
    ) -> Mended:
        evidence = self._bench.evidence[place]
        mended = proof is not None and proof.mends(place)
        part = {ids: places for ids, places in harmless.items() if proof is not None and ids <= proof.ids}
        by = smallest([place], part, _price) if mended else frozenset[str]()
        return Mended(
            moment=evidence.moment,
            plan=evidence.path,
            after=proof.verdict(place) if proof is not None else Verdict.BROKEN,
            runs=agreement(proof.shown.get(place, [])) if proof is not None else "",
            proof=self._flags(proof) if mended and proof is not None else (),
            changes=tuple(sorted(by or (proof.ids if mended and proof is not None else ()))),
            otherwise=tuple(sorted(smallest([place], lossy, _price))),
            backends=tuple(engine for engine, tried in backends.items() if tried.mends(place)),
        )

    def _flags(self, tried: Tried) -> tuple[str, ...]:
        """What lays the changes on a stored plan."""
        own = self._bench.variant
        flags = [
            f"--{flag} '{key}={msgspec.json.encode(value).decode()}'"
            for flag, values, known in (
                ("setting", tried.variant.settings, own.settings),
                ("option", tried.variant.options, own.options),
            )
            for key, value in values.items()
            if key not in known or known[key] != value
        ]
        return tuple(flags)

    def _promises(self, mended: Sequence[Mended]) -> dict[str, PromiseAdvice]:
        found: dict[str, PromiseAdvice] = {}
        for promise in self._broken():
            result = self._result.promises[promise]
            broken = sum(verdict is Verdict.BROKEN for verdict in result.moments.values())
            moments = tuple(mended[place] for place in self._places(promise))
            found[promise] = PromiseAdvice(
                claimed=result.claimed, moments=moments, untried=max(broken - len(moments), 0)
            )
        return found

    def _database(self, tried: Tried) -> dict[str, Any]:
        now = now_of(tried.variant, tried.zygote.traits)
        options = {key: value for key, value in now.options.items() if value is not None}
        shown = {key: value for key, value in now.settings.items() if key in TOLD and (value or key in CHANGED)}
        return {**shown, **({"OPTIONS": options} if options else {})}

    def _cost(self, ids: Iterable[str]) -> Cost | None:
        after = self._bench.tried(ids, proof=False)
        if after is None:
            return None
        before = self._bench.as_it_is
        return cost((before.variant, before.zygote), (after.variant, after.zygote), self._rig)


CHANGED = ("CONN_MAX_AGE", "CONN_HEALTH_CHECKS", "ATOMIC_REQUESTS", "DISABLE_SERVER_SIDE_CURSORS")
TOLD = (*CHANGED, "AUTOCOMMIT", "TIME_ZONE")
"""Keys of DATABASES[alias] that a diff shows."""


def _price(name: str) -> int:
    return CHANGES.get(name).price


class _Quiet(Silent):
    """Progress of a check inside an advice: what it says of the lab itself, and nothing else."""

    def __init__(self, outer: Progress) -> None:
        self._say: Callable[[str], None] = outer.say

    def say(self, line: str) -> None:
        self._say(line)
