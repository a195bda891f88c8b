"""`lab matrix --django … --driver … --python …`: what is asked for, what is refused, and what differs."""

from __future__ import annotations

import os
import shutil
import sys
import time
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from fix_cli import Lab
from lab.check.corners import Corners, _applying, _least, _suspected
from lab.errors import BadInput
from lab.records.codec import encode
from lab.records.difference import Difference, Versions
from lab.records.plan import Begin, End, Plan, Read
from lab.records.result import PromiseResult, Result, VariantInfo
from lab.records.variant import Variant
from lab.records.verdict import Verdict
from lab.report.corners import as_record, print_corners
from lab.report.pages.folder import report_store
from lab.report.pages.tables import keep_versions, read_table
from lab.rig.machine import cache, environments
from lab.rig.machine.environments import Environment, Unavailable, find_python, install, make, versions

MINE = Variant(name="mine")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--django", "5"], ["--django 5: that is no version", "5.2,6.0"]),
        (["--python", "three"], ["--python three"]),
        (["--driver", "psycopg3"], ["no such driver", "psycopg2, psycopg"]),
        (["--django", "5.2", "--postgres", "17"], ["does not go together"]),
        (["--django", "5.2"], ["1 environments are to be made", "say so with --yes"]),
        (["--django", "5.2,6.0", "--python", "3.12,3.13"], ["4 environments are to be made"]),
        (["--django", "5.2", "--offline"], ["there is no environment with Django 5.2", "--offline"]),
        (["--claim", "durably"], ["no promise 'durably'"]),
    ],
)
def test_bad_input(
    lab_inside: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: list[str]
) -> None:
    """Nothing is made without being asked for: not where nobody can be asked."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("sys.stdin", StringIO())
    done = lab_inside("matrix", "django_per_request", *arguments)
    assert done.returncode == 254, done
    (line,) = done.stderr.splitlines()
    for part in said:
        assert part in line
    assert not list(tmp_path.glob("cache/connection-lab/environment-*"))


def test_versions_are_lists_each_once() -> None:
    assert versions("--django", "5.2, 6.0,5.2") == ["5.2", "6.0"]
    assert versions("--django", "") == []
    with pytest.raises(BadInput):
        versions("--django", "5.2.1")


def test_this_interpreter_is_found_by_its_version() -> None:
    wanted = "{}.{}".format(*sys.version_info)
    assert find_python(wanted) != wanted
    assert find_python("3.999") == "3.999"  # for uv to know


def test_an_environment_that_is_there_is_taken_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    there = Environment("5.2", "3.11")
    with pytest.raises(BadInput):
        make(there, offline=True)
    (tmp_path / "connection-lab" / there.key / "bin").mkdir(parents=True)
    assert make(there, offline=True) == there.executable


def test_environments_that_nobody_uses_go_when_one_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are used stay: in all `MOST`, the last used ones, and none for longer than a month without a use."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(environments, "MOST", 3)
    now = time.time()
    ages = {"4.2": 40 * 86_400, "5.0": 5000, "5.1": 4000, "5.2": 3000, "6.0": 2000}
    for version, age in ages.items():
        folder = cache.folder() / Environment(version, "3.11").key
        (folder / "bin").mkdir(parents=True)
        os.utime(folder, (now - age, now - age))
    make(Environment("5.0", "3.11"))  # is used again
    with pytest.raises(Unavailable, match=r"no Python 3\.999 here"):
        install("environment-new", "3.999", ["django"])
    left = sorted(path.name for path in cache.folder().glob("environment-*") if path.is_dir())
    assert left == [Environment(version, "3.11").key for version in ("5.0", "5.2", "6.0")]


def result(**promises: PromiseResult) -> Result:
    return Result(
        verdict=Verdict.KEPT,
        variant=VariantInfo(name="mine", engine="mine", driver="psycopg2"),
        versions={"django": "5.2.19", "python": "3.11.7"},
        seed=0,
        seconds=1.0,
        cases=1,
        void=0,
        promises=promises,
    )


def promise(verdict: Verdict, *evidence: str, **moments: Verdict) -> PromiseResult:
    return PromiseResult(verdict=verdict, claimed=True, moments=dict(moments), evidence=evidence)


def stored(folder: Path, moment: str) -> str:
    folder.mkdir()
    steps = (Begin("t0"), Read("t0"), End("t0"))
    plan = Plan(variant=MINE, steps=steps, promise="durable", moment=moment)
    (folder / "plan.json").write_bytes(encode(plan))
    return str(folder / "plan.json")


def test_only_what_one_corner_keeps_and_another_breaks_is_suspected_with_its_plan(tmp_path: Path) -> None:
    """A moment that a corner has not looked at is no difference."""
    commit, idle = stored(tmp_path / "1", "COMMIT"), stored(tmp_path / "2", "idle")
    kept = result(durable=promise(Verdict.BROKEN, idle, COMMIT=Verdict.KEPT, idle=Verdict.BROKEN))
    broken = result(durable=promise(Verdict.BROKEN, commit, COMMIT=Verdict.BROKEN))
    done = Corners({"5.2": [kept], "6.1": [broken]})
    assert _suspected(done, [MINE]) == [
        Difference("mine", "durable", "COMMIT", {"5.2": Verdict.KEPT, "6.1": Verdict.BROKEN}, commit)
    ]
    assert _applying(done, [MINE]) == []


def test_a_promise_that_applies_in_one_corner_alone_differs() -> None:
    done = Corners({"5.2": [result(reuses=promise(Verdict.NA))], "6.1": [result(reuses=promise(Verdict.KEPT))]})
    assert _applying(done, [MINE]) == [
        Difference("mine", "reuses", "", {"5.2": Verdict.NA, "6.1": Verdict.KEPT}),
    ]


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([Verdict.KEPT, Verdict.KEPT], Verdict.KEPT),
        ([Verdict.UNKNOWN, Verdict.BROKEN], Verdict.BROKEN),
        ([Verdict.KEPT, Verdict.BROKEN], Verdict.UNKNOWN),
        ([Verdict.UNKNOWN, Verdict.UNKNOWN], Verdict.UNKNOWN),
    ],
)
def test_runs_that_disagree_tell_nothing(runs: list[Verdict], expected: Verdict) -> None:
    assert _least(runs) is expected


def test_what_differs_is_told_with_its_plan() -> None:
    same = result(durable=promise(Verdict.KEPT))
    verdicts = {"5.2/3.11": Verdict.KEPT, "6.0/3.13": Verdict.BROKEN, "6.1/3.13": Verdict.BROKEN}
    done = Corners({"5.2/3.11": [same], "6.1/3.13": [same]}, {"6.1/3.11 pool": "no such option"})
    out = StringIO()
    print_corners(Console(file=out, width=140), done)
    assert "2 corners, 1 variants: no verdict differs" in out.getvalue()
    done.differences.append(Difference("mine", "durable", "COMMIT", verdicts, "store/plan.json"))
    done.unsteady.append(Difference("mine", "atomic", "FIN", {**verdicts, "5.2/3.11": Verdict.UNKNOWN}, "p.json"))
    print_corners(Console(file=out, width=140), done)
    assert (
        "mine, durable, COMMIT: 5.2/3.11 kept; 6.0/3.13, 6.1/3.13 broken\n  lab replay store/plan.json"
        in out.getvalue()
    )
    assert "what differs stands above" in out.getvalue()
    assert "not told apart: mine, atomic, FIN: 5.2/3.11 unknown; 6.0/3.13, 6.1/3.13 broken" in out.getvalue()
    assert "left out: 6.1/3.11 pool: no such option" in out.getvalue()


def test_what_differs_is_stored_and_read_back_whole(tmp_path: Path) -> None:
    broken = msgspec.structs.replace(promise(Verdict.BROKEN), claimed=False)
    done = Corners({"5.2": [result(durable=promise(Verdict.KEPT))], "6.1": [result(durable=broken)]}, {"6.1 x": "why"})
    done.differences.append(Difference("mine", "durable", "idle", {"5.2": Verdict.KEPT}, "p", {"5.2": "a/b/plan.json"}))
    (tmp_path / "table").mkdir()
    path = keep_versions(tmp_path / "table", as_record(done))
    back = read_table(msgspec.json.decode(path.read_bytes()))
    assert back == as_record(done)
    assert isinstance(back, Versions)
    assert back.corners == {"5.2": "Django 5.2.19, Python 3.11.7", "6.1": "Django 5.2.19, Python 3.11.7"}
    assert back.found["mine"]["6.1"].verdicts == {"durable": Verdict.BROKEN}
    assert (back.differences, back.left_out) == (tuple(done.differences), {"6.1 x": "why"})


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.nightly
def test_a_difference_between_drivers_is_found(lab_command: Lab, tmp_path: Path) -> None:
    """psycopg 3 does not do COPY by execute(), psycopg2 does; Django's pool is there from 5.1."""
    done = lab_command(
        *("matrix", "django_per_request", "django_pool", "--promise", "works-unfaulted", "--yes", "--report", "html"),
        *("--django", "4.2,5.2", "--driver", "psycopg2,psycopg", "--store", str(tmp_path / "store")),
        timeout=900.0,
    )
    assert done.returncode in (0, 1), done
    copy = [line for line in done.stdout.splitlines() if line.startswith("django_per_request, works-unfaulted, COPY")]
    assert copy
    assert "psycopg2 kept" in copy[0]
    assert "psycopg broken" in copy[0]
    left_out = [line for line in done.stdout.splitlines() if line.startswith("left out: 4.2/")]
    assert len(left_out) == 2
    assert all("pool" in line for line in left_out)
    shutil.rmtree(tmp_path / "store/report")
    written = report_store(tmp_path / "store")  # from the stored files alone
    (page,) = written.index.parent.glob("versions/corners-*/index.html")
    text = page.read_text()
    for corner in ("4.2", "5.2"):
        for driver in ("psycopg2", "psycopg"):
            example = f"-{driver}-django_per_request-works-unfaulted.html"
            (shown,) = [each.name for each in page.parent.glob(f"*{corner.replace('.', '-')}*{example}")]
            assert f'{shown}">{"✓ kept" if driver == "psycopg2" else "○ limit"}</a>' in text
