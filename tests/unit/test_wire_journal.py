from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import BadInput
from lab.wire.journal import Act, Event, Journal, Message, Record, describe, from_lines, to_line

RECORDS = st.one_of(st.from_type(Message), st.from_type(Event), st.from_type(Act))
EVENT = Event(1, "accept", 5)


@given(st.lists(RECORDS, max_size=5))
def test_lines_and_back(records: list[Record]) -> None:
    lines = [to_line(record) for record in records]
    assert not any("\n" in line for line in lines)
    assert list(from_lines(lines)) == records


@given(RECORDS)
def test_every_record_fits_a_line_for_people(record: Record) -> None:
    assert describe(record).startswith(f"c{record.connection} ")


def test_a_broken_line_is_named() -> None:
    with pytest.raises(BadInput, match="line 2"):
        list(from_lines([to_line(EVENT), '{"kind":"event"}']))


def test_waiting_finds_what_is_there_already() -> None:
    journal = Journal()
    journal.append(EVENT)
    assert journal.wait(lambda record: record.connection == 1, 0) is EVENT


def test_waiting_finds_what_comes() -> None:
    journal = Journal()
    later = threading.Timer(0.02, journal.append, [EVENT])
    later.start()
    assert journal.wait(lambda record: isinstance(record, Event), 10) is EVENT
    later.join()


def test_waiting_in_vain_says_what_came_last() -> None:
    journal = Journal()
    journal.append(EVENT)
    with pytest.raises(TimeoutError, match="accept"):
        journal.wait(lambda record: record.connection == 2, 0.01)
    with pytest.raises(TimeoutError, match="1 records"):
        journal.wait(lambda record: record.connection == 1, 0.01, since=1)


def test_no_append_is_missed_by_a_waiter() -> None:
    journal = Journal()

    def fill() -> None:
        for number in range(2_000):
            journal.append(Event(number, "accept", number))

    thread = threading.Thread(target=fill)
    thread.start()
    for number in range(0, 2_000, 50):
        assert journal.wait(lambda record, number=number: record.connection == number, 10).connection == number  # type: ignore[misc]
    thread.join()
