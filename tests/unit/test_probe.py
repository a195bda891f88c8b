"""How many sessions an ENGINE has for so many requests at once, read from a run in which they came in rounds."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from lab.check import probe as module
from lab.check.probe import ROUNDS, TRIES, Lifetime, _queue_limit, beside, level, lifetime, probe
from lab.records.history import HUNG
from lab.records.plan import Commit, End, Look, Plan, Read
from lab.records.record import Record
from lab.records.variant import Traits
from unit.histories import KEEPS, Line, asks, begins, census, elapses, lost, ok, record, session

HALF = ROUNDS[1]


def run(open_: list[int], void: str = "") -> Record:
    """One request after another; so many sessions are open at the end of each."""
    lines = [
        line
        for number in open_
        for line in (*asks("t0", "1@a"), census(*(session(f"{each}@s") for each in range(number))))
    ]
    return record(*lines, void=void)


@pytest.mark.parametrize(
    ("open_", "seen"),
    [
        pytest.param([1] * 2 * HALF, 1, id="one session"),
        pytest.param([1, 2, *[3] * (2 * HALF - 2)], 3, id="spares"),
        pytest.param([*range(1, 10), 3] * (HALF // 5) + [3] * (2 * HALF % 10), 9, id="grows and shrinks"),
        pytest.param([3] * HALF + [4] * HALF, 4, id="a thread that is late once"),
        pytest.param([1] * HALF + [3] * HALF, 0, id="more in the second half"),
        pytest.param([1 + each // 8 for each in range(2 * HALF)], 0, id="one lost every eight requests"),
        pytest.param(list(range(1, 2 * HALF + 1)), 0, id="one for each request"),
        pytest.param([HALF] * 2 * HALF, 0, id="as many as requests"),
        pytest.param([2] * HALF, 0, id="too short"),
    ],
)
def test_level(open_: list[int], seen: int) -> None:
    assert level(run(open_), 1) == seen


def test_a_run_that_is_void_or_fails_shows_no_level() -> None:
    whole = run([2] * 2 * HALF)
    assert level(whole, 1) == 2
    assert level(run([2] * 2 * HALF, void="held up"), 1) == 0
    failed = record(
        *[line for _ in range(2 * HALF) for line in (*asks("t0", "1@a"), census(session("1@s")))], lost(Read("t0"))
    )
    assert level(failed, 1) == 0


@pytest.mark.parametrize(("voids", "kept"), [(0, 1), (TRIES - 1, 1), (TRIES, None)])
def test_a_first_look_that_shows_nothing_is_taken_again(
    voids: int, kept: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = iter([run([1, 1], void="held up")] * voids + [run([1, 1])] * 3)
    monkeypatch.setattr(module, "run", lambda *_, **__: next(runs))
    zygote: Any = SimpleNamespace(traits=Traits())
    rig: Any = None
    assert probe(KEEPS, rig, zygote).kept == kept


def test_a_first_look_that_is_void_each_time_says_that_nothing_was_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "run", lambda *_, **__: run([1, 1], void="held up"))
    zygote: Any = SimpleNamespace(traits=Traits())
    rig: Any = None
    traits = probe(KEEPS, rig, zygote)
    assert (traits.uncounted, traits.kept) == (True, None)


@pytest.mark.parametrize("which", ["request", "command", "once"])
@pytest.mark.parametrize(("voids", "levels"), [(TRIES - 1, (3, 4, 5, 6)), (TRIES, ())])
def test_rounds_that_are_void_are_taken_again(
    which: str, voids: int, levels: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is void each time leaves the number of sessions unknown, instead of one for each request."""
    times: Counter[str] = Counter()

    def rounds(plan: Plan, *_: Any, **__: Any) -> Record:
        looks = any(isinstance(each, Look) for each in plan.steps)
        ways = {str(each) for each in plan.lifecycles.values()} or {"first" if looks else "once"}
        kind = f"{ways}{len(plan.lifecycles)}"
        times[kind] += 1
        void = "held up" if which in ways and times[kind] <= voids else ""
        if not plan.lifecycles:
            return run([1, 2, 2], void=void)
        return run([len(plan.lifecycles) + 2] * 2 * ROUNDS[len(plan.lifecycles)] * len(plan.lifecycles), void=void)

    monkeypatch.setattr(module, "run", rounds)
    monkeypatch.setattr(module, "_served_at_once", lambda _: len(module.AT_ONCE))
    zygote: Any = SimpleNamespace(traits=Traits(overrides=("get_new_connection",)))
    rig: Any = None
    traits = probe(KEEPS, rig, zygote)
    assert (traits.levels, traits.uncounted) == (levels, not levels)


