"""A campaign's result: the same in whatever order its slices end, whatever stops it, and however it is shared out.

The workers here answer at once, by a rule: what a real one runs is for tests/chaos/test_campaign_workers.py.
"""

from __future__ import annotations

import errno
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis.database import DirectoryBasedExampleDatabase

from lab.campaign.campaign import COST, SLICE_SECONDS, run_campaign, slice_seconds
from lab.campaign.corners import inside
from lab.campaign.join import join
from lab.campaign.keeping import LEDGER, Settings, open_campaign
from lab.campaign.kinds import Kind, exploration, sample, seeds
from lab.campaign.progress import Silent
from lab.campaign.slices import Cases, Example, Find, Look, Outcomes, Searched, Seed, Seen, Slice
from lab.campaign.verdicts import Found, conclude
from lab.check.corners import Corner
from lab.errors import BadInput, LabError, StoreUnwritable
from lab.explore.engine import About, Outcome, Ran
from lab.explore.ledger import Ledger
from lab.judging.situations import DIMENSIONS, combinations, possible
from lab.records.codec import decode_plan, encode
from lab.records.plan import Begin, End, Plan, Read, Step
from lab.records.record import Record
from lab.records.shard import WHOLE, Shard, place
from lab.records.variant import Driver, Traits, Variant
from lab.records.verdict import Finding, Verdict
from lab.rig.machine.environments import Environment, interpreter
from lab.store import Store

FIRST, SECOND = Variant(name="first", claims=("recovers",)), Variant(name="second", claims=("durable",))
POINTS = [{"direction": "upstream", "name": "c1:query-sent", "byte": n, "step": 1} for n in range(20)]
SEEN = {"points": POINTS, "atomic": False}


STEPS = (Begin("t0"), Read("t0"), End("t0"))
DIRECTED = [
    (f"recovers: moment {n}", ("recovers",), encode(Plan(variant=Variant(name=""), steps=STEPS)).decode())
    for n in range(40)
]
CORNERS = [Corner(Environment(django, "3.13"), driver) for django in ("5.2", "6.1") for driver in get_args(Driver)]


def outcome(variant: Variant, name: str) -> Outcome:
    """The rule: a quarter of the cases breaks something, now and then one is void."""
    number = place(f"{variant.name} {name}") % 16
    if number < 3:
        return Outcome(("recovers",), "error")
    if number == 3:
        return Outcome(("honest-error", "recovers"), "error")
    return Outcome((), "error" if number % 2 else "nothing", counted=number != 15)


def broken(*promises: str) -> tuple[Finding, ...]:
    return tuple(Finding(promise=each, verdict=Verdict.BROKEN) for each in promises)


def answer(piece: Slice[Any]) -> Any:
    if isinstance(piece, Look):
        return Seen({"bytes": SEEN, "versions": DIRECTED}.get(piece.kind), About(Traits(), {"postgresql": "18"}), 10.0)
    if isinstance(piece, Cases):
        outcomes = tuple((case.name, outcome(piece.variant, case.name)) for case in piece.cases)
        return Outcomes(outcomes, {"recovers": len(outcomes), "durable": 1}, 0.5 * len(outcomes))
    if isinstance(piece, Example):
        plan = exploration(piece.kind).plan(piece.case, piece.variant, 10.0)
        return Ran(piece.case, piece.expected, 1, 1, Record(plan=plan, run="r"), broken(*piece.expected.promises))
    assert isinstance(piece, Seed)
    names = ("atomic",) if piece.seed % 3 == 0 and "atomic" not in piece.known else ()
    steps: tuple[Step, ...] = (Begin("t0"), *[Read("t0")] * (1 + place(str(piece.seed)) % 5), End("t0"))
    record = Record(plan=Plan(variant=piece.variant, steps=steps), run=f"r{piece.seed}")
    finds = tuple(Find(name, record, broken(name), 3, 3) for name in names)
    return Searched(finds, 50, 0, {"atomic": 20}, ((b"key", str(piece.seed).encode()),), 5.0)


