"""Judges one cut by its record alone. What is in doubt is counted and accuses nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from lab.application.case import NO_ROWS, CutCase, Rows, Tables

Kind = Literal["served", "nothing done", "half done", "in doubt", "void", "broken"]

WORDS: Final[dict[Kind, str]] = {
    "served": "served",
    "nothing done": "error, nothing done",
    "half done": "error, half done",
    "broken": "broken",
    "in doubt": "in doubt",
    "void": "void",
}
"""Each kind as the headline says it, in its order."""


@dataclass(frozen=True)
class Verdict:
    """What one case is, and for a broken one why, in a line that other cases of the same kind have in common."""

    kind: Kind
    reason: str = ""


def judge(case: CutCase, *, atomic: bool = False) -> Verdict:
    """Judge a case. `atomic`: half of the clean run's rows is broken, where it else is a note."""
    if not case.landed:
        return Verdict("void")
    if reason := _broken(case, atomic):
        return Verdict("broken", reason)
    if case.answer.served:
        return Verdict("served")
    if not case.rows:
        return Verdict("nothing done")
    return Verdict("half done" if missing(case.clean, case.rows) else "in doubt")


def _broken(case: CutCase, atomic: bool) -> str:
    if case.invariant:
        return f"invariant: {case.invariant}"
    if more := surplus(case.clean, case.rows):
        return f"done twice: more rows than one request makes, in {', '.join(sorted(more))}"
    if case.answer.served and (less := missing(case.clean, case.rows)):
        what = "without effect" if not case.rows else "with half of its effect"
        return f"success {what}: the client was told that all is well, without rows in {', '.join(sorted(less))}"
    if case.left_open:
        return "left open: a session waits inside a transaction after the answer"
    if case.next:
        return f"next request: {case.next}"
    if not case.gave_up:
        return f"no time limit: the request waits for a silent server, after {case.waited:.0f} s it still did"
    if atomic and case.rows and missing(case.clean, case.rows):
        return "half done: some of the request's rows are there, and some are not"
    return ""


def missing(clean: Tables, rows: Tables) -> dict[str, Rows]:
    """The tables in which there is less than a clean run does."""
    return {name: one for name, one in clean.items() if _less(rows.get(name, NO_ROWS), one)}


def surplus(clean: Tables, rows: Tables) -> dict[str, Rows]:
    """The tables in which more was made or changed than by a clean run."""
    return {name: one for name, one in rows.items() if one.new > clean.get(name, NO_ROWS).new}


def _less(found: Rows, expected: Rows) -> bool:
    return found.new < expected.new or found.gone < expected.gone
