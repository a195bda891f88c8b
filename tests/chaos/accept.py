"""Write tests/regressions/ anew: for each promise that a bundled variant breaks, the simplest plan that shows it.

    python tests/chaos/accept.py [VARIANT...]

What stands there is what the chaos tests expect. Read the diff: a plan that is new or gone is a change of a verdict.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import msgspec

from lab.check.check import Options, check
from lab.check.lanes import SLOTS
from lab.check.variants import rows
from lab.fault import FAULTS
from lab.records.codec import decode_plan, encode
from lab.records.plan import Plan
from lab.records.result import Result
from lab.records.verdict import Verdict
from lab.rig.embedded.rig import Rig
from lab.store import Store

BOUND = 1.0  # seconds, in plans that make a variant wait for as long as it will: the suite need not wait for ten
FOLDER = Path(__file__).resolve().parents[1] / "regressions"


def expectations() -> dict[str, Path]:
    """The plans by `variant.promise`."""
    return _plans(FOLDER)


def limits() -> dict[str, Path]:
    """The plans behind docs/persistent-backends.md, written by hand, by `promise.name`."""
    return _plans(FOLDER.with_name("limits"))


def _plans(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.*.json"))}


def accept(results: list[Result]) -> None:
    """Replace the plans of these variants."""
    for result in results:
        for old in FOLDER.glob(f"{result.variant.name}.*.json"):
            old.unlink()
        for promise, found in result.promises.items():
            if found.verdict is Verdict.BROKEN:
                plan = min(map(_read, found.evidence), key=_cost)
                bound = BOUND if any(FAULTS.get(fault.kind).waits for fault in plan.faults()) else plan.bound
                plan = msgspec.structs.replace(plan, expect={promise: str(Verdict.BROKEN)}, bound=bound, seed=0)
                (FOLDER / f"{result.variant.name}.{promise}.json").write_bytes(encode(plan))


def _cost(plan: Plan) -> tuple[bool, int, int, bytes]:
    """The variant as it is before one with other settings, quick ones first, then short ones."""
    faults = [FAULTS.get(fault.kind) for fault in plan.faults()]
    changed = plan.variant != rows().get(plan.variant.name)
    slow = 2 * sum(each.waits for each in faults) + sum(each.exclusive for each in faults)
    return changed, slow, len(plan.steps), encode(plan)


def _read(path: str) -> Plan:
    return decode_plan(Path(path).read_bytes(), path)


def main() -> None:
    known = rows()
    chosen = [known[name] for name in sys.argv[1:] or known]
    with tempfile.TemporaryDirectory() as folder, Rig(max_connections=SLOTS) as rig, Rig() as apart:
        accept(check(chosen, rig, Options(search=0.0), Store(Path(folder)), apart=lambda: apart))


if __name__ == "__main__":
    main()
