"""What every_cut and every_order found wrong with a call of a developer's own: the evidence of one failing test."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

OWN_TESTS = "own-tests"
"""The folder of a store that holds them, and what their kind is called."""


class Statement(Struct, frozen=True):
    """What a call said to the database, and from which line of the project, or ""."""

    says: str
    place: str = ""


class Turn(Struct, frozen=True):
    """One step of an order: whose it was (0 is A), whose locks it waited for, whether it was cut instead."""

    actor: int
    says: str
    place: str = ""
    waits_for: tuple[int, ...] = ()
    cut: bool = False


class OwnCase(Struct, frozen=True):
    """One case: its address, where it is in words, what the caller got, which rows came of it, how it is replayed."""

    address: str
    says: str
    place: str
    got: str
    rows: str
    replay: str


class Example(Struct, frozen=True):
    """The first case of a group in full.

    Of a cut the `statements` up to it, of an order the `turns`. `answers` are what each caller got. `wire` are the
    messages that passed, with the act between them, a line each; `logged` is what the project logged meanwhile.
    """

    statements: tuple[Statement, ...] = ()
    turns: tuple[Turn, ...] = ()
    answers: tuple[str, ...] = ()
    wire: tuple[str, ...] = ()
    logged: tuple[str, ...] = ()


class Group(Struct, frozen=True):
    """Cases that are wrong for the same reason; the simplest is the first, and is the example."""

    reason: str
    cases: tuple[OwnCase, ...]
    example: Example


class OwnTest(Struct, frozen=True):
    """A test that failed. `clean` is the run without a fault in a line; `ended` is seconds since 1970."""

    test: str
    headline: str
    clean: str
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()
    ended: float = 0.0
    kind: Literal["own-tests"] = "own-tests"
