from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from lab.check import trial as trials
from lab.check.cases import Case
from lab.check.replay import Replays
from lab.check.trial import Entry, Trials
from lab.errors import BadInput
from lab.promise import Promise
from lab.records.plan import Begin, End, Plan, Read
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding, Verdict
from lab.store import Store, read_case

PLAN = Plan(variant=Variant(name="v"), steps=(Begin("t0"), Read("t0"), End("t0")), promise="alpha")
CASE = Case(1, PLAN, (("alpha", "idle"),))
KEPT, BROKEN, VOID = Verdict.KEPT, Verdict.BROKEN, "not seen to land"


class Alpha(Promise):
    id = "alpha"
    sentence = "It keeps its word."

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        yield PLAN

    def judge(self, record: Record) -> Finding:
        return Finding(promise="alpha", verdict=Verdict(record.run))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the next runs come to, in order: a verdict, or why they are void."""
    coming: list[str] = []

    def run(plan: Plan, *_: Any, wire: bool = False) -> Record:
        what = coming.pop(0)
        journal: tuple[dict[str, Any], ...] = ({"kind": "message"},) if wire else ()
        return Record(plan=plan, run=what, journal=journal, void="" if what in list(Verdict) else what)

    def judge(record: Record) -> tuple[Finding, ...]:
        if record.void:
            return (Finding(promise="alpha", verdict=Verdict.UNKNOWN, summary=f"void: {record.void}"),)
        return (Alpha().judge(record),)

    monkeypatch.setattr(trials, "run", run)
    monkeypatch.setattr(trials, "judge", judge)
    return coming


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    zygote: Any = SimpleNamespace(variant=PLAN.variant, secrets=())
    return Entry(PLAN.variant, zygote, Store(tmp_path).open("v", 0), (Alpha(),))


def conclude(runs: list[str], entry: Entry, *coming: str) -> trials.Trial:
    runs[:] = coming
    rig: Any = SimpleNamespace(log=None)
    done = Trials(rig).trial(CASE, entry)
    assert not runs, "a run too few"
    return done


def test_kept_run_is_one_line(runs: list[str], entry: Entry) -> None:
    done = conclude(runs, entry, KEPT)
    assert (done.runs, done.void, done.evidence) == (1, 0, "")
    assert len((entry.folder.path / "kept.jsonl").read_bytes().splitlines()) == 1


def test_broken_run_is_confirmed_and_stored(runs: list[str], entry: Entry) -> None:
    done = conclude(runs, entry, BROKEN, BROKEN)
    assert (done.runs, str(done.agreement["alpha"])) == (2, "2 of 2 runs agree")
    assert Path(done.evidence).name == "plan.json"
    assert done.cause == "alpha"


def test_disagreement_is_looked_into_and_never_hidden(runs: list[str], entry: Entry) -> None:
    done = conclude(runs, entry, BROKEN, KEPT, KEPT, BROKEN, KEPT)
    assert done.finding("alpha").verdict is BROKEN
    assert str(done.agreement["alpha"]) == "only 2 of 5 runs agree: the lab is flaky here"


def test_what_may_come_about_by_chance_is_broken_only_where_each_run_shows_it() -> None:
    seen = Finding(promise="alpha", verdict=BROKEN, summary="a session ended", by_chance=True)
    held = Finding(promise="alpha", verdict=KEPT)
    for runs, verdict in (
        ([seen], BROKEN),
        ([seen, seen], BROKEN),
        ([seen, held], Verdict.UNKNOWN),
        ([held, seen], Verdict.UNKNOWN),
        ([seen, held, msgspec.structs.replace(seen, by_chance=False)], BROKEN),
    ):
        (merged,) = trials.merge([(each,) for each in runs])
        assert merged.verdict is verdict, runs
    (merged,) = trials.merge([(seen,), (held,), (held,)])
    assert merged.summary == "a session ended, but in 1 of 3 runs: it may have been by chance"


def test_what_may_come_about_by_chance_is_run_more_often_before_it_is_believed(
    runs: list[str], entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judged(_: Alpha, record: Record) -> Finding:
        return Finding(promise="alpha", verdict=Verdict(record.run), by_chance=True)

    monkeypatch.setattr(Alpha, "judge", judged)
    done = conclude(runs, entry, BROKEN, BROKEN, BROKEN, KEPT, BROKEN)
    assert (done.finding("alpha").verdict, done.evidence) == (Verdict.UNKNOWN, "")
    done = conclude(runs, entry, BROKEN, BROKEN, BROKEN, BROKEN, BROKEN)
    assert (done.finding("alpha").verdict, str(done.agreement["alpha"])) == (BROKEN, "5 of 5 runs agree")


def test_void_run_is_repeated_once_and_both_are_counted(runs: list[str], entry: Entry) -> None:
    done = conclude(runs, entry, VOID, KEPT)
    assert (done.runs, done.void, done.finding("alpha").verdict) == (2, 1, KEPT)


def test_run_that_put_nothing_at_stake_is_repeated_once(runs: list[str], entry: Entry) -> None:
    done = conclude(runs, entry, Verdict.UNKNOWN, KEPT)
    assert (done.runs, done.void, done.finding("alpha").verdict) == (2, 0, KEPT)
    done = conclude(runs, entry, Verdict.UNKNOWN, Verdict.UNKNOWN)
    assert done.finding("alpha").verdict is Verdict.UNKNOWN


def test_case_that_stays_void_is_unknown_and_stored(runs: list[str], entry: Entry) -> None:
    done = conclude(runs, entry, VOID, VOID)
    assert (done.runs, done.void, done.finding("alpha").verdict) == (2, 2, Verdict.UNKNOWN)
    assert done.evidence


def test_void_confirmation_is_counted_and_repeated(runs: list[str], entry: Entry) -> None:
    done = conclude(runs, entry, BROKEN, VOID, BROKEN, BROKEN, BROKEN)
    assert (done.runs, done.void) == (5, 1)
    assert str(done.agreement["alpha"]) == "4 of 4 runs agree"


def test_moment_that_is_confirmed_needs_no_second_confirmation(runs: list[str], entry: Entry) -> None:
    conclude(runs, entry, BROKEN, BROKEN)
    done = conclude(runs, entry, BROKEN)
    assert (done.runs, str(done.agreement["alpha"])) == (1, "seen once")
    assert done.evidence


def test_plan_that_the_rig_cannot_do_is_said(monkeypatch: pytest.MonkeyPatch, entry: Entry) -> None:
    def run(*_: Any) -> Record:
        raise BadInput("this rig cannot do it", "choose another")

    monkeypatch.setattr(trials, "run", run)
    rig: Any = SimpleNamespace(log=None)
    done = Trials(rig).trial(CASE, entry)
    assert (done.runs, done.finding("alpha").summary) == (0, "not run: this rig cannot do it; choose another")


# -- replays ----------------------------------------------------------------------------------------------------------


def replays(*verdicts: Verdict, void: int = 0, expect: Verdict | None = None) -> Replays:
    plan = Plan(variant=PLAN.variant, steps=PLAN.steps, promise="alpha", expect={"alpha": expect} if expect else {})
    return Replays(plan, tuple((Finding(promise="alpha", verdict=each),) for each in verdicts), void)


def test_replays_count_agreement_and_expectation() -> None:
    many = replays(BROKEN, BROKEN, KEPT, void=1, expect=BROKEN)
    assert (many.times, many.agreeing, many.expected) == (4, 2, 2)
    assert (many.verdict, many.status) == (BROKEN, 1)


@pytest.mark.parametrize(
    ("verdicts", "status"), [((KEPT,), 0), ((KEPT, Verdict.UNKNOWN), 0), ((Verdict.UNKNOWN,), 2), ((), 2)]
)
def test_replays_exit_status(verdicts: tuple[Verdict, ...], status: int) -> None:
    assert replays(*verdicts, void=1 - bool(verdicts)).status == status


def test_a_brief_check_confirms_a_promise_once(runs: list[str], entry: Entry) -> None:
    entry = replace(entry, brief=True)
    entry.confirmed.add(("alpha", "another moment"))
    done = conclude(runs, entry, BROKEN)
    assert (done.runs, done.finding("alpha").verdict) == (1, BROKEN)


def test_a_moment_that_is_documented_settles_no_promise_that_is_claimed(runs: list[str], entry: Entry) -> None:
    variant = msgspec.structs.replace(entry.variant, limits={"alpha": ("another moment",)})
    entry = replace(entry, brief=True, variant=variant)
    entry.confirmed.add(("alpha", "another moment"))
    assert conclude(runs, entry, BROKEN, BROKEN).runs == 2


def test_a_case_is_settled_when_all_that_asked_for_it_is_confirmed_to_be_broken(entry: Entry) -> None:
    both = Case(2, PLAN, (("alpha", "busy"), ("beta", "idle")))
    assert not entry.settled(CASE)
    entry.confirmed.add(("alpha", "idle"))
    assert entry.settled(CASE)
    assert not entry.settled(both)
    entry.confirmed.add(("beta", "first"))
    assert entry.settled(both)


def test_confirming_run_shows_the_wire_and_is_what_is_stored_where_it_says_the_same(
    runs: list[str], entry: Entry
) -> None:
    done = conclude(runs, entry, BROKEN, BROKEN)
    record, _ = read_case(Path(done.evidence).parent)
    assert record.journal


def test_first_run_stays_the_evidence_where_the_confirming_one_disagrees(runs: list[str], entry: Entry) -> None:
    done = conclude(runs, entry, BROKEN, KEPT, KEPT, KEPT, KEPT)
    record, _ = read_case(Path(done.evidence).parent)
    assert (record.run, record.journal) == (BROKEN, ())
    assert done.agreement["alpha"].broken == 1
