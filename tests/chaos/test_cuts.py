"""Every cut of a window, on a real rig: the same table twice, a stop taken up, and a finding that replays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lab.check.replay import replay
from lab.check.variants import rows
from lab.explore.cuts import Cuts, Ground, explore
from lab.explore.profiles import profile
from lab.records.codec import decode_plan
from lab.rig.embedded.rig import Rig
from lab.store import Store
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.chaos]


class Stopped(Exception):
    pass


@pytest.fixture
def persistent(rig: Rig) -> Iterator[Ground]:
    """Stock Django that keeps its connections."""
    with closing(Zygote(rows()["django_persistent"], rig.folder, rig.environ())) as zygote:
        yield Ground(zygote.variant, rig, zygote)


def commit(ground: Ground, folder: Path) -> Cuts:
    return explore(ground, Store(folder), windows=("commit",)).cuts


def test_the_same_exploration_gives_the_same_table(persistent: Ground, tmp_path: Path) -> None:
    first, again = commit(persistent, tmp_path / "a"), commit(persistent, tmp_path / "b")
    assert first.encode() == again.encode()
    assert (first.points, first.void) == (3, 0)
    assert first.strip["fin"] == {"upstream": ("e",), "downstream": ("?", "?")}
    assert first.strip["stall"] == {"upstream": (".",), "downstream": (".", ".")}
    assert [each.promises for each in first.classes] == [(), (), ()]


def test_a_stop_is_taken_up_where_it_was(rig: Rig, persistent: Ground, tmp_path: Path) -> None:
    def stop(done: int, of: int) -> None:
        if done == 4:
            raise Stopped

    store = Store(tmp_path)
    with pytest.raises(Stopped):
        explore(persistent, store, windows=("commit",), tell=stop)
    with closing(Zygote(persistent.variant, rig.folder, rig.environ())) as zygote:
        explored = explore(Ground(persistent.variant, rig, zygote), store, windows=("commit",))
    assert explored.resumed >= 4
    assert explored.resumed + explored.cases == len(explored.outcomes) == 15


def test_every_class_has_a_plan_that_replays(rig: Rig, tmp_path: Path) -> None:
    variant = rows()["published_threadlocal"]
    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote:
        cuts = explore(Ground(variant, rig, zygote), Store(tmp_path), windows=("commit",), ways=("fin",)).cuts
        (broken,) = [each for each in cuts.classes if each.promises]
        assert "recovers" in broken.promises
        plan = decode_plan((tmp_path / broken.evidence).read_bytes())
        assert replay(plan, rig, zygote, 2).expected == 2


@pytest.mark.slow
@pytest.mark.skipif(profile().name != "nightly", reason="every byte: in the nightly profile (LAB_PROFILE=nightly)")
@pytest.mark.parametrize("name", rows())
def test_every_byte_of_one_request(rig: Rig, tmp_path: Path, name: str) -> None:
    variant = rows()[name]
    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote:
        ground = Ground(variant, rig, zygote)
        by_message = explore(ground, Store(tmp_path)).cuts
        by_byte = explore(ground, Store(tmp_path), every="byte").cuts
    assert (by_message.void, by_byte.void) == (0, 0)
    assert _broken(by_byte) == _broken(by_message)


def _broken(cuts: Cuts) -> set[str]:
    return {promise for each in cuts.classes for promise in each.promises}
