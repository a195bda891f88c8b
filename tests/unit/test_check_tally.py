from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec
import pytest

from lab.check.cases import Case, gather, lane
from lab.check.lanes import run_in_lanes
from lab.check.tally import counts, tally
from lab.check.trial import NOT_RUN, Agreement, Trial
from lab.promise import PROMISES, Promise
from lab.records.plan import Begin, End, FaultSpec, Inject, Plan, Read, Step
from lab.records.record import Record
from lab.records.result import PromiseResult, Result, VariantInfo, encode_results, exit_status, overall
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding, Verdict

VARIANT = Variant(name="v", claims=("alpha",))
QUERY: tuple[Step, ...] = (Begin("t0"), Read("t0"), End("t0"))
KEPT, BROKEN, UNKNOWN, NA = Verdict.KEPT, Verdict.BROKEN, Verdict.UNKNOWN, Verdict.NA


class Fake(Promise):
    sentence = "It keeps its word."

    def __init__(self, name: str, *moments: str, reason: str = "") -> None:
        self.id = name  # type: ignore[misc]
        self._moments, self._reason = moments, reason

    def not_applicable(self, variant: Variant, traits: Traits) -> str:
        return self._reason

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        for moment in self._moments:
            yield self.plan(variant, moment, *QUERY, *(QUERY if moment == "long" else ()))

    def judge(self, record: Record) -> Finding:
        return self.kept()


ALPHA, BETA = Fake("alpha", "idle", "long"), Fake("beta", "first")


def finding(promise: str, verdict: Verdict, summary: str = "why", steps: tuple[int, ...] = ()) -> Finding:
    return Finding(promise=promise, verdict=verdict, summary=summary, steps=steps)


def trial(number: int, made_for: str, moment: str, *findings: Finding, cause: str = "", agree: int = 2) -> Trial:
    case = Case(number, Plan(variant=VARIANT, steps=QUERY), ((made_for, moment),))
    broken = [each.promise for each in findings if each.verdict is BROKEN]
    return Trial(
        case=case,
        findings=findings,
        runs=2 if broken else 1,
        cause=cause or (broken[0] if broken else ""),
        evidence=f"/store/{number}/plan.json" if broken else "",
        agreement={promise: Agreement(agree, 2) for promise in broken},
    )


@pytest.mark.parametrize("djangos", [False, True])
@pytest.mark.parametrize("made_for", ["alpha", "beta"])
@pytest.mark.parametrize("moment", ["idle", "long", "in a limit", "of Django"])
@pytest.mark.parametrize("claims", [None, ("alpha",), ("beta",)])
@pytest.mark.parametrize("known", [None, {}, {"alpha": ["idle"]}])
@pytest.mark.parametrize("chosen", [False, True])
def test_what_one_trial_broke_is_called_what_the_table_calls_it(
    djangos: bool,
    made_for: str,
    moment: str,
    claims: tuple[str, ...] | None,
    known: dict[str, list[str]] | None,
    chosen: bool,
) -> None:
    variant = Variant(name="v", claims=claims, limits={"alpha": ("in a limit",)})
    promise = Fake("alpha", "idle")
    promise.of_django = ("of Django",)  # type: ignore[misc]
    shown = trial(1, made_for, moment, msgspec.structs.replace(finding("alpha", BROKEN), djangos=djangos))
    if made_for == "beta":
        shown = replace(shown, findings=(finding("beta", KEPT), *shown.findings))
    held = trial(2, "alpha", "held", finding("alpha", KEPT))
    result = tally(variant, [promise], {}, [shown, held], known=known, chosen=chosen)["alpha"]
    assert counts(variant, promise, shown, known=known, chosen=chosen) == result.claims(moment)


def alpha(*trials: Trial) -> PromiseResult:
    return tally(VARIANT, [ALPHA, BETA], {}, trials)["alpha"]


@pytest.mark.parametrize(
    ("moment", "chosen", "claimed", "limits"),
    [
        ("idle", False, False, ("idle",)),
        ("long", False, True, ()),
        ("idle", True, False, ("idle",)),
        ("long", True, False, ()),
    ],
)
def test_djangos_own_limits_are_told_apart_from_a_projects(
    moment: str, chosen: bool, claimed: bool, limits: tuple[str, ...]
) -> None:
    broken = trial(1, "beta", moment, finding("beta", BROKEN))
    (beta,) = tally(VARIANT, [BETA], {}, [broken], project=True, known={"beta": ["idle"]}, chosen=chosen).values()
    assert (beta.claimed, beta.limits) == (claimed, limits)


