"""An exploration that the lab does not have, on the engine that it has: what its docstring says is enough."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.check.replay import replay
from lab.check.variants import find
from lab.errors import LabError
from lab.explore.engine import AGAIN, Class, Exploration, Explored, Outcome, Saw, Table, Target, explore
from lab.promise import PROMISES
from lab.records.codec import decode_plan
from lab.records.plan import Begin, End, Enter, FaultSpec, Heal, Inject, Leave, Plan, Read, Step, Write
from lab.records.record import Record
from lab.records.variant import Variant
from lab.rig.embedded.rig import Rig
from lab.store import Store
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.chaos]

REQUEST: tuple[Step, ...] = (Begin("t0"), Enter("t0"), Write("t0"), Write("t0"), Leave("t0"), End("t0"))
NEXT: tuple[Step, ...] = (Begin("t0"), Read("t0"), End("t0"))
FIRST, LAST = 3, 5  # the steps before which a session has work in progress


@dataclass(frozen=True)
class Severed:
    """The connection is severed before one step."""

    before: int

    @property
    def name(self) -> str:
        return f"before {self.before}"


class SeveredTable(Table, frozen=True, kw_only=True):
    classes: tuple[Class, ...]
    letters: str


class EveryStep(Exploration[Severed, SeveredTable]):
    name = "every-step"

    def cases(self, seen: object) -> list[Severed]:
        return [Severed(step) for step in range(FIRST, LAST)]

    def plan(self, case: Severed, variant: Variant, bound: float) -> Plan:
        steps = (*REQUEST[: case.before], Inject(FaultSpec("sever-fin")), *REQUEST[case.before :], *NEXT)
        return Plan(variant=variant, steps=steps, title=case.name, source="test", bound=bound)

    def saw(self, record: Record) -> Saw:
        return "error" if any(op.type in ("fail", "info") for op in record.ops) else "nothing"

    def table(
        self, outcomes: Mapping[Severed, Outcome], letters: Mapping[Severed, str], classes: tuple[Class, ...]
    ) -> SeveredTable:
        return SeveredTable(classes=classes, letters="".join(letters.values()))


@contextmanager
def targeted(name: str, rig: Rig) -> Iterator[Target]:
    variant = find(name)
    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote:
        yield Target(variant, rig, zygote, promises=(PROMISES.get("recovers"),))


def explored(target: Target, root: Path) -> Explored[Severed, SeveredTable]:
    return explore(EveryStep(), target, Store(root))


def test_its_broken_class_is_lettered_stored_and_replays(rig: Rig, tmp_path: Path) -> None:
    with targeted("published_threadlocal", rig) as target:
        found = explored(target, tmp_path)
        assert found.table.letters == "AA"
        assert "recovers" in found.broken
        example = decode_plan((tmp_path / found.table.classes[0].evidence).read_bytes())
        assert replay(example, rig, target.zygote, times=2).expected == 2
    assert (found.cases, found.resumed, found.examples["A"].agreed) == (2, 0, 1)
    assert found.at_stake["recovers"] == 2
    assert not list(tmp_path.rglob("progress.jsonl"))


def test_its_calm_class_breaks_nothing_and_its_tables_are_equal(rig: Rig, tmp_path: Path) -> None:
    with targeted("django_per_request", rig) as target:
        tables = [explored(target, tmp_path / name).table for name in ("once", "again")]
    assert [table.letters for table in tables] == ["ee", "ee"]
    assert tables[0].encode() == tables[1].encode()


def test_a_case_that_never_proves_anything_is_void(rig: Rig, tmp_path: Path) -> None:
    plans = []

    class AtNoCommit(EveryStep):
        def cases(self, seen: object) -> list[Severed]:
            return [Severed(0)]

        def plan(self, case: Severed, variant: Variant, bound: float) -> Plan:
            never = FaultSpec("cut-fin", {"moment": "commit-sent+0"})
            steps = (Inject(never), Begin("t0"), Read("t0"), End("t0"), Heal(), *NEXT)
            return Plan(variant=variant, steps=steps)

        def missed(self, case: Severed, record: Record) -> bool:
            plans.append(record.void)
            return super().missed(case, record)

    with targeted("django_per_request", rig) as target:
        found = explore(AtNoCommit(), target, Store(tmp_path))
    assert (found.table.letters, found.classes, found.broken) == ("-", (), ())
    assert len(plans) == AGAIN
    assert all(plans)


def test_a_stop_loses_only_what_was_running(rig: Rig, tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int, of: int) -> None:
        assert of == 2
        raise Stopped

    with targeted("django_per_request", rig) as target, pytest.raises(Stopped):
        explore(EveryStep(), target, Store(tmp_path), progress=stop)
    with targeted("django_per_request", rig) as target:
        found = explored(target, tmp_path)
    assert found.resumed >= 1
    assert found.resumed + found.cases == 2
    assert found.table.letters == "ee"


def test_another_variant_takes_up_nothing(rig: Rig, tmp_path: Path) -> None:
    def stop(done: int, of: int) -> None:
        raise LabError("stopped", "go on")

    with targeted("django_per_request", rig) as target, pytest.raises(LabError):
        explore(EveryStep(), target, Store(tmp_path), progress=stop)
    (folder,) = (tmp_path / "django_per_request").iterdir()
    folder.rename(tmp_path / "moved")
    (tmp_path / "published_threadlocal").mkdir()
    (tmp_path / "moved").rename(tmp_path / "published_threadlocal" / folder.name)
    with targeted("published_threadlocal", rig) as target:
        found = explored(target, tmp_path)
    assert (found.resumed, found.table.letters) == (0, "AA")
