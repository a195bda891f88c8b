"""Writes backend_under_test/django_limits.json: at which moments stock Django was seen to break each promise.

    .venv/bin/python tools/django_limits.py

By what it keeps (per_request, persistent, health_checks, pool), under both drivers where there are two. Run it when a
promise has new moments: what a project breaks at a moment that is not listed counts as the project's own doing.
What was listed before stays: a moment that one run did not reach, on a busy machine, is Django's own all the same.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import msgspec

from lab.check.check import Options, check
from lab.check.lanes import SLOTS
from lab.check.variants import rows
from lab.records.verdict import Verdict
from lab.rig.rigs import apart, open_rig, prepare
from lab.store import Store

KINDS = ("per_request", "persistent", "health_checks", "pool")
TARGET = Path(__file__).resolve().parents[1] / "backend_under_test" / "django_limits.json"


def main() -> None:
    """Judge the rows of stock Django and write what they break."""
    known = rows()
    first = [known[f"django_{kind}"] for kind in KINDS]
    others = [msgspec.structs.replace(each, name=f"{each.name}_3", driver="psycopg") for each in first[:-1]]
    listed: dict[str, dict[str, list[str]]] = json.loads(TARGET.read_text(encoding="utf-8"))
    found = {kind: {name: set(moments) for name, moments in listed[kind].items()} for kind in KINDS}
    with (
        tempfile.TemporaryDirectory() as folder,
        open_rig(prepare(""), print, SLOTS) as rig,
        apart(rig, print) as second,
    ):
        options = Options(search=0.0, cuts=False)
        results = check([*first, *others], rig, options, Store(Path(folder)), apart=second)
    for kind, result in zip((*KINDS, *KINDS[:-1]), results, strict=True):
        for name, promise in result.promises.items():
            broken = {moment for moment, verdict in promise.moments.items() if verdict is Verdict.BROKEN}
            if broken:
                found[kind].setdefault(name, set()).update(broken)
    document = {kind: {name: sorted(moments) for name, moments in sorted(each.items())} for kind, each in found.items()}
    TARGET.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