@pytest.mark.parametrize(
    ("broken", "row", "verdict", "limits"),
    [
        (("first",), False, KEPT, ("first",)),
        (("first", "second"), False, BROKEN, ("first",)),
        (("second",), False, BROKEN, ()),
        (("first",), True, BROKEN, ()),
    ],
)
def test_moments_that_django_breaks_for_every_engine_decide_nothing_but_for_a_row_that_claims_them(
    broken: tuple[str, ...], row: bool, verdict: Verdict, limits: tuple[str, ...]
) -> None:
    inherits = Fake("beta", "first", "second", "third")
    inherits.of_django = ("first",)  # type: ignore[misc]
    seen = [
        trial(number, "beta", moment, finding("beta", BROKEN if moment in broken else KEPT))
        for number, moment in enumerate(("first", "second", "third"))
    ]
    variant = Variant(name="persistent_global" if row else "v", claims=None)
    (beta,) = tally(variant, [inherits], {}, seen).values()
    assert (beta.verdict, beta.claimed, beta.limits) == (verdict, True, limits)
    assert [beta.claims(moment) for moment in ("first", "third")] == [not limits, True]
    assert overall({"beta": beta}) is verdict
    assert "first: " not in beta.summary or not limits, "Django's own moment is no reason"


@pytest.mark.parametrize(
    ("whose", "row", "verdict", "limits"),
    [
        ((True,), False, KEPT, ("idle",)),
        ((True, False), False, BROKEN, ()),
        ((False,), False, BROKEN, ()),
        ((True,), True, BROKEN, ()),
    ],
)
def test_what_a_judge_says_that_django_itself_has_broken_accuses_no_engine(
    whose: tuple[bool, ...], row: bool, verdict: Verdict, limits: tuple[str, ...]
) -> None:
    """Also in a plan that was made for another promise: by what was seen there, not by the moment's name."""
    seen = [
        trial(number, "alpha", "idle", msgspec.structs.replace(finding("beta", BROKEN), djangos=by_django))
        for number, by_django in enumerate(whose)
    ]
    seen.append(trial(9, "beta", "first", finding("beta", KEPT)))
    variant = Variant(name="persistent_global" if row else "v", claims=None)
    (beta,) = tally(variant, [BETA], {}, seen).values()
    assert (beta.verdict, beta.claimed, beta.limits) == (verdict, True, limits)


def test_where_django_breaks_the_only_moment_that_was_seen_nothing_is_kept() -> None:
    moments = PROMISES.get("hooks-once").of_django
    seen = [trial(number, "hooks-once", moment, finding("hooks-once", BROKEN)) for number, moment in enumerate(moments)]
    (hooks,) = tally(Variant(name="v", claims=None), [PROMISES.get("hooks-once")], {}, seen).values()
    assert (hooks.verdict, hooks.claimed) == (BROKEN, False)


def test_equal_plans_are_one_case_made_for_both_promises() -> None:
    cases = gather(VARIANT, Traits(), [ALPHA, BETA], frozenset(), seed=7).cases
    assert [case.made_for for case in cases] == [(("alpha", "idle"), ("beta", "first")), (("alpha", "long"),)]
    assert {case.plan.seed for case in cases} == {7}


def test_plans_of_a_promise_that_does_not_apply_are_dropped() -> None:
    gathered = gather(VARIANT, Traits(), [ALPHA, Fake("beta", "first", "long", reason="nothing is kept")], frozenset())
    assert gathered.not_applicable == {"beta": "nothing is kept"}
    assert all(made == "alpha" for case in gathered.cases for made, _ in case.made_for)


@pytest.mark.parametrize(("given", "claimed", "expected"), [(None, None, 10.0), (None, 3.0, 3.0), (2.0, 3.0, 2.0)])
def test_bound_is_the_labs_else_the_variants_else_ten(
    given: float | None, claimed: float | None, expected: float
) -> None:
    variant = msgspec.structs.replace(VARIANT, bound=claimed)
    assert {case.plan.bound for case in gather(variant, Traits(), [ALPHA], frozenset(), bound=given).cases} == {
        expected
    }


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ((), "narrow"),
        (("sever-fin",), "narrow"),
        (("black-hole",), "wide"),
        (("kill",), "wide"),
        (("restart",), "alone"),
        (("stall",), "alone"),
    ],
)
def test_lane_follows_the_faults(faults: tuple[str, ...], expected: str) -> None:
    steps = tuple(Inject(FaultSpec(kind)) for kind in faults)
    assert lane(Plan(variant=VARIANT, steps=(*QUERY, *steps))) == expected


