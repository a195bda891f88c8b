"""Results for GitHub Actions: a step summary below its limit, and an annotation for each claim that is not kept.

See "Workflow commands for GitHub Actions": a step's summary may have 1 MiB, and of annotations ten errors and ten
warnings of a step are shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.records.result import Result
from lab.records.verdict import Verdict
from lab.report.markdown import markdown
from lab.report.pages.words import shown

VARIABLE = "GITHUB_STEP_SUMMARY"
LIMIT = 1024 * 1024
"""Bytes of a step's summary: a longer one is refused as a whole."""
CUT = "\n\nThe rest is left out: a step's summary has a limit. `lab report` draws all of it.\n"
LEVELS = {Verdict.BROKEN: "error", Verdict.UNKNOWN: "warning"}


def summary(results: Sequence[Result], room: int = LIMIT) -> str:
    """The Markdown report, cut at a line so that it has at most `room` bytes."""
    text = markdown(results)
    if len(text.encode()) <= room:
        return text
    kept: list[str] = []
    left = room - len(CUT.encode())
    for line in text.splitlines(keepends=True):
        left -= len(line.encode())
        if left < 0:
            break
        kept.append(line)
    return "".join(kept) + CUT


def commands(results: Sequence[Result]) -> list[str]:
    """A workflow command each; broken ones first, because only ten of a kind are shown."""
    lines = []
    for verdict, level in LEVELS.items():
        for result in results:
            for name, promise in result.promises.items():
                if promise.claimed and promise.verdict is verdict:
                    title = _property(f"{result.variant.name}: {name} is {verdict}")
                    lines.append(f"::{level} title={title}::{_data(promise.summary)}")
    return lines


def _data(text: str) -> str:
    return shown(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
