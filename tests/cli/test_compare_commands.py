"""`lab diff`, `lab judge` and `lab replay --all` as a person runs them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fix_cli import ROOT, Lab
from lab.records.result import encode_results
from lab.records.verdict import Verdict
from lab.store import Store
from unit.stored import BROKEN, MINE, result, stored, told

REGRESSION = ROOT / "tests/regressions/published_threadlocal.recovers.json"


def finished(root: Path, verdict: Verdict, **versions: str) -> Path:
    """A store with one check of that verdict."""
    Store(root).open("mine", 0).finish(encode_results([result(MINE, verdict=verdict, **versions)]))
    return root


def test_diff_takes_stores_folders_and_files_and_says_what_is_worse(tmp_path: Path, lab_inside: Lab) -> None:
    old = finished(tmp_path / "old", Verdict.KEPT, postgresql="17")
    new = finished(tmp_path / "new", Verdict.BROKEN, postgresql="18")
    folder = new / "mine" / "latest"
    both = tmp_path / "both.json"
    both.write_text(json.dumps({"variants": [json.loads((folder / "verdicts.json").read_text())]}))
    for later in (new, folder, folder / "verdicts.json", both):
        done = lab_inside("diff", str(old), str(later))
        assert (done.returncode, done.stderr) == (1, "")
        assert done.stdout.splitlines() == [
            "new    mine, recovers, at COMMIT: kept -> broken",
            "       mine: postgresql 17 -> 18",
            "1 new (broken now, and was not)",
        ]
    done = lab_inside("diff", str(new), str(old))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 fixed (kept now, and was broken)")
    done = lab_inside("diff", str(old), str(old))
    assert (done.returncode, done.stdout) == (0, "no verdict differs\n")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"variants": 3}', '{"variants": [{}]}', '"x"', "[" * 100_000])
def test_diff_of_what_is_no_verdicts_is_one_line(tmp_path: Path, lab_inside: Lab, text: str) -> None:
    (tmp_path / "bad.json").write_text(text)
    done = lab_inside("diff", "bad.json", "bad.json")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (254, "", 1)
    assert "bad.json" in done.stderr


@pytest.mark.parametrize(
    "command", [["diff", "nowhere", "nowhere"], ["judge", "nowhere"], ["replay", "--all", "nowhere"]]
)
def test_what_is_not_there_is_one_line(lab_inside: Lab, command: list[str]) -> None:
    done = lab_inside(*command)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (254, "", 1)


def test_judge_says_which_verdicts_differ_and_what_cannot_be_read(tmp_path: Path, lab_inside: Lab) -> None:
    folder = stored(tmp_path / "store")
    folder.note(told(), [])
    done = lab_inside("judge", "store")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("2 runs, 0 verdicts differ")
    verdicts = folder.path / "cases/0001-recovers/verdicts.json"
    document: Any = json.loads(verdicts.read_text())
    document["findings"][0]["verdict"] = "kept"
    verdicts.write_text(json.dumps(document))
    folder.keep("damaged", told(), [BROKEN])
    (folder.path / "cases/damaged/history.jsonl").write_text("{")
    done = lab_inside("judge", "store")
    assert done.returncode == 1
    assert "recovers: kept -> broken" in done.stdout
    assert "cannot be read: store/mine" in done.stdout
    shutil.rmtree(folder.path / "cases")
    (folder.path / "kept.jsonl").unlink()
    assert lab_inside("judge", "store").returncode == 254


def test_replaying_all_of_nothing_is_one_line(tmp_path: Path, lab_inside: Lab) -> None:
    finished(tmp_path / "store", Verdict.KEPT)
    done = lab_inside("replay", "--all", "store")
    assert (done.returncode, len(done.stderr.splitlines())) == (254, 1)
    assert "holds no finding" in done.stderr


@pytest.mark.slow
def test_replay_all_tells_what_is_still_there_from_what_is_fixed(tmp_path: Path, lab_command: Lab) -> None:
    assert lab_command("replay", str(REGRESSION)).returncode == 1
    (case,) = (tmp_path / "store/published_threadlocal/replays/cases").iterdir()
    other = case.with_name("another")
    shutil.copytree(case, other)
    plan = json.loads((other / "plan.json").read_text())
    plan["steps"] = plan["steps"][:1] + plan["steps"][-1:]  # no fault in it: nothing breaks any more
    (other / "plan.json").write_text(json.dumps(plan))
    done = lab_command("replay", "--all", "store", "--times", "2")
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("still    published_threadlocal, recovers: 2 of 2 runs")
    assert lines[1].startswith("fixed    published_threadlocal, recovers: 0 of 2 runs")
    assert lines[2] == "1 still (every run breaks the same), 1 fixed (none does)"
