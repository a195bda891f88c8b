"""`lab campaign`, `lab merge` and `--shard`: what cannot be used is said in one line, before anything starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fix_cli import Lab
from lab.campaign import cluster
from lab.campaign.keeping import Settings, open_campaign
from lab.check.variants import find


def refused(done: subprocess.CompletedProcess[str], status: int, *parts: str) -> None:
    assert done.returncode == status, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("lab: ")
    for part in parts:
        assert part in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["campaign"], ["no variant is given"]),
        (["campaign", "nosuch"], ["'nosuch' is neither"]),
        (
            ["campaign", "published_global", "--kind", "x"],
            ["no kind 'x'", "known: bytes, results, orders, situations, search, versions"],
        ),
        (
            ["campaign", "published_global", "--kind", "versions"],
            ["--kind versions needs versions", "--django 5.2,6.1"],
        ),
        (["campaign", "published_global", "--django", "5.2", "--python", "3.9", "--offline"], ["no environment with"]),
        (["campaign", "published_global", "--django", "5.2", "--python", "/bin/python"], ["--python /bin/python"]),
        (["campaign", "published_global", "--driver", "mysql"], ["--driver mysql", "psycopg2, psycopg"]),
        (["campaign", "published_global", "--driver", "psycopg,mysql"], ["--driver mysql", "psycopg2, psycopg"]),
        (["campaign", "published_global", "--workers", "0"], ["--workers", "lab campaign --help"]),
        (["campaign", "published_global", "--cases", "0"], ["--cases"]),
        (["campaign", "published_global", "--cluster", "tcp://x", "--workers", "2"], ["--cluster and --workers"]),
        (["campaign", "published_global", "--shard", "3/2"], ["--shard 3/2", "write it as 2/5"]),
        (["check", "published_global", "--shard", "2"], ["--shard 2", "write it as 2/5"]),
        (["matrix", "--shard", "0/2"], ["--shard 0/2"]),
        (["matrix", "--shard", "1/2", "--django", "5.2"], ["--shard does not go together with"]),
        (["explore", "cuts", "published_global", "--shard", "x"], ["--shard x"]),
        (["explore", "interleavings", "published_global", "--shard", "x"], ["--shard x"]),
        (["merge", "nowhere", "--into", "all"], ["nowhere is no store"]),
        (["merge", ".", "--into", "all"], ["hold no shard", "--shard"]),
        (["merge", "."], ["--into"]),
    ],
    ids=lambda value: " ".join(value) if len(value) > 1 else "",
)
def test_arguments(lab_inside: Lab, arguments: list[str], said: list[str]) -> None:
    refused(lab_inside(*arguments), 254, *said)


def test_a_scheduler_that_is_not_there(lab_inside: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT", 0.3)
    done = lab_inside("campaign", "published_global", "--cluster", "tcp://127.0.0.1:1")
    refused(done, 254, "no scheduler answers at tcp://127.0.0.1:1", "dask scheduler", "--workers N")


def test_an_address_that_is_none(lab_inside: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT", 0.3)
    refused(lab_inside("campaign", "published_global", "--cluster", "x:y:z"), 254, "no scheduler answers at x:y:z")


def test_without_the_extra(lab_inside: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    refused(lab_inside("campaign", "published_global"), 255, "distributed", "pip install 'connection-lab[campaign]'")


def test_a_store_of_another_lab(lab_inside: Lab, tmp_path: Path) -> None:
    other = Settings(edition="0.0.1+abc", variants=(find("published_global"),), kinds=("bytes",))
    open_campaign(tmp_path / "there", other)
    before = (tmp_path / "there" / "campaign.json").read_bytes()
    done = lab_inside("campaign", "published_global", "--kind", "bytes", "--store", "there")
    refused(done, 254, "another lab: 0.0.1+abc", "give another --store")
    assert (tmp_path / "there" / "campaign.json").read_bytes() == before


def test_a_campaigns_store_that_is_damaged(lab_inside: Lab, tmp_path: Path) -> None:
    (tmp_path / "campaign.json").write_text("{")
    refused(lab_inside("campaign", "published_global", "--store", "."), 254, "campaign.json is no campaign's")
    refused(lab_inside("merge", ".", "--into", "all"), 254, "campaign.json is no campaign's")


def test_a_store_that_cannot_be_written(lab_inside: Lab, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(lab_inside("campaign", "published_global", "--store", "file"), 255, "cannot write", "--store")
