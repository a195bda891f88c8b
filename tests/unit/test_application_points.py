"""Where a call can be cut, by journals written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab.application.points import alike, commits, exchanges, points
from lab.application.sources import Note, Sources
from lab.wire.journal import Message, Record

UP, DOWN = "upstream", "downstream"


class Journal:
    """Messages of one connection, a nanosecond apart."""

    def __init__(self, connection: int = 1, start: int = 0) -> None:
        self.connection = connection
        self.at = start
        self.records: list[Record] = []
        self._ordinals = {UP: 0, DOWN: 0}

    def say(self, direction: Any, letter: str, *moments: str, verb: str = "", tx: str = "I") -> Journal:
        self.at += 1
        self._ordinals[direction] += 1
        name = letter or "StartupMessage"
        ordinal = self._ordinals[direction]
        message = Message(self.connection, direction, ordinal, letter, name, 0, 9, self.at, tx, moments, verb)
        self.records.append(message)
        return self

    def connect(self) -> Journal:
        self.say(UP, "", "startup", tx="").say(DOWN, "R", "auth", "auth-ok", tx="").say(DOWN, "K", "key", tx="")
        return self.say(DOWN, "Z", "ready")

    def query(self, verb: str, moment: str = "query-sent", tx: str = "I", after: str = "I") -> Journal:
        self.say(UP, "Q", moment, verb=verb, tx=tx).say(DOWN, "C", "command-complete", verb=verb, tx=tx)
        return self.say(DOWN, "Z", "ready", tx=after)


def sources(*notes: Note) -> Sources:
    made = Sources(Path("/project"))
    made.notes = list(notes)
    return made


def request() -> list[Record]:
    journal = Journal().connect().query("SET")
    journal.query("BEGIN", "begin-sent", after="T").query("UPDATE", tx="T", after="T")
    return journal.query("COMMIT", "commit-sent", tx="T").say(UP, "X", "terminate").records


def test_two_points_a_statement_and_two_of_the_connection() -> None:
    notes = [
        Note(1, "default", "connect", "", "", 1, 7),
        Note(1, "default", "execute", 'UPDATE "shop_product" SET', "shop/views.py:9", 8, 13),
        Note(1, "default", "commit", "", "shop/views.py:3", 14, 16),
    ]
    found = points(request(), sources(*notes), 0, "statement")
    assert [(point.moment, point.says, point.place) for point in found] == [
        ("c1:startup+0", "while connecting", ""),
        ("c1:ready+0", "connected, not told so", ""),
        ("c1:begin-sent+0", "before BEGIN", "shop/views.py:9"),
        ("c1:ready:3+0", "answer to BEGIN lost", "shop/views.py:9"),
        ("c1:query-sent:2+0", "before UPDATE shop_product", "shop/views.py:9"),
        ("c1:ready:4+0", "answer to UPDATE shop_product lost", "shop/views.py:9"),
        ("c1:commit-sent+0", "before COMMIT", "shop/views.py:3"),
        ("c1:ready:5+0", "answer to COMMIT lost", "shop/views.py:3"),
    ]
    assert [point.answer for point in found] == [False, True] * 4


def test_every_message_is_a_point_but_the_goodbye() -> None:
    assert len(points(request(), sources(), 0, "message")) == len(request()) - 1


def test_what_was_said_before_the_call_began_is_no_point() -> None:
    journal = Journal().connect()
    begun = journal.at + 1
    journal.query("SELECT")
    found = points(journal.records, sources(), begun, "statement", on=1)
    assert [point.address for point in found] == ["2/c1:query-sent+0", "2/c1:ready:2+0"]


def test_connections_are_told_apart() -> None:
    first, second = Journal(1).connect().query("SELECT"), Journal(2, start=100).connect().query("DELETE")
    found = [each.verb for each in exchanges([*first.records, *second.records], sources())]
    assert found == ["", "SELECT", "", "DELETE"]


def test_what_commits_by_itself() -> None:
    def first(verb: str, tx: str) -> bool:
        message = Journal().query(verb, tx=tx).records[0]
        assert isinstance(message, Message)
        return commits(message)

    assert first("COMMIT", "T")
    assert first("INSERT", "I")
    assert not first("INSERT", "T")
    assert not first("SELECT", "I")
    assert not first("BEGIN", "I")


def test_clean_runs_that_differ_say_how() -> None:
    once, twice = Journal().query("SELECT"), Journal().query("SELECT").query("SELECT")
    assert alike(once.records, once.records) == ""
    assert alike(once.records, twice.records) == "SELECT was sent 1 times more in one of two clean runs"
    assert alike(twice.records, once.records) == "SELECT was sent 1 times more in one of two clean runs"
