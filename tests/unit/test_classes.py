from __future__ import annotations

from dataclasses import dataclass

from lab.explore.engine import Outcome, first_cases, letters_of


@dataclass(frozen=True)
class Numbered:
    name: str


def test_classes_are_lettered_in_the_order_of_the_table() -> None:
    cases = [Numbered(str(number)) for number in range(6)]
    outcomes = dict(
        zip(
            cases,
            (
                Outcome((), "error"),
                Outcome(("recovers",), "error"),
                Outcome(("atomic", "recovers"), "error"),
                Outcome(("recovers",), "doubt"),
                Outcome((), "doubt"),
                Outcome((), counted=False),
            ),
            strict=True,
        )
    )
    letters = letters_of(outcomes)
    assert "".join(letters.values()) == "eABA?-"
    assert list(first_cases(letters)) == ["e", "?", "A", "B"]
    assert first_cases(letters)["A"] == cases[1]


def test_letters_do_not_end_with_the_alphabet() -> None:
    outcomes = {Numbered(str(number)): Outcome((f"promise {number}",)) for number in range(28)}
    letters = list(letters_of(outcomes).values())
    assert letters[:2] + letters[25:] == ["A", "B", "Z", "α", "β"]


def test_a_void_case_that_broke_something_has_no_class() -> None:
    assert first_cases(letters_of({Numbered("0"): Outcome(("durable",), counted=False)})) == {}
