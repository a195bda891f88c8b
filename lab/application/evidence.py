"""What a failing test leaves behind: its groups as data, in a folder of the project's store.

    .connection-lab/own-tests/test_shop-py-test_order-0f3a…/table.json       $LAB_STORE in place of .connection-lab
    .connection-lab/report/own-tests/test_shop-py-test_order-0f3a…/index.html

A test has one folder, which its next failure writes anew.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab.application import order_text, text
from lab.application.case import Answer, Tables, shown
from lab.application.groups import J, groups
from lab.application.order_case import OrderCase
from lab.application.session import STORE
from lab.records.codec import encode
from lab.records.own_test import OWN_TESTS, Example, Group, OwnCase, OwnTest, Turn
from lab.store import TABLE, slug, unwritable, write
from lab.wire.journal import Record, describe

Replay = Callable[[str], str]


def keep(root: Path, found: OwnTest) -> Path:
    """Store it; return its folder. Raises StoreUnwritable."""
    folder = root / OWN_TESTS / f"{slug(found.test)}-{zlib.crc32(found.test.encode()):08x}"
    with unwritable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        ignored = root / ".gitignore"
        if root.name == STORE and not ignored.exists():
            ignored.write_text("*\n", encoding="ascii")
    write(folder / TABLE, encode(found))
    return folder


def of_cuts(
    test: str,
    clean: text.Clean,
    judged: Sequence[text.Judged],
    examples: Mapping[str, Example],
    seconds: float,
    replay: Replay,
) -> OwnTest:
    """What every_cut has found."""

    def told(each: text.Judged) -> OwnCase:
        case = each.case
        return _case(case.address, text.got(case), case.rows, replay, each.says, each.place)

    return OwnTest(
        test=test,
        headline=text.headline(clean, judged, seconds),
        clean=f"clean run: {clean.answer}, {shown(clean.rows)}",
        groups=_groups(groups(judged), told, examples),
        notes=tuple(text.notes(clean)),
        ended=_now(),
    )


def of_orders(
    test: str,
    headline: str,
    judged: Sequence[order_text.Judged],
    said: Sequence[str],
    examples: Mapping[str, Example],
    replay: Replay,
) -> OwnTest:
    """What every_order has found."""

    def told(each: order_text.Judged) -> OwnCase:
        return _case(each.case.address, ", ".join(map(str, each.case.answers)), each.case.rows, replay)

    return OwnTest(
        test=test,
        headline=headline,
        clean="",
        groups=_groups(groups(judged), told, examples),
        notes=tuple(order_text.notes(judged, said)),
        ended=_now(),
    )


def _case(address: str, got: str, rows: Tables, replay: Replay, says: str = "", place: str = "") -> OwnCase:
    return OwnCase(address, says, place, got, shown(rows), replay(address))


def _groups(
    found: Mapping[str, Sequence[J]], told: Callable[[J], OwnCase], examples: Mapping[str, Example]
) -> tuple[Group, ...]:
    return tuple(
        Group(reason, tuple(map(told, cases)), examples.get(reason, Example())) for reason, cases in found.items()
    )


def of_order(case: OrderCase, records: Sequence[Record], logged: tuple[str, ...]) -> Example:
    """One order in full."""
    return Example(
        turns=tuple(Turn(each.actor, each.says, each.place, each.waits_for, each.cut) for each in case.steps),
        answers=tuple(map(answer_in_full, case.answers)),
        wire=tuple(describe(each) for each in sorted(records, key=lambda each: each.at_ns)),
        logged=logged,
    )


def _now() -> float:
    """Seconds since 1970; by clock_gettime, because a suite may have frozen time.time."""
    return time.clock_gettime(time.CLOCK_REALTIME)


def answer_in_full(answer: Answer) -> str:
    """What a caller got, the error behind it, and the line of the project that the error came through last."""
    behind = f": {answer.error}" if answer.error and not answer.raised else ""
    said = answer.error if answer.raised else f"{answer}{behind}"
    return f"-> {said}  {answer.place}".rstrip()
