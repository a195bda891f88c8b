"""Every cut of a window, on a real rig: the same table twice, a stop taken up, and a finding that replays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lab.check.replay import replay
from lab.check.variants import rows
from lab.explore.cuts import REQUESTS, Cuts, CutTable, RequestName
from lab.explore.engine import Target, explore
from lab.explore.profiles import profile
from lab.records.codec import decode_plan
from lab.rig.embedded.rig import Rig
from lab.store import Store
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.chaos]


COMMIT = Cuts(("commit",))
RESULTS = Cuts(ways=("fin",), request="results")


class Stopped(Exception):
    pass


@pytest.fixture
def persistent(rig: Rig) -> Iterator[Target]:
    """Stock Django that keeps its connections."""
    with closing(Zygote(rows()["django_persistent"], rig.folder, rig.environ())) as zygote:
        yield Target(zygote.variant, rig, zygote)


def commit(target: Target, folder: Path) -> CutTable:
    return explore(COMMIT, target, Store(folder)).table


def test_the_same_exploration_gives_the_same_table(persistent: Target, tmp_path: Path) -> None:
    first, again = commit(persistent, tmp_path / "a"), commit(persistent, tmp_path / "b")
    assert first.encode() == again.encode()
    assert (first.points, first.void) == (3, 0)
    assert first.strip["fin"] == {"upstream": ("e",), "downstream": ("?", "?")}
    assert first.strip["stall"] == {"upstream": (".",), "downstream": (".", ".")}
    assert [each.promises for each in first.classes] == [(), (), ()]


def test_a_stop_is_taken_up_where_it_was(rig: Rig, persistent: Target, tmp_path: Path) -> None:
    def stop(done: int, of: int) -> None:
        if done == 4:
            raise Stopped

    store = Store(tmp_path)
    with pytest.raises(Stopped):
        explore(COMMIT, persistent, store, progress=stop)
    with closing(Zygote(persistent.variant, rig.folder, rig.environ())) as zygote:
        explored = explore(COMMIT, Target(persistent.variant, rig, zygote), store)
    assert explored.resumed >= 4
    assert explored.resumed + explored.cases == len(explored.outcomes) == 15


def test_every_class_has_a_plan_that_replays(rig: Rig, tmp_path: Path) -> None:
    variant = rows()["published_threadlocal"]
    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote:
        cuts = explore(Cuts(("commit",), ways=("fin",)), Target(variant, rig, zygote), Store(tmp_path)).table
        (broken,) = [each for each in cuts.classes if each.promises]
        assert "recovers" in broken.promises
        plan = decode_plan((tmp_path / broken.evidence).read_bytes())
        assert replay(plan, rig, zygote, 2).expected == 2


@pytest.mark.parametrize(
    ("name", "broken"), [("django_persistent", {"copy-in", "copy-out"}), ("django_health_checks", set())]
)
def test_of_an_error_past_its_own_cursor_django_does_not_learn(
    rig: Rig, tmp_path: Path, name: str, broken: set[str]
) -> None:
    variant = rows()[name]
    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote:
        found = explore(RESULTS, Target(variant, rig, zygote), Store(tmp_path))
    assert found.table.void == 0
    assert set(found.broken) == ({"recovers"} if broken else set())
    request = REQUESTS["results"]
    struck = [request[cut.point.step] for cut, outcome in found.outcomes.items() if outcome.promises]
    assert {getattr(step, "how", step.do) for step in struck} == broken


@pytest.mark.slow
@pytest.mark.skipif(profile().name != "nightly", reason="every byte: in the nightly profile (LAB_PROFILE=nightly)")
@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("name", rows())
def test_every_byte_of_one_request(rig: Rig, tmp_path: Path, name: str, request_name: RequestName) -> None:
    variant = rows()[name]
    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote:
        target = Target(variant, rig, zygote)
        by_message = explore(Cuts(request=request_name), target, Store(tmp_path)).table
        by_byte = explore(Cuts(every="byte", request=request_name), target, Store(tmp_path)).table
    assert (by_message.void, by_byte.void) == (0, 0)
    assert _broken(by_byte) == _broken(by_message)


def _broken(cuts: CutTable) -> set[str]:
    return {promise for each in cuts.classes for promise in each.promises}