@dataclass
class Answering:
    """Workers that answer by a rule, the last slice first, the first one first, or in any order."""

    workers: int = 3
    order: Callable[[int], int] = lambda number: 0
    answer: Callable[[Slice[Any]], Any] = answer
    seen: list[Slice[Any]] = field(default_factory=list)

    def results(self, more: Callable[[], Slice[Any] | None]) -> Iterator[tuple[Slice[Any], Any]]:
        running: list[Slice[Any]] = []
        while True:
            while len(running) < 2 * self.workers and (piece := more()) is not None:
                running.append(piece)
            if not running:
                return
            piece = running.pop(self.order(len(running)))
            self.seen.append(piece)
            yield piece, self.answer(piece)


THREE: tuple[Kind, ...] = ("bytes", "orders", "search")


def settings(**fields: Any) -> Settings:
    given = {"edition": "1+abc", "variants": (FIRST, SECOND), "kinds": THREE, "cases": 300, "preemptions": 0}
    return Settings(**{**given, **fields})


def ran(root: Path, workers: Any, what: Settings | None = None, **options: Any) -> Found:
    what = what or settings()
    store = open_campaign(root, what)
    run_campaign(what, store, workers, Silent(), **options)
    return conclude(store)


def test_the_order_and_the_number_of_workers_show_nowhere(tmp_path: Path) -> None:
    dice = random.Random(7)
    ways = [
        Answering(1),
        Answering(2, lambda number: number - 1),
        Answering(64, dice.randrange),
        Answering(4, lambda number: number // 2),
    ]
    texts = {encode(ran(tmp_path / str(number), workers)) for number, workers in enumerate(ways)}
    assert len(texts) == 1
    (text,) = texts
    document = msgspec.json.decode(text, type=Found)
    first, second = document.variants
    assert (first.verdict, second.verdict) == ("broken", "held")
    assert first.kinds["bytes"].cases == first.kinds["bytes"].of == 40  # each point by FIN and by RST
    orders = exploration("orders", 0)
    cases = {
        "bytes": exploration("bytes").cases(SEEN),
        "orders": sample(orders.cases(None), FIRST, orders, 50, WHOLE),
    }
    assert first.kinds["orders"].cases == first.kinds["orders"].of == len(cases["orders"])
    assert first.promises["recovers"].broken == {
        kind: sum("recovers" in outcome(FIRST, case.name).promises for case in of_it) for kind, of_it in cases.items()
    }
    assert second.promises["durable"].verdict == "held"
    assert not second.promises["recovers"].claimed
    for evidence in first.promises["recovers"].evidence:
        assert (tmp_path / "0" / evidence).is_file()


def test_all_found_examples_are_in_one_database(tmp_path: Path) -> None:
    ran(tmp_path, Answering())
    database = DirectoryBasedExampleDatabase(tmp_path / "examples")
    assert set(database.fetch(b"key")) == {str(seed).encode() for seed in seeds(0, settings().quota, FIRST, WHOLE)}


def test_of_several_seeds_the_simplest_plan_is_kept(tmp_path: Path) -> None:
    what = settings(kinds=("search",), cases=50 * 2 * 8, seed=1)
    stores = [tmp_path / "a", tmp_path / "b"]
    ran(stores[0], Answering(1), what)
    ran(stores[1], Answering(5, lambda number: number - 1), what)
    plans = [(root / "first/search-campaign/cases/random-atomic/plan.json").read_bytes() for root in stores]
    assert plans[0] == plans[1]
    steps = len(msgspec.json.decode(plans[0])["steps"])
    assert steps == min(3 + place(str(seed)) % 5 for seed in (3, 6))


def test_every_triple_of_a_situation_is_a_case_of_a_campaign(tmp_path: Path) -> None:
    what = settings(kinds=("situations",), variants=(FIRST,), cases=None)
    first = ran(tmp_path, Answering(), what).variants[0].kinds["situations"]
    cases = exploration("situations").cases(None)
    assert first.complete
    assert first.cases == first.of == len(cases)
    covered = set().union(*(combinations(case.situation, 3) for case in cases))
    alone = {"actors": "two", "lifecycle": "thread", "before": "thread's end"}  # what takes a second thread
    every = itertools.product(*DIMENSIONS.values())
    can = [dict(zip(DIMENSIONS, values, strict=True)) for values in every]
    can = [each for each in can if possible(each) and not any(each[name] == value for name, value in alone.items())]
    assert covered == set().union(*(combinations(each, 3) for each in can))


@pytest.mark.parametrize("after", [0, 1, 9])
def test_a_stop_keeps_what_there_is_and_it_goes_on_from_there(tmp_path: Path, after: int) -> None:
    left = itertools.count()

    def stop(_piece: Slice[Any], _result: Any) -> None:
        if next(left) >= after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ran(tmp_path / "a", Answering(), ended=stop)
    partly = conclude(Store(tmp_path / "a"))
    assert not any(variant.complete for variant in partly.variants)
    assert "held" not in {each.verdict for variant in partly.variants for each in variant.promises.values()}
    assert partly.status in (1, 2)
    again = Answering()
    assert encode(ran(tmp_path / "a", again)) == encode(ran(tmp_path / "b", Answering()))
    done = sum(kind.cases for variant in partly.variants for name, kind in variant.kinds.items() if name != "search")
    rerun = sum(len(piece.cases) for piece in again.seen if isinstance(piece, Cases))
    assert done + rerun == 2 * (40 + 50)  # each case once


def test_time_that_is_over_ends_it_with_examples_of_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(0.0, 1.0)
    monkeypatch.setattr("lab.campaign.campaign.time.monotonic", lambda: next(clock))
    what = ran(tmp_path, Answering(1), seconds=10.0)
    first = what.variants[0]
    assert not first.complete
    assert 0 < first.kinds["bytes"].cases < 40
    assert all((tmp_path / each.evidence).is_file() for each in first.kinds["bytes"].classes)


def test_a_killed_slice_ends_its_part_alone_and_is_told(tmp_path: Path) -> None:
    def lost(piece: Slice[Any]) -> Any:
        if isinstance(piece, Cases) and piece.kind == "bytes" and piece.variant == SECOND:
            return LabError("every worker that ran it ended", "look at the workers' logs")
        return answer(piece)

    what = ran(tmp_path, Answering(answer=lost))
    first, second = what.variants
    assert first.complete
    assert "every worker that ran it ended" in second.kinds["bytes"].skipped
    assert (second.kinds["bytes"].cases, second.kinds["orders"].complete) == (0, True)
    assert second.verdict == "unknown"


def test_what_a_busy_machine_spoils_is_tried_again(tmp_path: Path) -> None:
    tries: Counter[str] = Counter()

    def busy(piece: Slice[Any]) -> Any:
        tries[piece.title] += 1
        return LabError("the lab itself was held up") if tries[piece.title] < 3 else answer(piece)

    assert encode(ran(tmp_path / "a", Answering(answer=busy))) == encode(ran(tmp_path / "b", Answering()))


def test_shards_joined_are_the_whole(tmp_path: Path) -> None:
    of, roots = 3, []
    for index in range(1, of + 1):
        roots.append(tmp_path / str(index))
        alone = ran(roots[-1], Answering(), settings(shard=Shard(index, of)))
        assert alone.shard == f"{index}/{of}"
        assert "held" not in {each.verdict for variant in alone.variants for each in variant.promises.values()}
    joined = conclude(join(roots, tmp_path / "all"))
    assert encode(joined) == encode(ran(tmp_path / "whole", Answering()))
    for variant in joined.variants:
        for promise in variant.promises.values():
            assert all((tmp_path / "all" / path).is_file() for path in promise.evidence)


def test_shards_of_other_campaigns_are_refused(tmp_path: Path) -> None:
    for root, fields in (("a", {}), ("b", {"seed": 1}), ("c", {"edition": "1+def"})):
        index = 1 if root == "a" else 2
        ran(tmp_path / root, Answering(), settings(shard=Shard(index, 2), cases=12, **fields))
    with pytest.raises(BadInput, match="differ in seed: 0 and 1"):
        join([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    with pytest.raises(BadInput, match=r"differ in the lab: 1\+abc and 1\+def"):
        join([tmp_path / "a", tmp_path / "c"], tmp_path / "all")
    with pytest.raises(BadInput, match="2 is missing"):
        join([tmp_path / "a"], tmp_path / "all")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"edition": "1+def"}, r"another lab: 1\+abc, and not 1\+def; give another --store"),
        ({"variants": (FIRST,)}, "another list of variants"),
        ({"seed": 3}, "another seed"),
        ({"shard": Shard(1, 2)}, "another shard: 1/1, and not 1/2"),
    ],
)
def test_a_store_of_another_campaign_is_refused_and_stays(tmp_path: Path, fields: dict[str, Any], said: str) -> None:
    open_campaign(tmp_path, settings())
    before = (tmp_path / "campaign.json").read_bytes()
    with pytest.raises(BadInput, match=said):
        open_campaign(tmp_path, settings(**fields))
    assert (tmp_path / "campaign.json").read_bytes() == before


