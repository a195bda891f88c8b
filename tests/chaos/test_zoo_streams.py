"""A stream of psycopg's that is left early: what the driver cancels there it does not tell, and Django does not ask.

So a block in which that came is undone by the server. An ENGINE that reads streams to their end, or that asks before it
commits, has nothing to hide; that Django has is held against no ENGINE.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from fix_zoo import probed
from lab.check.variants import rows
from lab.judging.judge import judge
from lab.judging.plan_parts import STREAM
from lab.promise import PROMISES
from lab.records.variant import Variant
from lab.records.verdict import Verdict
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

TESTS = Path(__file__).resolve().parents[1]
BOUND = 6.0  # seconds; a stream that is read to its end takes two
WORKS = "works-unfaulted"
TITLES = ("in atomic()", "at the end")
JUDGED = (WORKS, "hooks-once", "atomic", "durable")


def _named(name: str) -> Variant:
    if name in rows():
        return msgspec.structs.replace(rows()[name], driver="psycopg")
    if name == "stock":
        return Variant(name=name, driver="psycopg")
    return Variant(name=name, engine=f"zoo.{name}", driver="psycopg", path=(str(TESTS),))


def _broken(name: str, rig: Rig) -> dict[str, set[str]]:
    """By the promise for which a plan was made, what it shows to be broken; each judge has judged each plan."""
    shown: dict[str, set[str]] = {}
    with closing(Zygote(_named(name), rig.folder, rig.environ())) as zygote:
        probed(zygote, rig)
        for promise in JUDGED:
            for plan in PROMISES.get(promise).plans(zygote.variant, zygote.traits):
                if plan.moment == STREAM:
                    record = run(msgspec.structs.replace(plan, bound=BOUND), rig, zygote)
                    found = judge(record, [PROMISES.get(each) for each in JUDGED])
                    assert next(each for each in found if each.promise == promise).verdict is not Verdict.UNKNOWN
                    shown.setdefault(plan.title, set()).update(
                        each.promise for each in found if each.verdict is Verdict.BROKEN
                    )
    assert len(shown) == 5
    return shown


def test_a_stream_that_never_ends_is_caught(rig: Rig) -> None:
    shown = _broken("keeps_streams", rig)
    assert {title for title, broken in shown.items() if WORKS in broken} >= {f"{WORKS}: {STREAM}", *TITLES}


@pytest.mark.parametrize("name", ["correct_reads_streams_out", "correct_asks_before_commit", "persistent_global"])
def test_one_that_undoes_nothing_or_says_so_keeps_all(name: str, rig: Rig) -> None:
    assert not any(_broken(name, rig).values())


@pytest.mark.parametrize("name", ["stock", "correct_careful", "correct_own_pool"])
def test_what_django_breaks_there_is_known_to_be_its_own(name: str, rig: Rig) -> None:
    broken = set().union(*_broken(name, rig).values())
    assert broken == {each for each in JUDGED if STREAM in PROMISES.get(each).of_django}
