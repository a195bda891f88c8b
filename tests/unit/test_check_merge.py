"""Shards of a check: alone none says `kept` of what it did not run, together they say what the whole check says."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from lab.check.cases import Case
from lab.check.merge import merge, pieces
from lab.check.part import Further, Part, conclude, keep
from lab.check.trial import Agreement, Trial
from lab.errors import BadInput, StoreUnwritable
from lab.records.plan import Begin, End, Plan, Read
from lab.records.record import Record
from lab.records.result import Result, VariantInfo
from lab.records.shard import WHOLE, Shard, key_of
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding, Verdict
from lab.store import CheckFolder, Store

VARIANT = Variant(name="v", claims=("recovers", "reuses"))
STEPS = (Begin("t0"), Read("t0"), End("t0"))
MOMENTS = ("idle", "mid-query", "at COMMIT", "in a command")


def case(number: int, promise: str = "recovers", moment: str = "") -> Case:
    moment = moment or MOMENTS[number - 1]
    return Case(number, Plan(variant=VARIANT, steps=STEPS * number, promise=promise), ((promise, moment),))


def trial(number: int, verdict: Verdict, folder: CheckFolder | None = None, **of_case: str) -> Trial:
    each = case(number, **of_case)
    promise = each.made_for[0][0]
    findings = (Finding(promise=promise, verdict=verdict, summary="why"),)
    if verdict is not Verdict.BROKEN:
        return Trial(each, findings, runs=1)
    record = Record(plan=each.plan, run=f"r{number}")
    path = folder.keep(each.name, record, findings) if folder else Path()
    return Trial(
        each, findings, runs=2, cause=promise, evidence=str(path), agreement={promise: Agreement(2, 2)}, void=1
    )


VERDICTS = {1: Verdict.KEPT, 2: Verdict.BROKEN, 3: Verdict.KEPT, 4: Verdict.BROKEN}


def part(trials: tuple[Trial, ...], shard: Shard = WHOLE, **fields: object) -> Part:
    given = Part(
        edition="1+abc",
        shard=shard,
        settings={"seed": 0},
        variant=VARIANT,
        info=VariantInfo(name="v", engine="e", driver="psycopg2"),
        traits=Traits(),
        engine="e",
        versions={"postgresql": "18"},
        promises=("recovers", "reuses"),
        not_applicable={},
        plans=tuple(key_of(case(number).plan) for number in VERDICTS),
        trials=trials,
    )
    return msgspec.structs.replace(given, **fields)


def shard_store(root: Path, index: int, numbers: tuple[int, ...], **fields: object) -> Path:
    folder = Store(root).open("v", 0)
    trials = tuple(trial(number, VERDICTS[number], folder) for number in numbers)
    folder.note(Record(plan=case(1).plan, run=f"kept{index}"), ())
    keep(part(trials, Shard(index, 2), **fields), folder)
    return root


def alone(numbers: tuple[int, ...], verdicts: dict[int, Verdict]) -> Result:
    mine = tuple(trial(number, verdicts[number]) for number in numbers)
    others = [Trial(case(number), missing="not run") for number in VERDICTS if number not in numbers]
    return conclude(part(mine, Shard(1, 2)), others)


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Path, Path]:
    return shard_store(tmp_path / "one", 1, (1, 4)), shard_store(tmp_path / "two", 2, (2, 3))


def test_a_shard_alone_says_unknown_of_what_it_did_not_run() -> None:
    found = alone((1, 3), dict.fromkeys(VERDICTS, Verdict.KEPT)).promises["recovers"]
    assert found.verdict is Verdict.UNKNOWN
    assert found.moments == {
        "idle": Verdict.KEPT,
        "mid-query": Verdict.UNKNOWN,
        "at COMMIT": Verdict.KEPT,
        "in a command": Verdict.UNKNOWN,
    }


def test_a_shard_alone_says_broken_of_what_it_saw_broken() -> None:
    assert alone((1, 2), VERDICTS).promises["recovers"].verdict is Verdict.BROKEN


def test_shards_together_say_what_the_whole_says(stores: tuple[Path, Path], tmp_path: Path) -> None:
    (found,) = pieces(stores).values()
    into = Store(tmp_path / "all")
    merged = merge(found, into)
    whole = conclude(part(tuple(trial(number, verdict) for number, verdict in VERDICTS.items())))
    for promise, expected in whole.promises.items():
        assert merged.promises[promise].moments == expected.moments
        assert merged.promises[promise].summary == expected.summary
        assert merged.promises[promise].verdict is expected.verdict
    assert (merged.cases, merged.void, merged.shard) == (whole.cases, whole.void, "")
    evidence = merged.promises["recovers"].evidence
    assert len(evidence) == 2
    for path in evidence:
        assert Path(path).is_relative_to(into.root)
        assert Path(path).is_file()
    (folder,) = (each for each in (into.root / "v").iterdir() if not each.is_symlink())
    assert (folder / "kept.jsonl").read_bytes().count(b"\n") == 2
    assert (folder / "verdicts.json").is_file()


def test_the_order_of_the_stores_does_not_matter(stores: tuple[Path, Path], tmp_path: Path) -> None:
    def merged(order: tuple[Path, ...], into: str) -> dict[str, object]:
        (found,) = pieces(order).values()
        result = merge(found, Store(tmp_path / into))
        return {name: (each.moments, each.summary, each.cases) for name, each in result.promises.items()}

    assert merged(stores, "a") == merged(stores[::-1], "b")


def test_what_a_search_found_and_a_plan_of_another_shard_knew_is_not_told_twice(tmp_path: Path) -> None:
    def find(promise: str, number: int) -> Trial:
        return trial(number, Verdict.BROKEN, promise=promise, moment="random")

    finds = Further(trials=(find("recovers", 1), find("reuses", 2)), runs=9)
    shard_store(tmp_path / "one", 1, (1, 4))
    folder = Store(tmp_path / "two").open("v", 0)
    trials = tuple(trial(number, VERDICTS[number], folder) for number in (2, 3))
    kept = [msgspec.structs.replace(part(trials, Shard(2, 2)), search=finds)]
    moved = tuple(
        Trial(each.case, each.findings, cause=each.cause, agreement=each.agreement, evidence=str(folder.path / "x"))
        for each in finds.trials
    )
    keep(msgspec.structs.replace(kept[0], search=msgspec.structs.replace(finds, trials=moved)), folder)
    (found,) = pieces([tmp_path / "one", tmp_path / "two"]).values()
    merged = merge(found, Store(tmp_path / "all"))
    assert "random" not in merged.promises["recovers"].moments
    assert merged.promises["reuses"].moments == {"random": Verdict.BROKEN}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"edition": "1+def"}, r"differ in the lab: 1\+abc and 1\+def; run all shards with one commit"),
        ({"versions": {"postgresql": "17"}}, "differ in versions: postgresql 18 and 17"),
        ({"settings": {"seed": 7}}, "differ in the settings of the check: seed 0 and 7"),
        ({"variant": Variant(name="v", settings={"CONN_MAX_AGE": 9})}, "differ in the variant"),
        ({"plans": ("a",)}, "differ in the plans"),
        ({"shard": Shard(2, 3)}, "differ in the number of shards: 2 and 3"),
    ],
)
def test_shards_of_different_checks_are_refused(tmp_path: Path, fields: dict[str, object], said: str) -> None:
    one = shard_store(tmp_path / "one", 1, (1, 4))
    folder = Store(tmp_path / "two").open("v", 0)
    keep(msgspec.structs.replace(part((), Shard(2, 2)), **fields), folder)
    with pytest.raises(BadInput, match=said):
        pieces([one, tmp_path / "two"])


def test_a_plan_that_no_shard_has_run_is_seen(tmp_path: Path) -> None:
    stores = shard_store(tmp_path / "one", 1, (1, 4)), shard_store(tmp_path / "two", 2, (2,))
    with pytest.raises(BadInput, match="1 plans are in none of the shards, or in several, number 3 first"):
        pieces(stores)


def test_the_same_store_twice_is_seen(stores: tuple[Path, Path]) -> None:
    with pytest.raises(BadInput, match="2 is missing and 1 is there more than once"):
        pieces([stores[0], stores[0]])


def test_a_merge_that_cannot_be_written_leaves_the_shards_and_no_half(
    stores: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = pieces(stores).values()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lab.check.merge.shutil.copyfileobj", full)
    with pytest.raises(StoreUnwritable, match="No space left"):
        merge(found, Store(tmp_path / "all"))
    assert not list((tmp_path / "all").glob("v/*"))
    assert list(pieces(stores))


def test_a_store_that_came_as_an_archive_without_links_is_joined(stores: tuple[Path, Path], tmp_path: Path) -> None:
    for store in stores:
        CheckFolder(store, next(store.glob("v/*"))).finish(b"{}")
        shutil.copytree(store, tmp_path / "archive" / store.name)  # follows the links
    archived = [tmp_path / "archive" / store.name for store in stores]
    assert (archived[0] / "v" / "latest" / "part.json").is_file()
    assert not (archived[0] / "v" / "latest").is_symlink()
    assert [piece.part.shard.index for piece in pieces(archived)["v"]] == [1, 2]


def test_a_damaged_shard_is_said(stores: tuple[Path, Path]) -> None:
    (file,) = (each for each in stores[0].glob("v/*/part.json") if not each.parent.is_symlink())
    file.write_text("{")
    with pytest.raises(BadInput, match=r"part\.json is no shard of this lab"):
        pieces(stores)