def test_other_versions_do_not_mix_with_what_is_there(tmp_path: Path) -> None:
    def newer(piece: Slice[Any]) -> Any:
        if isinstance(piece, Look):
            return Seen(SEEN, About(Traits(), {"postgresql": "19"}), 10.0)
        return answer(piece)

    what = settings(kinds=("bytes",), variants=(FIRST,))
    before = ran(tmp_path, Answering(), what)
    (ledger,) = tmp_path.glob(f"first/*/{LEDGER}")
    kept = ledger.read_bytes()
    after = ran(tmp_path, Answering(answer=newer), what)
    assert "other versions" in after.variants[0].kinds["bytes"].skipped
    assert ledger.read_bytes() == kept
    assert after.variants[0].kinds["bytes"].classes == before.variants[0].kinds["bytes"].classes


def test_a_full_disk_loses_only_what_came_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_all, calls = Ledger.add_all, itertools.count()

    def full(self: Ledger, *given: Any) -> None:
        if next(calls) == 4:
            raise StoreUnwritable("cannot write done.jsonl: No space left on device", "free space there")
        add_all(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "add_all", full)
        with pytest.raises(StoreUnwritable, match="No space left"):
            ran(tmp_path / "a", Answering())
    assert encode(ran(tmp_path / "a", Answering())) == encode(ran(tmp_path / "b", Answering()))


