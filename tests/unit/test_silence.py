"""A line that is silent, and a machine that is so busy that nothing answers in time."""

from __future__ import annotations

from typing import Any

import pytest

from faults.network import _silence as module
from faults.network._silence import look_out
from lab.fault import Knock
from lab.timing import KNOCK, LAND, LISTEN, LISTEN_PAST

ANSWERED = Knock(0.001, 1, "open")


class Line:
    """A site that answers the first knock, and is silent from then on, or `answers`."""

    def __init__(self, *, answers: bool = False) -> None:
        self.answers = answers
        self.listened: list[float] = []

    def knock(self, timeout: float) -> Knock:
        self.listened.append(timeout)
        silent = len(self.listened) > 1 and not self.answers
        return Knock(timeout, 0, "open") if silent else ANSWERED

    def sessions(self) -> tuple[Any, ...]:
        return ()


def looks(line: Line, past: float, times: int, patch: pytest.MonkeyPatch) -> list[bool]:
    """Whether so many looks see it, while the server takes `past` seconds to answer past the line."""
    patch.setattr(module, "_past_the_line", lambda _: past)
    site: Any = line
    seen = look_out(site)
    return [seen() is not None for _ in range(times)]


def test_silence_is_seen_while_the_server_answers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line()
    assert looks(line, 0.001, 1, monkeypatch) == [True]
    assert line.listened == [KNOCK.seconds, LISTEN.seconds]


def test_an_answer_is_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looks(Line(answers=True), 0.001, 2, monkeypatch) == [False, False]


def test_where_the_server_takes_its_time_it_listens_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    line, past = Line(), LAND.seconds / LISTEN_PAST / 2
    assert looks(line, past, 2, monkeypatch) == [False, True]
    assert line.listened == [KNOCK.seconds, LISTEN.seconds, LISTEN_PAST * past]


def test_a_machine_that_is_slower_than_any_wait_shows_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line()
    assert looks(line, LAND.seconds, 3, monkeypatch) == [False, False, False]
    assert line.listened[-1] == LAND.seconds
