"""Variants in several corners of versions: what differs, with the plan that shows it, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from lab.records.result import Result
from lab.records.verdict import Verdict
from lab.report.terminal import sentence, short
from lab.report.versions import differences
from lab.store import slug


def print_corners(out: Console, found: Mapping[str, Sequence[Result]], left_out: Mapping[str, str]) -> None:
    """For each variant where corners disagree, by promise and moment; a plan of each corner in which it is broken."""
    variants = list(dict.fromkeys(result.variant.name for results in found.values() for result in results))
    some = False
    for name in variants:
        here = {
            corner: result for corner, results in found.items() for result in results if result.variant.name == name
        }
        lines = differences(here)
        some = some or bool(lines)
        for line in lines:
            _line(out, line)
            promise, _, rest = line.removeprefix(f"{name}, ").partition(", ")
            moment = rest.rpartition(": ")[0]
            for corner, path in _plans(here, promise.partition(":")[0], moment).items():
                _line(out, f"  {corner}: lab replay {short(path)}", "dim")
    said = "what differs stands above" if some else "no verdict differs"
    _line(out, f"{len(found)} corners, {len(variants)} variants: {said}", "bold")
    for where, why in left_out.items():
        _line(out, f"left out: {where}: {why}", "dim")
    for corner, results in found.items():
        for result in results:
            versions = result.versions
            exact = f"Django {versions.get('django', '?')}, Python {versions.get('python', '?')}"
            _line(out, f"{corner} ({exact}): {sentence(result)}", "dim")


def _plans(here: Mapping[str, Result], promise: str, moment: str) -> dict[str, str]:
    """One plan for each corner that breaks it, of that moment where its folder tells."""
    wanted = slug(moment)
    found = {}
    for corner, result in here.items():
        told = result.promises.get(promise)
        if told is not None and told.verdict is Verdict.BROKEN and told.evidence:
            exact = [path for path in told.evidence if wanted and wanted in Path(path).parent.name]
            if exact or not moment:
                found[corner] = (exact or list(told.evidence))[0]
    return found


def _line(out: Console, text: str, style: str = "") -> None:
    out.print(Text(text, style), soft_wrap=True)
