"""The nightly sweep of correct designs: its shards are all of them, each once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from lab.records.result import PromiseResult, Result, VariantInfo
from lab.records.shard import Shard
from lab.records.verdict import Verdict
from tools.false_alarms import came_to, correct

ROOT = Path(__file__).resolve().parents[2]
JOB = "false-alarms"


@pytest.mark.parametrize("of", [1, 2, 5, 12, 36, 50])
def test_the_shards_hold_each_design_once(of: int) -> None:
    shards = [correct(Shard(index, of)) for index in range(1, of + 1)]
    assert sorted(design for shard in shards for design in shard) == correct()
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    assert len(correct()) >= 35


def test_the_nightly_job_runs_every_shard_with_both_drivers_and_seeds_of_its_own() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "nightly.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"][JOB]
    shards, drivers = job["strategy"]["matrix"]["shard"], job["strategy"]["matrix"]["driver"]
    (command,) = [step["run"] for step in job["steps"] if "false_alarms" in step.get("run", "")]
    (of,) = re.findall(r"--shard \$\{\{ matrix.shard \}\}/(\d+)", command)
    assert shards == list(range(1, int(of) + 1))
    assert drivers == ["psycopg2", "psycopg"]
    assert "--idle" not in command
    (times,) = re.findall(r"--times (\d+)", command)
    assert f"--seed $(({times} * GITHUB_RUN_NUMBER))" in command


def test_a_check_says_what_is_unknown() -> None:
    promises = {
        "alpha": PromiseResult(verdict=Verdict.KEPT, claimed=True),
        "beta": PromiseResult(verdict=Verdict.UNKNOWN, claimed=True),
        "gamma": PromiseResult(verdict=Verdict.BROKEN, claimed=False),
    }
    info = VariantInfo(name="mine", engine="zoo.mine", driver="psycopg2")
    result = Result(
        verdict=Verdict.UNKNOWN,
        variant=info,
        versions={},
        seed=7,
        seconds=61.2,
        cases=40,
        void=3,
        promises=promises,
    )
    assert came_to(result) == "1 kept, 1 limit, 1 unknown (beta); 3 of 40 runs void, 61 s"