def test_transactions_that_stay_open_are_waited_for_in_the_wide_lane() -> None:
    off = msgspec.structs.replace(VARIANT, settings={"AUTOCOMMIT": False})
    assert lane(Plan(variant=off, steps=QUERY)) == "wide"


def test_verdict_is_the_worst_of_its_moments() -> None:
    result = alpha(
        trial(1, "alpha", "idle", finding("alpha", KEPT)), trial(2, "alpha", "long", finding("alpha", UNKNOWN))
    )
    assert result.verdict is UNKNOWN
    assert result.moments == {"idle": KEPT, "long": UNKNOWN}
    assert result.summary == "long: why"


def test_moment_is_the_worst_of_its_plans() -> None:
    result = alpha(
        trial(1, "alpha", "idle", finding("alpha", KEPT)), trial(2, "alpha", "idle", finding("alpha", BROKEN))
    )
    assert result.moments == {"idle": BROKEN}
    assert (result.cases, result.evidence) == (3, ("/store/2/plan.json",))


def test_foreign_run_counts_only_where_it_breaks_the_promise() -> None:
    kept = trial(1, "alpha", "idle", finding("alpha", KEPT))
    foreign = trial(2, "beta", "first", finding("beta", KEPT), finding("alpha", UNKNOWN))
    breaking = trial(3, "beta", "second", finding("beta", KEPT), finding("alpha", BROKEN))
    assert alpha(kept, foreign).moments == {"idle": KEPT}
    assert alpha(kept, foreign, breaking).moments == {"idle": KEPT, "second": BROKEN}


def test_best_evidence_comes_first() -> None:
    flaky = trial(1, "alpha", "idle", finding("alpha", BROKEN), agree=1)
    effect = trial(2, "alpha", "long", finding("alpha", BROKEN), finding("beta", BROKEN), cause="beta")
    root = trial(3, "alpha", "long", finding("alpha", BROKEN))
    result = alpha(flaky, effect, root)
    assert result.evidence == tuple(f"/store/{number}/plan.json" for number in (3, 2, 1))
    assert result.cause == "alpha"


def test_disagreement_of_replays_is_said() -> None:
    result = alpha(trial(1, "alpha", "idle", finding("alpha", BROKEN), agree=1))
    assert result.verdict is BROKEN
    assert "only 1 of 2 runs agree: the lab is flaky here" in result.summary


def test_spent_budget_leaves_the_moment_unknown() -> None:
    skipped = Trial(Case(1, Plan(variant=VARIANT, steps=QUERY), (("alpha", "idle"),)), missing=NOT_RUN)
    result = alpha(skipped)
    assert (result.verdict, result.moments, result.cases) == (UNKNOWN, {"idle": UNKNOWN}, 0)
    assert NOT_RUN in result.summary


def test_not_applicable_is_never_kept() -> None:
    result = tally(VARIANT, [ALPHA], {"alpha": "nothing is kept"}, [])["alpha"]
    assert (result.verdict, result.summary, result.moments) == (NA, "nothing is kept", {})


def test_promise_without_plans_is_unknown() -> None:
    assert alpha().verdict is UNKNOWN


def promise(verdict: Verdict, *, claimed: bool = True) -> PromiseResult:
    return PromiseResult(verdict=verdict, claimed=claimed)


def result(**promises: PromiseResult) -> Result:
    info = VariantInfo(name="v", engine="e", driver="psycopg2")
    return Result(
        verdict=overall(promises), variant=info, versions={}, seed=0, seconds=1.0, cases=1, void=0, promises=promises
    )


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        ([promise(KEPT), promise(BROKEN, claimed=False)], 0),
        ([promise(KEPT), promise(UNKNOWN, claimed=False)], 0),
        ([promise(KEPT), promise(NA)], 0),
        ([promise(NA)], 0),
        ([promise(UNKNOWN), promise(KEPT)], 2),
        ([promise(UNKNOWN), promise(BROKEN)], 1),
        ([], 0),
    ],
)
def test_exit_status_counts_claims_alone(verdicts: list[PromiseResult], status: int) -> None:
    assert result(**{f"p{index}": each for index, each in enumerate(verdicts)}).status == status


