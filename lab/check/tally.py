"""Trials -> verdicts: the verdict on a promise is that of its worst moment (docs/verdicts.md)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from lab.check.claims import claimed, djangos_own, is_row
from lab.check.trial import Trial
from lab.promise import Promise
from lab.records.result import PromiseResult
from lab.records.variant import Variant
from lab.records.verdict import Finding, Verdict, worst
from lab.records.words import count

SEEN = (Verdict.KEPT, Verdict.BROKEN)
DEAD = ("recovers", "bounded-wait")
"""Where one of these is broken no request is served, or no call returns: a later moment is never reached."""


@dataclass(frozen=True)
class _View:
    """One trial, as far as it concerns one promise. `own`: the case was made for that promise."""

    moment: str
    own: bool
    finding: Finding
    trial: Trial

    @property
    def verdict(self) -> Verdict:
        """The trial's verdict on the moment; n/a for one that was not reached because the variant was dead."""
        unseen = self.own and self.finding.verdict is Verdict.UNKNOWN and not self.trial.missing
        dead = [name for name in DEAD if self.trial.finding(name).verdict is Verdict.BROKEN]
        return Verdict.NA if unseen and dead else self.finding.verdict

    def rank(self) -> tuple[bool, bool, bool]:
        """The trial's rank as evidence, best first: confirmed, not explained by another promise, made for this one."""
        agreement = self.trial.agreement.get(self.finding.promise)
        confirmed = agreement is not None and agreement.runs > 1 and agreement.unanimous
        return (not confirmed, self.trial.cause != self.finding.promise, not self.own)


def tally(
    variant: Variant,
    promises: Sequence[Promise],
    not_applicable: Mapping[str, str],
    trials: Sequence[Trial],
    random: Mapping[str, int] | None = None,
    *,
    project: bool = False,
    known: Mapping[str, Collection[str]] | None = None,
    chosen: bool = False,
) -> dict[str, PromiseResult]:
    """The result of every promise, in the order of their names; `random` runs put so many of them at stake.

    Of a `project` what plans show that change its settings is told apart, and decides nothing. `known` are the moments
    at which Django itself breaks each promise: what is broken elsewhere counts as claimed, unless the claims were
    `chosen` for this check.
    """
    results = {}
    for promise in sorted(promises, key=lambda each: each.id):
        if reason := not_applicable.get(promise.id):
            asked = variant.claimed(promise.id)
            results[promise.id] = PromiseResult(verdict=Verdict.NA, claimed=asked, summary=reason)
        else:
            views = [_view(promise.id, trial) for trial in trials]
            added = [view for view in views if project and _changed(view, variant)]
            own = [view for view in views if view not in added]
            result = _result(variant, promise, own, (random or {}).get(promise.id, 0))
            result = _by_settings(result, added) if added else result
            if known is not None:
                shown = [view for view in own if view.finding.verdict is Verdict.BROKEN]
                djangos = {*known.get(promise.id, ()), *variant.limits.get(promise.id, ()), *_by_django(variant, shown)}
                result = _whose(result, own, djangos, chosen=chosen)
            results[promise.id] = result
    return results


def counts(
    variant: Variant, promise: Promise, trial: Trial, *, known: Mapping[str, Collection[str]] | None, chosen: bool
) -> bool:
    """Whether what one trial broke counts as broken and not as a limit; all other trials are ignored.

    `known` and `chosen` as for `tally`.
    """
    view = _view(promise.id, trial)
    if known is None:
        own = {*djangos_own(variant, promise), *_by_django(variant, [view])}
        return view.moment not in own and claimed(variant, promise.id, view.moment)
    limits = {*known.get(promise.id, ()), *variant.limits.get(promise.id, ()), *_by_django(variant, [view])}
    beyond = view.moment not in limits and (view.own or not limits)
    return beyond and (variant.claimed(promise.id) or not chosen)


def _changed(view: _View, variant: Variant) -> bool:
    """Whether its plan has settings that the lab has laid on the variant's own."""
    plan = view.trial.case.plan.variant
    return (plan.settings, plan.options) != (variant.settings, variant.options)


def _by_settings(result: PromiseResult, added: list[_View]) -> PromiseResult:
    """The result with what changed settings would show."""
    moments: dict[str, list[Verdict]] = {}
    for view in added:
        if view.own:
            moments.setdefault(view.moment, []).append(view.verdict)
    shown = {moment: worst(found) for moment, found in moments.items()}
    if shown and not result.moments:
        why = "only settings that the lab has added put it at stake"
        return msgspec.structs.replace(result, verdict=Verdict.NA, summary=why, added=shown)
    return msgspec.structs.replace(result, added=shown)