def test_lines_that_could_not_be_written_whole_are_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(tmp_path / "done.jsonl", "head")
    ledger.add_all([("a", 1)], {"recovers": 1})
    before = ledger.path.read_bytes()

    class Short:
        """A file on a disk that has room for a few bytes more."""

        def __init__(self) -> None:
            self.file = before_open(ledger.path, "ab", buffering=0)

        def __enter__(self) -> Short:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def tell(self) -> int:
            return self.file.tell()

        def write(self, data: bytes) -> int:
            return self.file.write(data[:3])

    before_open = Path.open
    monkeypatch.setattr(Path, "open", lambda *_, **__: Short())
    with pytest.raises(StoreUnwritable, match=errno.errorcode[errno.ENOSPC] and "No space left"):
        ledger.add_all([("b", 2)], {})
    monkeypatch.undo()
    assert ledger.path.read_bytes() == before
    assert Ledger(tmp_path / "done.jsonl", "head").done == {"a": 1}


@pytest.mark.parametrize("number", [1, 8, 64, 512, 4096])
def test_slices_are_long_enough_for_one_scheduler(number: int) -> None:
    """One scheduler hands out all slices: it must not be busy for more than half of the time."""
    assert slice_seconds(number) >= SLICE_SECONDS
    assert number * COST / slice_seconds(number) <= 0.5


