"""Shards of real runs, joined, say what the whole run says; alone they say that they are partial."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fix_cli import Lab
from lab.check.variants import find
from lab.errors import BadInput
from lab.explore.cuts import Cuts
from lab.explore.engine import NOT_RUN, Explored, Target, explore
from lab.explore.join import join, pieces
from lab.promise import PROMISES
from lab.records.shard import WHOLE, Shard
from lab.rig.embedded.rig import Rig
from lab.store import Store
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

SHARDS = (Shard(1, 2), Shard(2, 2))


def test_shards_of_an_exploration_are_the_whole(rig: Rig, tmp_path: Path) -> None:
    variant = find("published_threadlocal")
    cuts = Cuts(("commit",), "message", ("fin", "rst"))

    def explored(target: Target, name: str, shard: Shard) -> Explored[Any, Any]:
        return explore(cuts, target, Store(tmp_path / name), shard=shard)

    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote:
        target = Target(variant, rig, zygote, promises=(PROMISES.get("recovers"),))
        whole = explored(target, "whole", WHOLE)
        parts = [explored(target, f"shard{shard.index}", shard) for shard in SHARDS]
        again = explored(target, "shard1", SHARDS[0])
    assert sorted(case.name for part in parts for case in part.outcomes) == sorted(case.name for case in whole.outcomes)
    assert all(part.outcomes for part in parts)
    strips = [strip for part in parts for ways in part.table.strip.values() for strip in ways.values()]
    assert NOT_RUN in {letter for strip in strips for letter in strip}
    assert (again.cases, again.resumed) == (0, len(parts[0].outcomes))
    (found,) = pieces([tmp_path / "shard1", tmp_path / "shard2"])
    joined = join(found, Store(tmp_path / "joined")).explored
    assert joined.table.encode() == whole.table.encode()
    for each in joined.classes:
        assert (tmp_path / "joined" / each.evidence).is_file()
    with pytest.raises(BadInput, match="2 is missing; run --shard 2/2"):
        pieces([tmp_path / "shard1"])


@pytest.mark.nightly
def test_shards_of_a_check_are_the_whole(lab_command: Lab, tmp_path: Path) -> None:
    check = ("check", "published_threadlocal", "--promise", "replaces-stale", "--promise", "commits-on-close")
    documents = {}
    for name, shard in (("whole", ()), ("one", ("--shard", "1/2")), ("two", ("--shard", "2/2"))):
        done = lab_command(*check, *shard, "--store", name, "--json", f"{name}.json", "--report", "none", timeout=400.0)
        assert done.returncode in (1, 2), done.stderr
        documents[name] = json.loads((tmp_path / f"{name}.json").read_text())
    for name in ("one", "two"):
        assert documents[name]["shard"].endswith("/2")
        assert "unknown" in documents[name]["promises"]["commits-on-close"]["moments"].values()
        assert documents[name]["promises"]["commits-on-close"]["verdict"] == "unknown"
        assert any("the plans of other shards" in words for words in documents[name]["skipped"])
    done = lab_command("merge", "one", "two", "--into", "all", "--json", "all.json")
    assert done.returncode == 1, done.stderr
    merged = json.loads((tmp_path / "all.json").read_text())
    for promise, expected in documents["whole"]["promises"].items():
        found = merged["promises"][promise]
        assert (found["verdict"], found["moments"]) == (expected["verdict"], expected["moments"])
    for path in merged["promises"]["replaces-stale"]["evidence"]:
        assert msgspec.json.decode(Path(path).read_bytes())["expect"]["replaces-stale"] == "broken"
    assert (tmp_path / "all" / "report" / "index.html").is_file()