def _whose(result: PromiseResult, views: list[_View], known: Collection[str], *, chosen: bool) -> PromiseResult:
    """The result with which of its broken moments are Django's own; the others are the project's, and count.

    Where the claims were `chosen`, those alone do.
    """
    broken = [moment for moment, verdict in result.moments.items() if verdict is Verdict.BROKEN]
    asked = {view.moment for view in views if view.own}
    limits = tuple(moment for moment in broken if moment in known or (moment not in asked and known))
    yours = len(limits) < len(broken) and not chosen
    return msgspec.structs.replace(result, claimed=result.claimed or yours, limits=limits)


def _view(promise: str, trial: Trial) -> _View:
    own = any(made == promise for made, _ in trial.case.made_for)
    return _View(trial.case.moment(promise), own, trial.finding(promise), trial)


def _result(variant: Variant, promise: Promise, views: list[_View], random: int) -> PromiseResult:
    moments: dict[str, list[Verdict]] = {}
    for view in views:
        # A case that was made for another promise counts where it breaks this one; that it holds here proves little.
        if view.own or view.finding.verdict is Verdict.BROKEN:
            moments.setdefault(view.moment, []).append(view.verdict)
    verdicts = {moment: worst(found) for moment, found in moments.items()}
    counted = [view for view in views if view.own or view.finding.verdict in SEEN]
    broken = [view for view in views if view.finding.verdict is Verdict.BROKEN]
    broken.sort(key=_View.rank)
    verdict = worst(verdicts.values())
    limits = _djangos(variant, promise, verdicts, broken)
    if limits:
        verdict = worst(found for moment, found in verdicts.items() if moment not in limits)
        broken.sort(key=lambda view: view.moment in limits)
    blamed = [view for view in broken if view.moment not in limits]
    if verdict is Verdict.NA:  # no moment was reached; n/a is kept for what the configuration rules out
        verdict = Verdict.UNKNOWN
    return PromiseResult(
        verdict=verdict,
        claimed=bool(limits) or claimed(variant, promise.id, *_broken(verdicts)),
        cause=(blamed[0].trial.cause or promise.id) if blamed else None,
        cases=sum(view.trial.runs for view in counted) + random,
        void=sum(view.trial.void for view in counted),
        summary=_summary(verdict, verdicts, blamed, [view for view in views if view.own]),
        moments=verdicts,
        evidence=tuple(dict.fromkeys(view.trial.evidence for view in broken)),
        limits=limits,
        errors={view.moment: error for view in reversed(broken) if (error := view.trial.errors.get(promise.id, ""))},
    )


def _broken(verdicts: Mapping[str, Verdict]) -> list[str]:
    return [moment for moment, verdict in verdicts.items() if verdict is Verdict.BROKEN]


def _djangos(
    variant: Variant, promise: Promise, verdicts: Mapping[str, Verdict], views: list[_View]
) -> tuple[str, ...]:
    """The broken moments that are Django's own, if the promise is claimed and others held or are the ENGINE's."""
    broken = _broken(verdicts)
    own = {*djangos_own(variant, promise), *_by_django(variant, views)}
    elsewhere = Verdict.KEPT in verdicts.values() or not set(broken) <= own
    return tuple(moment for moment in broken if moment in own) if elsewhere and variant.claimed(promise.id) else ()


def _by_django(variant: Variant, broken: Iterable[_View]) -> set[str]:
    """The moments that were broken by Django's own code alone; none for a row that claims everything nevertheless."""
    if is_row(variant) and variant.claims is None:
        return set()
    broken = list(broken)
    return {view.moment for view in broken} - {view.moment for view in broken if not view.finding.djangos}


def _summary(verdict: Verdict, moments: dict[str, Verdict], broken: list[_View], own: list[_View]) -> str:
    if broken:
        first = broken[0]
        agreement = first.trial.agreement[first.finding.promise]
        return f"{first.moment}: {first.finding.summary} ({agreement})"
    if verdict is Verdict.KEPT:
        held = sum(view.finding.verdict is Verdict.KEPT for view in own)
        at = sum(verdict is not Verdict.BROKEN for verdict in moments.values())
        return f"held in {count(held, 'plan')} at {count(at, 'moment')}"
    unseen = next((view for view in own if view.finding.verdict is Verdict.UNKNOWN), None)
    if unseen is None:
        return "no plan puts it at stake for this variant"
    return f"{unseen.moment}: {unseen.finding.summary or 'not at stake'}"