def test_more_cases_add_to_those_that_are_done() -> None:
    cases = exploration("orders", 1).cases(None)
    few, more = (sample(cases, FIRST, exploration("orders", 1), number, WHOLE) for number in (10, 25))
    assert len(few) == 10
    assert set(few) < set(more)
    assert sample(cases, FIRST, exploration("orders", 1), None, WHOLE) == cases


def versions(**fields: Any) -> Settings:
    secret = msgspec.structs.replace(FIRST, settings={"VAULT_TOKEN": "s3cret"})
    return settings(kinds=("versions",), variants=tuple(inside([secret], CORNERS)), **fields)


def test_what_differs_between_versions_is_told_with_a_plan_that_runs_there(tmp_path: Path) -> None:
    done = ran(tmp_path, Answering(), versions(cases=None))
    conclude(Store(tmp_path))
    assert [each.variant for each in done.variants] == [
        "first@5.2/3.13/psycopg2",
        "first@5.2/3.13/psycopg",
        "first@6.1/3.13/psycopg2",
        "first@6.1/3.13/psycopg",
    ]
    by_hand = set()
    for name, _, _ in DIRECTED:
        here = {each.name: outcome(each, name) for each in versions().variants}
        for promise in ("recovers", "honest-error"):
            if len({promise in each.promises for each in here.values() if each.counted}) > 1:
                by_hand.add((promise, name))
    assert len(by_hand) > 10
    assert {(each.promise, each.moment) for each in done.differences} == by_hand
    for each in done.differences:
        text = (tmp_path / each.plan).read_text()
        assert "s3cret" not in text
        plan = decode_plan(text.encode(), each.plan)
        corner = plan.variant.name.removeprefix("first@")
        assert each.verdicts[corner] is Verdict.BROKEN
        assert plan.variant.python == f"django{corner[:3]}-python3.13"
        assert plan.variant.driver == corner.rpartition("/")[2]
        assert (plan.steps, plan.expect) == (STEPS, {each.promise: "broken"})


def test_a_campaign_over_versions_is_the_same_however_it_is_run(tmp_path: Path) -> None:
    whole = versions(cases=80)
    one, many = Answering(1), Answering(16, lambda number: number - 1)
    text = encode(ran(tmp_path / "one", one, whole))
    assert text == encode(ran(tmp_path / "many", many, whole))
    roots = [tmp_path / str(index) for index in (1, 2)]
    for index, root in enumerate(roots, 1):
        ran(root, Answering(), versions(cases=80, shard=Shard(index, 2)))
    assert text == encode(conclude(join(roots, tmp_path / "all")))


def test_the_same_plans_are_chosen_in_each_version() -> None:
    what = exploration("versions")
    cases = what.cases(DIRECTED)
    few = [sample(cases, variant, what, 10, WHOLE) for variant in versions().variants]
    assert len(few[0]) == 10
    assert few == [few[0]] * len(CORNERS)


def test_an_environment_is_named_and_where_it_is_missing_it_is_said_how_to_make_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    there = Environment("5.2", "3.13")
    assert interpreter("/usr/bin/python3") == "/usr/bin/python3"
    with pytest.raises(BadInput, match=r"lab matrix --django 5\.2 --python 3\.13"):
        interpreter(there.name)
    (tmp_path / "connection-lab" / there.key / "bin").mkdir(parents=True)
    assert interpreter(there.name) == there.executable


def test_each_seed_is_in_one_shard_and_the_first_in_all() -> None:
    shares = [seeds(5, 50 * 20, FIRST, Shard(index, 4)) for index in range(1, 5)]
    assert all(share[0] == 5 for share in shares)
    assert sorted(seed for share in shares for seed in share[1:]) == list(range(6, 25))
