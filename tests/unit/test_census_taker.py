"""When the server's view is taken, and when the one before says the same."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from lab.fault import FAULTS
from lab.records.census import Session
from lab.records.plan import Begin, End
from lab.run import census_taker
from lab.run.actors import Actors
from lab.run.census_taker import CensusTaker
from lab.run.diary import Diary
from lab.timing import OUTLIVE

IDLE = Session(1, "1.0", "lab_s00", "lab", "idle", "Client:ClientRead", False, 0, 0)


class Taken:
    """A census taker over a server with one idle session, and how often that was looked at."""

    def __init__(self) -> None:
        self.looks = 0
        self.ends = 1000  # the look at which it is gone
        self.waits = 1  # the look from which on it waits for its client
        self.diary = Diary()
        self.actors = Actors(self.diary)
        self.files = 1
        self.kept = False
        site: Any = SimpleNamespace(sessions=self._sessions, connects=lambda: 1, open_files=lambda: self.files)
        self.taker = CensusTaker(site, self.diary, self.actors, lambda: self.kept)

    def _sessions(self) -> tuple[Session, ...]:
        self.looks += 1
        one = IDLE if self.looks >= self.waits else msgspec.structs.replace(IDLE, wait="")
        return (one,) if self.looks < self.ends else ()

    def request(self) -> None:
        steps: tuple[Begin | End, ...] = (Begin("t0"), End("t0"))
        for index, step in enumerate(steps):
            self.actors.begin(self.actors.invoke(index, step, "safety", None))
            self.actors.end(self.actors.pending["t0"], "ok")


@pytest.fixture
def taken() -> Taken:
    return Taken()


def test_one_of_a_moment_at_which_nothing_has_happened_is_the_one_before(taken: Taken) -> None:
    taken.request()
    taken.taker.take("end", 1, "t0", settle=True)
    taken.taker.take("final", settle=True)
    assert taken.looks == 1
    end, final = taken.diary.census
    assert (end.at, final.at) == ("end", "final")
    assert (final.step, final.actor, final.sessions, final.connects) == (-1, "", (IDLE,), 1)
    assert final.time >= end.time


def test_a_step_since_then_is_seen(taken: Taken) -> None:
    taken.request()
    taken.taker.take("end", 1, "t0", settle=True)
    taken.request()
    taken.taker.take("final", settle=True)
    assert taken.looks == 2


def test_what_the_nemesis_did_since_then_is_seen(taken: Taken) -> None:
    taken.request()
    taken.taker.take("end", 1, "t0", settle=True)
    taken.diary.event("heal", 2)
    taken.taker.take("final", settle=True)
    assert taken.looks == 2


def test_one_that_was_taken_beside_a_step_is_not_the_next(taken: Taken) -> None:
    taken.request()
    taken.actors.begin(taken.actors.invoke(2, Begin("t1"), "safety", None))
    taken.taker.take("end", 1, "t0", settle=True)
    taken.taker.take("final", settle=True)
    assert taken.looks == 2


def test_one_that_was_not_settled_is_not_the_next(taken: Taken) -> None:
    taken.request()
    taken.taker.take("heal", 1)
    taken.taker.take("final", settle=True)
    assert taken.looks == 2


def test_the_one_after_the_process_has_ended_is_always_taken(taken: Taken) -> None:
    taken.request()
    taken.taker.take("final", settle=True)
    taken.taker.take("after exit")
    assert taken.looks == 2


def test_what_outlives_a_process_is_waited_for_no_longer_than_it_is_there(taken: Taken) -> None:
    taken.ends = 3
    taken.taker.outlive()
    (census,) = taken.diary.census
    assert (census.at, census.sessions, taken.looks) == ("outlived", (), 3)


def test_what_outlives_a_process_is_told(taken: Taken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census_taker, "OUTLIVE", OUTLIVE._replace(shipped=0.02))
    taken.taker.outlive()
    (census,) = taken.diary.census
    assert (census.at, census.sessions) == ("outlived", (IDLE,))


def test_an_idle_session_that_does_not_wait_for_its_client_may_be_ending(taken: Taken) -> None:
    taken.waits, taken.ends = 1000, 6
    taken.request()
    taken.taker.take("end", 1, "t0", settle=True)
    assert (taken.looks, taken.diary.census[-1].sessions) == (6, ())
    busy = Taken()
    busy.waits = 3
    busy.request()
    busy.taker.take("end", 1, "t0", settle=True)
    assert (busy.looks, busy.diary.census[-1].sessions) == (3, (IDLE,))


@pytest.mark.parametrize(("kept", "looks", "left"), [(False, 6, ()), (True, 1, (IDLE,))])
def test_a_session_that_its_client_has_closed_is_about_to_end(
    kept: bool, looks: int, left: tuple[Session, ...], taken: Taken
) -> None:
    taken.files, taken.ends, taken.kept = 0, 6, kept
    taken.request()
    taken.taker.take("end", 1, "t0", settle=True)
    assert (taken.looks, taken.diary.census[-1].sessions) == (looks, left)


def test_faults_that_keep_no_session_are_known() -> None:
    kinds = {fault.kind for fault in FAULTS.values() if not fault().keeps_sessions}
    assert kinds == {"idle-in-transaction-timeout", "interrupt", "read-only", "rotate-password", "terminate"}
