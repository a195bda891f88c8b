"""Results as Markdown: the table promise x variant, and what is broken with the command that shows it again."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lab.records.result import PromiseResult, Result
from lab.records.verdict import Verdict
from lab.report.pages.words import shown
from lab.report.terminal import headline, promise_names, sentence
from lab.report.terminal import short as short_path
from lab.report.verdict_mark import MARKS, mark

PLANS = 3
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|<>~&@$-])")


def plain(text: object, longest: int = 400) -> str:
    """A text that Markdown, and HTML inside it, leave as it is."""
    return _SPECIAL.sub(r"\\\1", shown(text, longest)).replace("\\<", "&lt;").replace("\\>", "&gt;")


def code(text: str) -> str:
    """A text as code on one line, whatever is in it."""
    words = shown(text, 1000)
    fence = "`" * (max((len(run) for run in re.findall("`+", words)), default=0) + 1)
    return f"{fence} {words} {fence}" if fence != "`" else f"`{words}`"


def markdown(results: Sequence[Result]) -> str:
    """The whole report."""
    lines = ["# Promise × variant", ""]
    lines.append("| promise | " + " | ".join(plain(result.variant.name, 80) for result in results) + " |")
    lines.append("|---|" + "---|" * len(results))
    for name in promise_names(results):
        cells = [_cell(result.promises.get(name)) for result in results]
        lines.append(f"| {plain(name, 80)} | " + " | ".join(cells) + " |")
    lines += ["", *(f"- {each}: {each.meaning}" for each in MARKS), ""]
    for result in results:
        lines += [f"## {plain(result.variant.name, 80)}", "", plain(sentence(result)), "", plain(headline(result)), ""]
        lines += _broken(result)
    return "\n".join(lines).rstrip() + "\n"


def _cell(promise: PromiseResult | None) -> str:
    return "" if promise is None else str(mark(promise))


def _broken(result: Result) -> list[str]:
    lines: list[str] = []
    for name, promise in result.promises.items():
        if promise.verdict not in (Verdict.BROKEN, Verdict.UNKNOWN):
            continue
        moments = [moment for moment, verdict in promise.moments.items() if verdict is promise.verdict]
        lines.append(f"- {mark(promise)} **{plain(name, 80)}**: {plain(promise.summary)}")
        if moments:
            lines.append(f"  - moments: {plain(' · '.join(moments), 600)}")
        lines += [f"  - {code(f'lab replay {short_path(path)}')}" for path in promise.evidence[:PLANS]]
    return [*lines, ""] if lines else []