def test_broken_variant_outweighs_an_unknown_one() -> None:
    kept, unknown, broken = result(), result(a=promise(UNKNOWN)), result(a=promise(BROKEN))
    assert exit_status([kept, unknown, broken]) == 1
    assert exit_status([kept, unknown]) == 2
    assert exit_status([]) == 0


def test_document_has_exactly_the_fields_of_the_issue() -> None:
    document = msgspec.json.decode(encode_results([result(alpha=promise(KEPT))]))
    assert set(document) == {
        "verdict", "variant", "versions", "seed", "seconds", "cases", "void", "promises", "skipped", "shard",
    }  # fmt: skip
    assert set(document["variant"]) == {
        "name", "engine", "driver", "settings", "options", "keeping", "notes", "project",
    }  # fmt: skip
    assert set(document["promises"]["alpha"]) == {
        "verdict", "claimed", "cause", "cases", "void", "summary", "moments", "evidence",
        "errors", "limits", "added",
    }  # fmt: skip
    assert set(msgspec.json.decode(encode_results([result(), result()]))) == {"variants"}


def test_lanes_run_every_job_once_and_those_alone_first() -> None:
    done: list[str] = []
    lanes = {"a": "narrow", "b": "alone", "c": "wide", "d": "alone"}
    run_in_lanes(list(lanes), lanes.__getitem__, done.append, lambda: None)  # type: ignore[arg-type]
    assert done[:2] == ["b", "d"]
    assert sorted(done) == list(lanes)


def test_lanes_end_with_the_first_error() -> None:
    done: list[int] = []
    aborted: list[bool] = []

    def work(job: int) -> None:
        if job == 1:
            raise OSError("no space")
        done.append(job)

    with pytest.raises(OSError, match="no space"):
        run_in_lanes(range(50), lambda _: "alone", work, lambda: aborted.append(True))
    assert (done, aborted) == ([0], [True])


@pytest.mark.parametrize("dead", ["recovers", "bounded-wait"])
def test_a_moment_that_a_dead_variant_never_reaches_is_none(dead: str) -> None:
    kept = trial(1, "alpha", "idle", finding("alpha", KEPT))
    never = trial(2, "alpha", "long", finding("alpha", UNKNOWN), finding(dead, BROKEN))
    assert alpha(kept, never).moments == {"idle": KEPT, "long": NA}
    assert alpha(kept, never).verdict is KEPT
    assert alpha(never).verdict is UNKNOWN, "n/a is what a configuration says, not what a variant's death hides"


def test_a_moment_that_was_not_seen_for_another_reason_is_unknown() -> None:
    kept = trial(1, "alpha", "idle", finding("alpha", KEPT))
    assert alpha(kept, trial(2, "alpha", "long", finding("alpha", UNKNOWN), finding("beta", BROKEN))).verdict is UNKNOWN
    assert (
        alpha(kept, trial(2, "alpha", "long", finding("recovers", BROKEN), finding("alpha", BROKEN))).verdict is BROKEN
    )


def test_brief_is_one_plan_for_each_moment_and_those_that_run_anyway() -> None:
    class Twice(Fake):
        def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
            yield self.plan(variant, "idle", *QUERY)
            yield self.plan(variant, "idle", *QUERY, *QUERY)
            yield self.plan(variant, "idle", *QUERY, *QUERY, *QUERY)

    everything = gather(VARIANT, Traits(), [ALPHA, Twice("beta")], frozenset()).cases
    brief = gather(VARIANT, Traits(), [ALPHA, Twice("beta")], frozenset(), brief=True).cases
    assert [len(case.plan.steps) for case in everything] == [3, 6, 9]
    assert [(len(case.plan.steps), case.made_for[-1]) for case in brief] == [
        (3, ("beta", "idle")),
        (6, ("beta", "idle")),
    ]


@pytest.mark.parametrize(("known", "yours"), [({"alpha": ("idle",)}, False), ({}, True)])
def test_what_django_is_known_to_break_or_documents_is_not_the_projects(
    known: dict[str, tuple[str, ...]], yours: bool
) -> None:
    """A moment that is neither known nor documented is, whoever has claimed it."""
    variant = msgspec.structs.replace(VARIANT, claims=("beta",), limits={"alpha": ("long",)})
    broken = [trial(n, "alpha", moment, finding("alpha", BROKEN)) for n, moment in enumerate(("idle", "long"), 1)]
    found = tally(variant, [ALPHA, BETA], {}, broken, known=known)["alpha"]
    assert (found.verdict, found.claimed) == (BROKEN, yours)
    assert ("long" in found.limits, "idle" in found.limits) == (True, not yours)
