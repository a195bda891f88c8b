"""Variants in several corners of versions: what differs, with the plan that shows it, and nothing else."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from lab.check.corners import Corners
from lab.records.difference import InCorner, Versions
from lab.records.result import Result
from lab.report.pages.versions import told
from lab.report.terminal import sentence, short


def print_corners(out: Console, done: Corners) -> None:
    """Each difference by variant, promise and moment, with its plan; then the sums."""
    for each in done.differences:
        _line(out, told(each))
        if each.plan:
            _line(out, f"  lab replay {short(each.plan)}", "dim")
    variants = {result.variant.name for results in done.found.values() for result in results}
    said = "what differs stands above" if done.differences else "no verdict differs"
    _line(out, f"{len(done.found)} corners, {len(variants)} variants: {said}", "bold")
    for each in done.unsteady:
        _line(out, f"not told apart: {told(each)}: runs of its plan disagree in one corner", "dim")
    for where, why in done.left_out.items():
        _line(out, f"left out: {where}: {why}", "dim")
    for corner, results in done.found.items():
        for result in results:
            _line(out, f"{corner} ({_exact(result)}): {sentence(result)}", "dim")


def as_record(done: Corners) -> Versions:
    """The same to be stored, for a page."""
    results = [(corner, result) for corner, found in done.found.items() for result in found]
    variants = dict.fromkeys(result.variant.name for _, result in results)
    return Versions(
        corners={corner: _exact(result) for corner, result in results},
        found={
            name: {
                corner: InCorner(sentence(result), {each: told.verdict for each, told in result.promises.items()})
                for corner, result in results
                if result.variant.name == name
            }
            for name in variants
        },
        claims={
            result.variant.name: tuple(name for name, promise in result.promises.items() if promise.claimed)
            for _, result in results
        },
        differences=tuple(done.differences),
        unsteady=tuple(done.unsteady),
        left_out=done.left_out,
    )


def _exact(result: Result) -> str:
    versions, driver = result.versions, result.variant.driver
    exact = f"Django {versions.get('django', '?')}, Python {versions.get('python', '?')}"
    return f"{exact}, {driver} {versions[driver]}" if driver in versions else exact


def _line(out: Console, text: str, style: str = "") -> None:
    out.print(Text(text, style), soft_wrap=True)