@pytest.mark.parametrize(("connects", "threads", "looked"), [(1, 0, False), (2, 0, True), (1, 1, True)])
def test_a_session_that_is_made_ready_behind_is_looked_for_though_it_comes_late(
    connects: int, threads: int, looked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At no request's end of the first look was there more than one session; its connection, or a thread, was there."""

    def rounds(plan: Plan, *_: Any, **__: Any) -> Record:
        if plan.lifecycles:
            return run([len(plan.lifecycles) + 1] * 2 * ROUNDS[len(plan.lifecycles)] * len(plan.lifecycles))
        one = census(session("1@a"), connects=connects)
        return record(*asks("t0", "1@a"), ok(Look("t0"), on="1@a", threads=threads), one)

    monkeypatch.setattr(module, "run", rounds)
    monkeypatch.setattr(module, "_served_at_once", lambda _: len(module.AT_ONCE))
    zygote: Any = SimpleNamespace(traits=Traits(overrides=("get_new_connection",)))
    rig: Any = None
    slack = module.SLACK * bool(threads)
    levels = tuple(number + 1 + slack for number in range(1, 5)) if looked else ()
    assert probe(KEEPS, rig, zygote).levels == levels


def test_with_autocommit_off_the_rounds_commit_their_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend may part with a session on which work is pending; how many it keeps of others would not be seen."""

    def rounds(plan: Plan, *_: Any, **__: Any) -> Record:
        if not plan.lifecycles:
            return run([0, 0, 0])
        committed = sum(isinstance(step, Commit) for step in plan.steps)
        assert committed == sum(isinstance(step, End) for step in plan.steps) > 0
        return run([len(plan.lifecycles) + 2] * 2 * ROUNDS[len(plan.lifecycles)] * len(plan.lifecycles))

    monkeypatch.setattr(module, "run", rounds)
    monkeypatch.setattr(module, "_served_at_once", lambda _: len(module.AT_ONCE))
    zygote: Any = SimpleNamespace(traits=Traits(overrides=("get_new_connection",), autocommit=False))
    rig: Any = None
    traits = probe(KEEPS, rig, zygote)
    assert (traits.levels, traits.kept) == ((3, 4, 5, 6), 0)


def test_a_first_look_in_which_a_step_hangs_is_not_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    hung = iter([record(Line(Read("t0"), "info", chain=(HUNG,)))])
    monkeypatch.setattr(module, "run", lambda *_, **__: next(hung))
    zygote: Any = SimpleNamespace(traits=Traits())
    rig: Any = None
    assert probe(KEEPS, rig, zygote).kept is None


@pytest.mark.parametrize(
    ("in_requests", "in_commands", "levels", "kept"),
    [
        pytest.param([1, 2, 3, 4], [1], (), 0, id="one for each"),
        pytest.param([1], [2, 3, 4, 5], (2, 3, 4, 5), 0, id="the next one waits beside those in use"),
        pytest.param([0], [2, 3, 4, 5], (), 0, id="requests make it grow, and commands are not looked at"),
        pytest.param([3, 4, 5, 6], [1], (3, 4, 5, 6), 2, id="spares that wait between requests"),
        pytest.param([3, 4, 0, 6], [2, 5, 6, 6], (3, 5, 6, 6), 2, id="the larger of the two"),
    ],
)
def test_levels_are_of_requests_and_of_commands(
    in_requests: list[int], in_commands: list[int], levels: tuple[int, ...], kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that ends gives its session up: a spare that waits beside those in use is seen in commands alone."""

    def rounds(plan: Plan, *_: Any, **__: Any) -> Record:
        if not plan.lifecycles:
            return run([1, 2, 2])
        number = len(plan.lifecycles)
        seen = in_commands if "command" in plan.lifecycles.values() else in_requests
        half = ROUNDS[number] * number
        return run([seen[number - 1]] * 2 * half if seen[number - 1] else list(range(1, 2 * half + 1)))

    monkeypatch.setattr(module, "run", rounds)
    monkeypatch.setattr(module, "_served_at_once", lambda _: len(module.AT_ONCE))
    monkeypatch.setattr(module, "_used_again", lambda _: False)
    zygote: Any = SimpleNamespace(traits=Traits(overrides=("get_new_connection",)))
    rig: Any = None
    traits = probe(KEEPS, rig, zygote)
    assert (traits.levels, traits.kept) == (levels, kept)


@pytest.mark.parametrize(("actors", "sessions", "seen"), [("0", 1, False), ("0", 2, True), ("01", 2, False)])
def test_sessions_beside_those_that_were_asked_for(actors: str, sessions: int, seen: bool) -> None:
    asked = [line for actor in actors for line in asks(f"t{actor}", f"{actor}@a")]
    assert beside(record(*asked, census(*(session(f"{each}@s") for each in range(sessions))))) is seen


def row(*names: str, later: tuple[str, ...] = ("1@a",) * 6) -> Record:
    """A row of requests, each on that session, of which the server has only the one that comes next."""
    lines: list[Line] = []
    all_ = (*names, *later)
    for number, (name, next_) in enumerate(zip(all_, (*all_[1:], all_[-1]), strict=True)):
        if number - len(names) in (1, 3):
            lines.append(elapses())
        lines += (*asks("t0", name), census(session(next_)))
    return record(*lines)


@pytest.mark.parametrize(
    ("names", "serves", "said"),
    [
        pytest.param(["1@a"] * 9, 10, "", id="all on one"),
        pytest.param(["1@a"] * 5 + ["2@b"] * 5 + ["3@c"] * 3, 4, ", each for 5 requests", id="after five"),
        pytest.param(["1@a"] * 7 + ["2@b"] * 2, 6, ", one of which ended after 7 requests", id="one"),
        pytest.param(["1@a"] * 5 + ["2@b"] * 3 + ["3@c"] * 3, 0, ", which end after no fixed number", id="irregular"),
        pytest.param(["1@a"] * 5 + ["2@b"] * 8, 0, ", which end after no fixed number", id="one lasts longer"),
    ],
)
def test_how_many_requests_a_session_serves(names: list[str], serves: int, said: str) -> None:
    seen = lifetime(row(*names, later=(names[-1],) * 6))
    assert seen.serves == serves
    assert seen.ends.startswith(said)
    assert bool(seen.ends) == bool(said)


@pytest.mark.parametrize(
    ("later", "lasts", "said"),
    [
        (("1@a",) * 6, 10.5, ""),
        (("1@a",) * 4 + ("2@b",) * 2, 1.5, ", which end after some seconds"),
        (("1@a",) * 2 + ("2@b",) * 4, 0.0, ", which end after some seconds"),
    ],
)
def test_how_long_a_session_lasts(later: tuple[str, ...], lasts: float, said: str) -> None:
    seen = lifetime(row(*["1@a"] * 9, later=later))
    assert seen.lasts == lasts
    assert seen.ends == said


def test_a_row_that_is_void_or_fails_tells_no_lifetime() -> None:
    told = row(*["1@a"] * 3)
    failed = msgspec.structs.replace(told, ops=(*told.ops, *record(lost(Read("t0"))).ops))
    for each in (msgspec.structs.replace(told, void="held up"), failed):
        assert lifetime(each) == Lifetime(None, None, "")


@pytest.mark.parametrize(
    ("waits", "served", "void", "queues"),
    [(True, 3, "", 3), (True, 5, "", 0), (False, 3, "", 0), (True, 3, "held up", 0)],
)
def test_an_engine_has_a_queue_where_one_more_request_was_seen_to_wait(
    waits: bool, served: int, void: str, queues: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = record(begins(Read("t4"), waits=waits), void=void)
    monkeypatch.setattr(module, "run", lambda *_, **__: crowd)
    monkeypatch.setattr(module, "_served_at_once", lambda _: served)
    zygote: Any = None
    rig: Any = None
    assert _queue_limit(Plan(variant=KEEPS, steps=()), rig, zygote) == queues
