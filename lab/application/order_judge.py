"""What an order is found to be: a pure function of its record and of those of the serial orders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from lab.application.case import Answer, swallowed
from lab.application.order_case import OrderCase, letter

Kind = Literal["kept", "error", "broken", "void"]
WORDS: Final[dict[Kind, str]] = {
    "kept": "as one after the other",
    "error": "with an error that is allowed",
    "broken": "broken",
    "void": "void",
}
Errors = Literal["broken", "allow"]


class Verdict(NamedTuple):
    """`reason` is in one line, equal for orders that are broken in the same way."""

    kind: Kind
    reason: str = ""
    by_rows: bool = False
    """Whether nothing but the comparison with the serial orders tells."""


def judge(case: OrderCase, serial: Sequence[OrderCase], *, errors: Errors, by_rows: bool) -> Verdict:
    """Judge one order against the serial ones. `by_rows`: no invariant was given, so that a result that no serial order
    has is what tells.
    """
    if case.diverged:
        return Verdict("void", case.diverged)
    if case.invariant:
        return Verdict("broken", f"invariant: {case.invariant}")
    if case.held_open:
        return Verdict("broken", "left open: a session is idle in a transaction after the answer")
    if reason := _swallowed(case):
        return Verdict("broken", reason)
    if reason := _error(case, serial):
        return Verdict("broken", reason) if errors == "broken" or case.cut is not None else Verdict("error", reason)
    # After an allowed error the application has done less than it was asked to, which no serial order has.
    if by_rows and case.cut is None and not _server_errors(case) and not any(_like(case, one) for one in serial):
        reason = f"not serial: answers and rows ({_said(case)}) that no order one after the other has"
        return Verdict("broken", reason, by_rows=True)
    return Verdict("kept")


def _error(case: OrderCase, serial: Sequence[OrderCase]) -> str:
    """The first error of a request that has none in any serial order, "" when there is none."""
    for actor in sorted(_server_errors(case)):
        if actor != case.cut and not any(actor in _server_errors(one) for one in serial):
            answer = case.answers[actor]
            if case.deadlock:
                return "an error in this order only: deadlock detected"
            whose = f"{letter(case.cut)}'s connection was cut and " if case.cut is not None else ""
            return f"{whose}an error in this order only: {_class(answer)}"
    return ""


def _swallowed(case: OrderCase) -> str:
    """What the first request lost that was told all is well, "" when none did."""
    for actor, place in sorted(case.swallowed.items()):
        if case.answers[actor].served:
            return swallowed(place)
    return ""


def _server_errors(case: OrderCase) -> set[int]:
    return {actor for actor, answer in enumerate(case.answers) if answer.server_error}


def _like(case: OrderCase, serial: OrderCase) -> bool:
    return [_gist(each) for each in case.answers] == [_gist(each) for each in serial.answers] and (
        case.content == serial.content
    )


def _gist(answer: Answer) -> str:
    """What of an answer can be compared: numbers and texts may be keys."""
    plain = answer.value if answer.value is None or isinstance(answer.value, bool) else ""
    return f"{answer} {plain}" if answer.status is None else str(answer)


def _class(answer: Answer) -> str:
    """The error without what differs from run to run: its values."""
    first = answer.error.partition(" DETAIL")[0].partition("\n")[0]
    return first or str(answer)


def _said(case: OrderCase) -> str:
    return ", ".join(map(str, case.answers))
