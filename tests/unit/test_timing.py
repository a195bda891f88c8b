"""The lab's waits: how they stand to each other, and the one variable that makes them longer."""

from __future__ import annotations

import os

import pytest

from backend_under_test.persistent_core.limit import Limits
from lab import timing
from lab.errors import BadInput
from lab.judging import loss
from lab.records.plan import Plan
from lab.records.variant import Variant

WAITS = {name: wait for name, wait in vars(timing).items() if isinstance(wait, timing.Wait)}
BOUND = Plan(variant=Variant(name="any"), steps=()).bound


def test_every_wait_says_what_for_which_way_it_errs_and_why_that_is_bearable() -> None:
    assert len(WAITS) > 20
    for name, wait in WAITS.items():
        assert name.isupper()
        assert wait.shipped > 0
        assert len(wait.awaits) > 10
        assert len(wait.bearable) > 10
        assert wait.errs in timing.Errs.__args__  # type: ignore[attr-defined]


def test_a_step_is_looked_at_before_it_counts_as_waiting() -> None:
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert list(timing.LOOKS) == sorted(timing.LOOKS)
    assert tick < timing.LOOKS[-1] < timing.GRACE.shipped / 2, "two looks with a tick between them, within the grace"
    assert sum(timing.LOOKS) < timing.GRACE.shipped
    assert timing.GRACE.shipped < timing.CROWD.shipped


def test_what_the_machine_does_is_never_the_variants() -> None:
    """A wait of the lab ends before the bound; a step that took the lab's own waits is not over it."""
    assert timing.CROWD.shipped * timing.AT_WORK < BOUND
    assert timing.GRACE.shipped < timing.SLACK.shipped < BOUND
    assert timing.BEAT + timing.HELD_UP.shipped < timing.SLACK.shipped, "the longest that goes unseen uses it not up"


def test_a_jump_of_the_clock_counts_as_one_look() -> None:
    clock = iter([0.0, 0.06, 1.0, 1.05])
    stopwatch = timing.Stopwatch(0.1, lambda: next(clock))
    assert [round(stopwatch.look(), 2) for _ in range(3)] == [0.06, 0.16, 0.21]


def test_repaired_backends_give_up_before_the_lab_gives_them_up() -> None:
    deadline = Limits.of(None).query_deadline
    assert deadline is not None
    assert deadline + timing.SLACK.shipped < BOUND


def test_a_server_has_longer_for_more() -> None:
    assert timing.FAREWELL.shipped < timing.CLOSE.shipped < timing.SETTLE.shipped
    assert timing.CUT.shipped < timing.CLOSE.shipped


def test_a_look_out_comes_to_its_end_before_the_fault_must_be_seen() -> None:
    """Each asks at least once more when its first question was not answered in time."""
    once = (timing.KNOCK, timing.LISTEN, timing.WITNESS, timing.FIN, timing.SYN_LOCAL, timing.SYN_BRIDGE)
    assert max(wait.shipped for wait in once) * 2 <= timing.LAND.shipped < timing.AWAIT.shipped
    assert timing.LISTEN.shipped < timing.KNOCK.shipped <= timing.ANSWER.shipped


def test_a_loss_lasts_until_the_server_has_noticed_and_the_client_has() -> None:
    assert timing.SERVER_NOTICES < timing.CLIENT_NOTICES < BOUND
    assert loss.TIMERS["tcp_user_timeout"] <= timing.CLIENT_NOTICES * 1000


def test_patience_makes_every_wait_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(timing.VARIABLE, raising=False)
    assert timing.GRACE.seconds == timing.GRACE.shipped
    monkeypatch.setenv(timing.VARIABLE, "2.5")
    assert {wait.seconds for wait in WAITS.values()} == {wait.shipped * 2.5 for wait in WAITS.values()}


@pytest.mark.parametrize("senseless", ["much", "0", "0.5", "-1", "nan", "inf", "101"])
def test_senseless_patience_is_refused(senseless: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(timing.VARIABLE, senseless)
    with pytest.raises(BadInput, match=f"LAB_PATIENCE={senseless} is no number from 1 to 100"):
        timing.patience()
