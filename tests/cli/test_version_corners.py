"""`lab matrix --django … --driver … --python …`: what is asked for, what is refused, and what differs."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from fix_cli import Lab
from lab.errors import BadInput
from lab.records.result import PromiseResult, Result, VariantInfo
from lab.records.verdict import Verdict
from lab.report.corners import print_corners
from lab.rig.machine.environments import Environment, find_python, make, versions


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
def test_bad_input(lab_command: Lab, tmp_path: Path, arguments: list[str], said: list[str]) -> None:
    """Nothing is made without being asked for: not where nobody can be asked."""
    done = lab_command("matrix", "django_per_request", *arguments, XDG_CACHE_HOME=str(tmp_path / "cache"))
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


def result(evidence: tuple[str, ...] = (), **moments: Verdict) -> Result:
    verdict = min(moments.values(), key=list(Verdict).index)
    promise = PromiseResult(verdict=verdict, claimed=True, moments=dict(moments), evidence=evidence)
    info = VariantInfo(name="mine", engine="mine", driver="psycopg2")
    return Result(
        verdict=verdict,
        variant=info,
        versions={"django": "5.2.19", "python": "3.11.7"},
        seed=0,
        seconds=1.0,
        cases=1,
        void=0,
        promises={"durable": promise},
    )


def printed(found: dict[str, list[Result]]) -> str:
    out = StringIO()
    print_corners(Console(file=out, width=140), found, {"6.1/3.11 pool": "no such option"})
    return out.getvalue()


def test_what_differs_is_told_with_a_plan_of_that_moment_and_what_agrees_is_not() -> None:
    kept = result(COMMIT=Verdict.KEPT, idle=Verdict.BROKEN)
    broken = result(
        ("store/0001-durable-idle/plan.json", "store/0002-durable-COMMIT/plan.json"),
        COMMIT=Verdict.BROKEN,
        idle=Verdict.BROKEN,
    )
    text = printed({"5.2/3.11": [kept], "6.1/3.13": [broken]})
    assert "mine, durable, COMMIT: 5.2/3.11 kept; 6.1/3.13 broken" in text
    assert "6.1/3.13: lab replay store/0002-durable-COMMIT/plan.json" in text
    assert "durable, idle" not in text
    assert "what differs stands above" in text
    assert "left out: 6.1/3.11 pool: no such option" in text


def test_corners_that_agree_say_so() -> None:
    same = result(COMMIT=Verdict.KEPT)
    text = printed({"5.2/3.11": [same], "6.1/3.13": [same]})
    assert "2 corners, 1 variants: no verdict differs" in text
    assert "replay" not in text


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.nightly
def test_a_difference_between_drivers_is_found(lab_command: Lab) -> None:
    """psycopg 3 does not do COPY by execute(), psycopg2 does; Django's pool is there from 5.1."""
    done = lab_command(
        *("matrix", "django_per_request", "django_pool", "--promise", "works-unfaulted", "--yes", "--report", "none"),
        *("--django", "4.2,5.2", "--driver", "psycopg2,psycopg"),
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
