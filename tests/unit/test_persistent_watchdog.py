"""The watchdog of the persistent backends, on things that only record when they expire."""

from __future__ import annotations

import threading
import time

from backend_under_test.persistent_core import watchdog
from backend_under_test.persistent_core.watchdog import Watchdog


class Call:
    """Something blocked, which the watchdog may end."""

    def __init__(self, deadline: float | None = None) -> None:
        self.deadline = deadline
        self.expired = threading.Event()

    def look(self, now: float) -> None:
        self.looked = now

    def expire(self, now: float) -> None:
        assert self.deadline is not None
        assert now >= self.deadline
        self.deadline = None
        self.expired.set()


def test_expires_what_is_due_and_nothing_else() -> None:
    dog, due, later, idle = Watchdog(), Call(time.monotonic()), Call(time.monotonic() + 60), Call()
    for each in (due, later, idle):
        dog.watch(each)
    dog.wake()
    assert due.expired.wait(5)
    assert not later.expired.is_set()
    assert not idle.expired.is_set()
    dog.stop()


def test_sleeps_when_nothing_is_armed_and_wakes_again() -> None:
    watchdog_linger, watchdog.LINGER = watchdog.LINGER, 0.0
    try:
        dog, call = Watchdog(), Call()
        dog.watch(call)
        dog.wake()
        ends = time.monotonic() + 5
        while not dog.asleep and time.monotonic() < ends:
            time.sleep(0.01)
        assert dog.asleep
        call.deadline = time.monotonic()
        dog.wake()
        assert call.expired.wait(5)
        dog.stop()
    finally:
        watchdog.LINGER = watchdog_linger


def test_forgets_what_is_garbage_or_ignored() -> None:
    dog = Watchdog()
    gone, ignored, kept = Call(), Call(), Call()
    for each in (gone, ignored, kept):
        dog.watch(each)
    dog.ignore(ignored)
    del gone, each
    assert dog.all() == [kept]


def test_stop_leaves_no_thread_for_a_fork() -> None:
    dog = Watchdog()
    dog.wake()
    dog.stop()
    assert not any(each.name == "persistent-watchdog" and each.is_alive() for each in threading.enumerate())
    dog.wake()
    dog.stop()
