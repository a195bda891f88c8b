from __future__ import annotations

from typing import Any

import pytest

from lab.errors import UnknownName
from lab.explore.cuts import Cut, chosen_ways
from lab.explore.points import Point, Window, points
from lab.records.history import Op
from lab.records.plan import Heal, Inject, Plan, StepName, Use
from lab.records.record import Record
from lab.records.variant import Variant

VARIANT = Variant(name="v")


def message(time: int, direction: str, name: str, *moments: str, length: int = 5, **rest: Any) -> dict[str, Any]:
    known = {"kind": "message", "connection": 1, "type": rest.pop("type", "Q")}
    return {**known, "at_ns": time, "direction": direction, "name": name, "moments": moments, "length": length, **rest}


def clean() -> Record:
    """One request of begin, read, enter, write, write, leave, end; then another one begins."""
    ops = []
    steps: tuple[StepName, ...] = ("begin", "read", "enter", "write", "write", "leave", "end", "begin")
    for index, f in enumerate(steps):
        ops.append(Op(time=100 * index, type="invoke", actor="t0", step=index, f=f))
        value = {"session": "4711@1.5", "xid": "812"} if f in ("read", "write") else {}
        ops.append(Op(time=100 * index + 90, type="ok", actor="t0", step=index, f=f, value=value))
    journal = (
        message(110, "upstream", "StartupMessage", "startup", length=90),
        message(111, "downstream", "Authentication", ordinal=1),
        message(112, "downstream", "ReadyForQuery", "ready", length=6),
        message(120, "upstream", "Query", "query-sent"),
        message(195, "downstream", "DataRow", "first-row", "row", length=40),  # the tap was late to write it down
        message(510, "upstream", "Query", "commit-sent"),
        message(511, "downstream", "CommandComplete", "command-complete", "commit-acked"),
        message(512, "downstream", "ReadyForQuery", "ready", "commit-ready"),
        message(705, "upstream", "Terminate", "terminate", type="X"),  # and here, too
        message(710, "upstream", "Query", "query-sent"),
    )
    return Record(plan=Plan(variant=VARIANT, steps=()), run="r", ops=tuple(ops), journal=journal)


@pytest.mark.parametrize(
    ("window", "names"),
    [
        ("connect", ["c1:startup", "c1:down#1", "c1:ready"]),
        (
            "request",
            ["c1:query-sent", "c1:first-row", "c1:commit-sent", "c1:commit-acked", "c1:commit-ready", "c1:terminate"],
        ),
        ("commit", ["c1:commit-sent", "c1:commit-acked", "c1:commit-ready"]),
        ("close", ["c1:terminate"]),
    ],
)
def test_points_are_the_messages_of_a_window(window: Window, names: list[str]) -> None:
    assert [point.name for point in points(clean(), window, "message", 6)] == names


def test_an_answer_belongs_to_the_step_of_its_question() -> None:
    assert [point.step for point in points(clean(), "request", "message", 6)] == [1, 1, 5, 5, 5, 6]


def test_every_byte_but_the_digits_of_numbers_that_grow() -> None:
    found = points(clean(), "request", "byte", 6)
    row = [point for point in found if point.name == "c1:first-row"]
    assert len(row) == 40 - len("4711") - len("812")
    assert [point.moment for point in row[:2]] == ["c1:first-row+0", "c1:first-row+1"]


def test_what_lasts_is_healed_after_the_struck_step() -> None:
    point = Point("downstream", "c1:commit-acked", 0, 5)
    steps = Cut("stall", point).steps
    assert steps[0] == Inject.__call__(steps[0].fault) if isinstance(steps[0], Inject) else False
    assert [type(step).__name__ for step in steps[5:8]] == ["Write", "Leave", "Heal"]
    cut = Cut("fin", point).steps
    assert isinstance(cut[8], Heal)
    assert cut[7:8] != (Heal(),)


def test_a_request_is_wrapped_as_its_handler_does() -> None:
    point = Point("downstream", "c1:commit-acked", 0, 7)
    names = " ".join(type(step).__name__ for step in Cut("stall", point, atomic=True).steps)
    first = "Inject Begin Enter Read Enter Write Write Leave Leave Heal End"
    assert names == f"{first} Begin Enter Read Leave End Begin Enter Enter Write Leave Leave End"


def test_ways_are_known_and_in_order() -> None:
    assert chosen_ways(["rst", "fin"]) == ("fin", "rst")
    with pytest.raises(UnknownName):
        chosen_ways(["axe"])


def chunks(number: int, rows: int) -> Record:
    """A server-side cursor that is read to its end: so many chunks of so many rows."""
    journal = [
        message(110, "upstream", "StartupMessage", "startup", length=90),
        message(112, "downstream", "ReadyForQuery", "ready", length=6),
    ]
    for chunk in range(number):
        journal.append(message(120 + chunk, "upstream", "Query", "query-sent", length=300))
        journal += [message(120 + chunk, "downstream", "DataRow", "row", length=12)] * rows
        journal.append(message(120 + chunk, "downstream", "ReadyForQuery", "ready", length=6))
    ops = [Op(time=100 * step, type="invoke", actor="t0", step=step, f="use") for step in range(3)]
    return Record(plan=Plan(variant=VARIANT, steps=()), run="r", ops=tuple(ops), journal=tuple(journal))


def test_of_what_is_alike_the_ends_and_the_middle_are_cut() -> None:
    found = points(chunks(3, 2), "request", "message", 1)
    assert len(found) == 3 * (1 + 2 + 1)  # too few to leave any out
    found = points(chunks(9, 50), "request", "message", 1)
    asked = [point.name for point in found if point.direction == "upstream"]
    assert asked == ["c1:query-sent", "c1:query-sent:5", "c1:query-sent:9"]
    assert len(found) == 3 * (1 + 3 + 1)


def test_a_long_message_is_cut_at_its_edges_and_here_and_there() -> None:
    found = points(chunks(1, 1), "request", "byte", 1)
    question = [point.byte for point in found if point.direction == "upstream"]
    assert question == [*range(64), 64, 191, *range(236, 300)]
    row = [point.byte for point in found if point.name == "c1:row"]
    assert row == list(range(12))  # no row of ours, whose numbers grow


def test_nothing_waits_for_a_notification_that_comes_when_the_view_is_over() -> None:
    point = Point("upstream", "c1:query-sent", 0, 2)
    plain, atomic = (Cut("fin", point, atomic=atomic, request="results").steps for atomic in (False, True))
    heard = [[step for step in steps if isinstance(step, Use) and step.how == "heard"] for steps in (plain, atomic)]
    assert [len(each) for each in heard] == [1, 0]
