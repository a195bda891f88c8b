"""Shards: the same on every machine and in every process, each plan in exactly one, and joined only where they fit."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from lab.check.variants import rows
from lab.errors import BadInput
from lab.promise import PROMISES
from lab.records.plan import Begin, End, Plan, Read
from lab.records.shard import WHOLE, Shard, adding_up, agreeing, key_of, parse, place
from lab.records.variant import Traits, Variant

ROOT = Path(__file__).resolve().parents[2]
PLAN = Plan(variant=Variant(name="v", settings={"CONN_MAX_AGE": 60}), steps=(Begin("t0"), Read("t0"), End("t0")))


@pytest.mark.parametrize("text", ["2", "0/5", "6/5", "2/0", "a/b", "-1/5", "1/5/5", "1/1001", "1 / 5"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="write it as 2/5"):
        parse(text)


def test_a_part_is_read() -> None:
    assert (parse("2/5"), parse("")) == (Shard(2, 5), WHOLE)
    assert str(Shard(2, 5)) == "2/5"


def test_a_hash_is_the_same_in_every_process() -> None:
    program = "from lab.records.shard import place; print(place('published_global search 7'))"
    for seed in ("0", "1"):
        said = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert int(said.stdout) == place("published_global search 7") == 2099621837763284986


def test_a_plans_key_is_known() -> None:
    """Another key would put plans into other shards than those that older machines of a matrix run."""
    assert key_of(PLAN) == "3bc2e728637c126f2dcb3bd0d429b4de60287c6641516dcd8e654add7d047c36"


def test_a_key_knows_what_a_plan_does_and_no_folder_of_a_machine() -> None:
    def changed(**fields: object) -> str:
        return key_of(msgspec.structs.replace(PLAN, variant=msgspec.structs.replace(PLAN.variant, **fields)))

    assert changed(path=("/home/a",), folder="/home/b", python="/usr/bin/python3") == key_of(PLAN)
    assert changed(settings={"CONN_MAX_AGE": 0}) != key_of(PLAN)
    assert key_of(msgspec.structs.replace(PLAN, steps=PLAN.steps[:2])) != key_of(PLAN)


def test_a_key_holds_no_secret() -> None:
    def key(password: str) -> str:
        variant = msgspec.structs.replace(PLAN.variant, settings={"PASSWORD": password})
        return key_of(msgspec.structs.replace(PLAN, variant=variant))

    assert key("one") == key("other")


def test_each_plan_is_in_one_shard_and_no_shard_is_empty() -> None:
    variant = rows()["published_threadlocal"]
    traits = Traits()
    plans = [plan for promise in PROMISES.values() for plan in promise.plans(variant, traits)]
    shards = [Shard(index, 5) for index in range(1, 6)]
    held = Counter(shard.index for plan in plans for shard in shards if shard.holds(key_of(plan)))
    assert sum(held.values()) == len(plans) > 100
    assert min(held.values()) > len(plans) / 10


@pytest.mark.parametrize(
    ("indices", "said"),
    [
        ((1, 3), r"of 3, 2 is missing; run --shard 2/3"),
        ((1,), r"2, 3 are missing"),
        ((1, 2, 2, 3), r"2 is there more than once; give the store of each shard once"),
        ((1, 1, 2), r"3 is missing and 1 is there more than once"),
    ],
)
def test_shards_that_do_not_add_up_are_refused(indices: tuple[int, ...], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        adding_up("v", [Shard(index, 3) for index in indices])


def test_shards_that_add_up_are_not() -> None:
    adding_up("v", [Shard(2, 3), Shard(3, 3), Shard(1, 3)])
    adding_up("v", [WHOLE])


def test_what_differs_is_named_with_both_places() -> None:
    with pytest.raises(BadInput, match=r"v: a and c differ in versions: django 5\.2 and 6\.0; run all shards"):
        agreeing("v", ["a", "b", "c"], {"versions": [{"django": "5.2"}, {"django": "5.2"}, {"django": "6.0"}]})
    agreeing("v", ["a", "b"], {"versions": [{"django": "5.2"}, {"django": "5.2"}]})
